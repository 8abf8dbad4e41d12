//! The one writer of lines that are made by hand: `output_text`, and what is said after a fault.
//!
//! It writes into memory that is there and allocates nothing, so that a session can speak while its allocator is broken.
//! Both the emitter and the last words use it, so that both say the same fields.

use crate::{Role, Stream};

/// How much longer than the text its escaped form can be.
pub const ESCAPED: usize = 6;
/// Room for everything of an `output_text` but its cell and its text.
pub const HEAD: usize = 160;

/// How `output_text` is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextEncoding {
    /// The project's own protocol: JSON text, joined.
    Text,
    /// The second dialect: always base64, flushed before the writing call returns.
    Base64,
}

/// What distinguishes one `output_text` from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Where it was printed.
    pub stream: Stream,
    /// What it is, if it is more than text that was printed.
    pub role: Option<Role>,
    /// It came through the raw descriptor.
    pub from_fd: bool,
}

/// Bytes in a buffer of fixed size; what does not fit is left out.
#[derive(Debug)]
pub struct LineWriter<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl<'a> LineWriter<'a> {
    /// Writes into `bytes`, from their beginning.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        LineWriter { bytes, len: 0 }
    }

    /// What has been written.
    pub fn written(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Writes as many of these as there is room for.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        let size = bytes.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + size].copy_from_slice(&bytes[..size]);
        self.len += size;
    }

    /// The same of a few bytes whose number is known, so that no function is called to copy them.
    #[inline]
    fn push_few<const N: usize>(&mut self, bytes: &[u8; N]) {
        match self.bytes[self.len..].first_chunk_mut() {
            Some(room) => {
                *room = *bytes;
                self.len += N;
            }
            None => self.push(bytes),
        }
    }

    /// The beginning of an `output_text`, up to where its cell is named. `is_rest`: it goes on with what another began.
    pub fn push_head(&mut self, encoding: TextEncoding, kind: Kind, is_rest: bool) {
        self.push(match kind.stream {
            Stream::Stdout => b"{\"type\":\"output_text\",\"stream\":\"stdout\"",
            Stream::Stderr => b"{\"type\":\"output_text\",\"stream\":\"stderr\"",
        });
        if encoding == TextEncoding::Base64 {
            let named: &[u8] = if is_rest { b",\"is_continuation\":true" } else { b",\"is_continuation\":false" };
            return self.push(named);
        }
        if is_rest {
            self.push(b",\"is_continuation\":true");
        }
        if kind.from_fd {
            self.push(b",\"origin\":\"fd\"");
        }
        match kind.role {
            Some(Role::Result) => self.push(b",\"role\":\"result\""),
            Some(Role::Traceback) => self.push(b",\"role\":\"traceback\""),
            None => {}
        }
    }

    /// The name of the cell whose output it is.
    pub fn push_cell(&mut self, id: &str) {
        self.push(b",\"id\":\"");
        self.push_escaped(id);
        self.push(b"\"");
    }

    /// What stands before text.
    pub fn open_text(&mut self) {
        self.push(b",\"text\":\"");
    }

    /// What stands before bytes that are not text, and the bytes.
    pub fn push_data(&mut self, bytes: &[u8]) {
        use base64::Engine as _;
        self.push(b",\"data_b64\":\"");
        let engine = &base64::engine::general_purpose::STANDARD;
        if let Ok(size) = engine.encode_slice(bytes, &mut self.bytes[self.len..]) {
            self.len += size;
        }
    }

    /// The end of a line whose last field is a string.
    pub fn close(&mut self) {
        self.push(CLOSE);
    }

    /// `text` as JSON wants it between quotes.
    ///
    /// Nearly all text needs nothing, so the next byte that does is looked for in blocks, which the compiler turns into
    /// vector instructions, and everything before it is copied at once.
    #[inline]
    pub fn push_escaped(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut done = 0;
        while let Some(&first) = bytes.get(done) {
            // One is often followed by another.
            if is_special(first) {
                self.push_special(first);
                done += 1;
                continue;
            }
            let at = next_special(bytes, done).unwrap_or(bytes.len());
            self.push(&bytes[done..at]);
            done = at;
        }
    }

    #[inline]
    fn push_special(&mut self, byte: u8) {
        match byte {
            b'\n' => self.push_few(b"\\n"),
            b'"' => self.push_few(b"\\\""),
            b'\\' => self.push_few(b"\\\\"),
            b'\r' => self.push_few(b"\\r"),
            b'\t' => self.push_few(b"\\t"),
            _ => self.push_few(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }

    /// A number in hexadecimal digits.
    pub fn push_hex(&mut self, number: usize) {
        for shift in (0..usize::BITS / 4).rev() {
            let rest = number >> (shift * 4);
            if rest != 0 || shift == 0 {
                self.push(&[HEX[rest & 15]]);
            }
        }
    }
}

/// The end of a line whose last field is a string.
pub const CLOSE: &[u8] = b"\"}\n";

const HEX: &[u8; 16] = b"0123456789abcdef";

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn next_special(bytes: &[u8], from: usize) -> Option<usize> {
    const BLOCK: usize = 32;
    let mut at = from;
    for block in bytes[from..].chunks_exact(BLOCK) {
        let mut any = false;
        for &byte in block {
            any |= is_special(byte);
        }
        if any {
            break;
        }
        at += BLOCK;
    }
    bytes[at..].iter().position(|&byte| is_special(byte)).map(|offset| at + offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(text: &str) {
        let mut room = vec![0; ESCAPED * text.len() + 2];
        let mut line = LineWriter::new(&mut room);
        line.push(b"\"");
        line.push_escaped(text);
        line.push(b"\"");
        assert_eq!(serde_json::from_slice::<String>(line.written()).unwrap(), text);
        assert!(!line.written().contains(&b'\n'));
    }

    #[test]
    fn every_ascii_character_at_every_place_of_a_block() {
        for byte in 0..128u8 {
            for length in [0, 1, 31, 32, 33, 63, 64, 65] {
                round_trip(&format!("{}{}é", "x".repeat(length), byte as char));
            }
        }
    }

    #[test]
    fn a_head_and_an_end_fit_into_their_room() {
        for encoding in [TextEncoding::Text, TextEncoding::Base64] {
            for (stream, role) in [(Stream::Stdout, Some(Role::Traceback)), (Stream::Stderr, Some(Role::Result))] {
                let mut room = [0; HEAD];
                let mut line = LineWriter::new(&mut room);
                line.push_head(encoding, Kind { stream, role, from_fd: true }, true);
                line.push_data(b"");
                line.close();
                assert!(line.written().len() < HEAD);
                serde_json::from_slice::<serde_json::Value>(line.written()).unwrap();
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut room = [0; 5];
        let mut line = LineWriter::new(&mut room);
        line.push(b"abc");
        line.push_escaped("\u{1}");
        line.push_data(b"xyz");
        assert_eq!(line.written(), b"abc\\u");
    }

    #[test]
    fn numbers_have_no_zeros_before_them() {
        for number in [0, 1, 0xf0, 0xdead_beef, usize::MAX] {
            let mut room = [0; 16];
            let mut line = LineWriter::new(&mut room);
            line.push_hex(number);
            assert_eq!(line.written(), format!("{number:x}").as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in ".*") {
            round_trip(&text);
        }
    }
}
