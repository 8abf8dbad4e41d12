//! Lines of bytes, cut from a stream as it arrives.

use crate::MAX_LINE;

/// One line, or what was wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its line end.
    Whole(&'a [u8]),
    /// A line longer than the limit; it was skipped to its end.
    TooLong,
}

/// Cuts lines from pieces of any size. Holds at most one line, and gives back the memory of a large one.
#[derive(Debug)]
pub struct Lines {
    partial: Vec<u8>,
    limit: usize,
    skipping: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Lines::with_limit(MAX_LINE)
    }
}

impl Lines {
    /// Lines of at most `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Lines { partial: Vec::new(), limit, skipping: false }
    }

    /// Takes a piece of the stream and gives each line that it completes to `each`. Empty lines are left out.
    pub fn feed(&mut self, mut piece: &[u8], mut each: impl FnMut(Line<'_>)) {
        while let Some(end) = memchr(piece) {
            let (head, rest) = (&piece[..end], &piece[end + 1..]);
            piece = rest;
            let was_skipping = std::mem::take(&mut self.skipping);
            if was_skipping || self.partial.len() + head.len() > self.limit {
                each(Line::TooLong);
            } else if self.partial.is_empty() {
                give(head, &mut each);
            } else {
                self.partial.extend_from_slice(head);
                give(&self.partial, &mut each);
            }
            self.forget();
        }
        if self.skipping {
            return;
        }
        if self.partial.len() + piece.len() > self.limit {
            self.skipping = true;
            self.forget();
        } else {
            self.partial.extend_from_slice(piece);
        }
    }

    /// The stream has ended: what is left is a line without its line end.
    pub fn finish(&mut self, mut each: impl FnMut(Line<'_>)) {
        if std::mem::take(&mut self.skipping) {
            each(Line::TooLong);
        } else {
            give(&self.partial, &mut each);
        }
        self.forget();
    }

    fn forget(&mut self) {
        if self.partial.capacity() > 1 << 20 {
            self.partial = Vec::new();
        } else {
            self.partial.clear();
        }
    }
}

fn memchr(piece: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', piece)
}

fn give(line: &[u8], each: &mut impl FnMut(Line<'_>)) {
    if !line.iter().all(u8::is_ascii_whitespace) {
        each(Line::Whole(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]], limit: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::with_limit(limit);
        let mut got = Vec::new();
        let mut take = |line: Line<'_>| {
            got.push(match line {
                Line::Whole(bytes) => Some(bytes.to_vec()),
                Line::TooLong => None,
            })
        };
        for piece in pieces {
            lines.feed(piece, &mut take);
        }
        lines.finish(&mut take);
        got
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let stream = b"one\n\ntwo\r\n  \nthree";
        let whole = cut(&[stream], 100);
        assert_eq!(whole, vec![Some(b"one".to_vec()), Some(b"two\r".to_vec()), Some(b"three".to_vec())]);
        for split in 0..stream.len() {
            assert_eq!(cut(&[&stream[..split], &stream[split..]], 100), whole, "split at {split}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(cut(&bytes, 100), whole);
    }

    #[test]
    fn a_long_line_is_skipped_and_the_next_is_taken() {
        let stream = b"12345\n123456\nok\n";
        let expected = vec![Some(b"12345".to_vec()), None, Some(b"ok".to_vec())];
        for split in 0..stream.len() {
            assert_eq!(cut(&[&stream[..split], &stream[split..]], 5), expected, "split at {split}");
        }
        assert_eq!(cut(&[b"1234567"], 5), vec![None]);
    }
}
