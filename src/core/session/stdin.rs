//! Standard input that has been sent and not yet read: bytes, first in, first out.

/// What a reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// One line, its line end included.
    Line,
    /// What there is as soon as there is any, at most so many bytes.
    Upto(usize),
    /// Exactly so many characters, or fewer at the end of file.
    Chars(usize),
    /// Exactly so many bytes, or fewer at the end of file.
    Bytes(usize),
    /// Everything up to the end of file.
    All,
    /// At most so many bytes, which stay where they are.
    Peek(usize),
    /// Nothing: only that there is something, or the end of file (`select`).
    Any,
}

/// Queued standard input of one cell or one wait.
#[derive(Debug, Default)]
pub(crate) struct Stdin {
    bytes: Vec<u8>,
    head: usize,
    /// Nothing comes after what is queued.
    pub(crate) eof: bool,
}

impl Stdin {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.head
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Puts back what another reader left.
    pub(crate) fn push_front(&mut self, bytes: &[u8]) {
        self.bytes.splice(0..self.head, bytes.iter().copied());
        self.head = 0;
    }

    /// Takes everything.
    pub(crate) fn drain(&mut self) -> Vec<u8> {
        let rest = self.bytes.split_off(self.head);
        self.bytes = Vec::new();
        self.head = 0;
        rest
    }

    /// Takes what `want` asks for; none when it must wait. Empty bytes mean the end of file (or, for [`Want::Any`], yes).
    pub(crate) fn take(&mut self, want: Want) -> Option<Vec<u8>> {
        let queued = &self.bytes[self.head..];
        let size = match want {
            Want::Line => memchr::memchr(b'\n', queued).map(|at| at + 1),
            Want::Upto(most) | Want::Peek(most) => (!queued.is_empty()).then(|| most.min(queued.len())),
            Want::Bytes(count) => (queued.len() >= count).then_some(count),
            Want::Chars(count) => char_boundary(queued, count),
            Want::All => None,
            Want::Any => return (self.eof || !queued.is_empty()).then(Vec::new),
        };
        let size = match size {
            Some(size) => size,
            None if self.eof => queued.len(),
            None => return None,
        };
        let taken = queued[..size].to_vec();
        if matches!(want, Want::Peek(_)) {
            return Some(taken);
        }
        self.head += size;
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.head = 0;
        }
        Some(taken)
    }
}

/// Where the first `count` characters end; none when there are fewer. A byte that begins no character counts as one.
fn char_boundary(bytes: &[u8], count: usize) -> Option<usize> {
    let mut starts =
        bytes.iter().enumerate().filter(|(_, byte)| **byte & 0xC0 != 0x80).map(|(at, _)| at).chain([bytes.len()]);
    starts.nth(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stdin(text: &str) -> Stdin {
        let mut stdin = Stdin::default();
        stdin.push(text.as_bytes());
        stdin
    }

    fn take(stdin: &mut Stdin, want: Want) -> Option<String> {
        stdin.take(want).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn lines_come_one_by_one() {
        let mut input = stdin("one\ntwo\nthr");
        assert_eq!(take(&mut input, Want::Line).as_deref(), Some("one\n"));
        assert_eq!(take(&mut input, Want::Line).as_deref(), Some("two\n"));
        assert_eq!(take(&mut input, Want::Line), None);
        input.eof = true;
        assert_eq!(take(&mut input, Want::Line).as_deref(), Some("thr"));
        assert_eq!(take(&mut input, Want::Line).as_deref(), Some(""));
    }

    #[test]
    fn bytes_and_characters_are_counted() {
        let mut input = stdin("é€x\n");
        assert_eq!(take(&mut input, Want::Chars(2)).as_deref(), Some("é€"));
        assert_eq!(take(&mut input, Want::Chars(3)), None);
        assert_eq!(take(&mut input, Want::Upto(10)).as_deref(), Some("x\n"));
        assert_eq!(take(&mut input, Want::Upto(10)), None);
        let mut input = stdin("abc");
        assert_eq!(take(&mut input, Want::Bytes(4)), None);
        assert_eq!(take(&mut input, Want::Bytes(2)).as_deref(), Some("ab"));
        assert_eq!(take(&mut input, Want::Chars(1)).as_deref(), Some("c"));
    }

    #[test]
    fn everything_waits_for_the_end() {
        let mut input = stdin("a\n");
        assert_eq!(take(&mut input, Want::All), None);
        assert_eq!(take(&mut input, Want::Any).as_deref(), Some(""));
        input.eof = true;
        assert_eq!(take(&mut input, Want::All).as_deref(), Some("a\n"));
        assert_eq!(take(&mut input, Want::All).as_deref(), Some(""));
    }

    #[test]
    fn what_is_put_back_comes_first() {
        let mut input = stdin("xyz");
        input.take(Want::Upto(1));
        input.push_front(b"ab");
        assert_eq!(input.len(), 4);
        assert_eq!(input.drain(), b"abyz");
        assert_eq!(input.len(), 0);
    }
}
