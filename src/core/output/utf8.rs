//! Bytes of a stream into text, without ever cutting a character.

/// A run of a stream's bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Run<'a> {
    /// Whole characters.
    Text(&'a str),
    /// Bytes that are not UTF-8, up to the end of their line.
    Bytes(&'a [u8]),
}

/// Holds the beginning of a character whose rest has not arrived.
#[derive(Debug, Default)]
pub struct Decoder {
    tail: [u8; 4],
    held: usize,
}

impl Decoder {
    /// Takes a piece of the stream and gives it on in runs. Up to three bytes may be held back. Allocates nothing.
    pub fn feed(&mut self, piece: &[u8], mut each: impl FnMut(Run<'_>)) {
        if self.held == 0 {
            return self.hold(runs(piece, &mut each));
        }
        // The rest of one character is enough to go on with the piece itself, uncopied.
        let mut taken = 0;
        while taken < piece.len() {
            self.tail[self.held] = piece[taken];
            self.held += 1;
            taken += 1;
            let tail = &self.tail[..self.held];
            match std::str::from_utf8(tail) {
                Ok(text) => each(Run::Text(text)),
                Err(error) if error.error_len().is_none() => continue,
                Err(_) => each(Run::Bytes(tail)),
            }
            return self.hold(runs(&piece[taken..], &mut each));
        }
    }

    fn hold(&mut self, rest: &[u8]) {
        self.tail[..rest.len()].copy_from_slice(rest);
        self.held = rest.len();
    }

    /// Whether part of a character is held back.
    pub fn is_holding(&self) -> bool {
        self.held > 0
    }

    /// Nothing more will come, or something else comes first: gives on what is held back.
    pub fn finish(&mut self, mut each: impl FnMut(Run<'_>)) {
        if self.held > 0 {
            each(Run::Bytes(&self.tail[..self.held]));
            self.held = 0;
        }
    }
}

/// Gives on `bytes` in runs and returns the beginning of a character at their end.
fn runs<'a>(mut bytes: &'a [u8], each: &mut impl FnMut(Run<'_>)) -> &'a [u8] {
    loop {
        // The quick check settles nearly every piece; only its failure is looked at closely.
        if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
            if !text.is_empty() {
                each(Run::Text(text));
            }
            return &[];
        }
        let Err(error) = std::str::from_utf8(bytes) else { return &[] };
        let (valid, rest) = bytes.split_at(error.valid_up_to());
        if let Ok(text) = std::str::from_utf8(valid)
            && !text.is_empty()
        {
            each(Run::Text(text));
        }
        if error.error_len().is_none() {
            return rest;
        }
        let end = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
        each(Run::Bytes(&rest[..end]));
        bytes = &rest[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut decoder = Decoder::default();
        let mut bytes = Vec::new();
        let mut only_text = true;
        let mut take = |run: Run<'_>| match run {
            Run::Text(text) => bytes.extend_from_slice(text.as_bytes()),
            Run::Bytes(raw) => {
                only_text = false;
                bytes.extend_from_slice(raw);
            }
        };
        for piece in pieces {
            decoder.feed(piece, &mut take);
        }
        decoder.finish(&mut take);
        (bytes, only_text)
    }

    #[test]
    fn a_character_is_never_cut() {
        let text = "aé€😀z".as_bytes();
        for first in 0..text.len() {
            for second in first..text.len() {
                let (bytes, only_text) = decode(&[&text[..first], &text[first..second], &text[second..]]);
                assert_eq!(bytes, text);
                assert!(only_text, "split at {first} and {second}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_arrive_unchanged(bytes: Vec<u8>, size in 1usize..9) {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(decode(&pieces).0, bytes);
        }

        #[test]
        fn text_in_any_pieces_is_text(text in ".*", size in 1usize..9) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            prop_assert!(decode(&pieces).1);
        }
    }
}
