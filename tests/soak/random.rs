//! Random numbers that a seed repeats.

/// A generator; the same seed gives the same numbers.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number (SplitMix64).
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    /// A number of `low..=high`, of any magnitude with the same chance, so that small ones are common.
    pub fn magnitude(&mut self, low: u64, high: u64) -> u64 {
        let bits = u64::from(64 - high.leading_zeros());
        let limit = 1u64 << self.below(bits + 1).min(63);
        self.below(limit).clamp(low, high)
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len() as u64) as usize]
    }

    /// Text of one to `most` characters of every kind that gives trouble.
    pub fn text(&mut self, most: u64) -> String {
        const KINDS: [&str; 16] =
            ["a", "Z", "0", " ", "é", "ß", "€", "語", "😀", "\u{10ffff}", "\n", "\"", "\\", "\t", "\r", "\u{1b}"];
        (0..self.magnitude(1, most)).map(|_| self.pick(&KINDS)).collect()
    }
}
