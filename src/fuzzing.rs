//! What fuzzers and tests have in common: bytes in, a panic if a promise is broken.
//!
//! `fuzz/` hands these bodies what a fuzzer finds; the tests below hand them random bytes and the corpus that is kept.

use crate::framing::{Line, Lines};
use crate::protocol::Incoming;
use crate::session_model;

/// Lines are the same however the stream is cut, and no line of a supervisor's makes the parser panic.
///
/// The first byte is the limit of a line, the second the size of a piece.
pub fn framing(bytes: &[u8]) {
    let [limit, piece, stream @ ..] = bytes else { return };
    let (limit, piece) = (usize::from(*limit), usize::from(*piece).max(1));
    let cut = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut lines = Lines::with_limit(limit);
        let mut got = Vec::new();
        let mut take = |line: Line<'_>| {
            got.push(match line {
                Line::Whole(line) => Some(line.to_vec()),
                Line::TooLong => None,
            });
        };
        pieces.for_each(|piece| lines.feed(piece, &mut take));
        lines.finish(&mut take);
        got
    };
    let whole = cut(&mut [stream].into_iter());
    assert_eq!(cut(&mut stream.chunks(piece)), whole, "cut at {piece}");
    let is_empty = |line: &[u8]| line.iter().all(u8::is_ascii_whitespace);
    let plain: Vec<Option<Vec<u8>>> = stream
        .split(|byte| *byte == b'\n')
        .filter(|line| line.len() > limit || !is_empty(line))
        .map(|line| (line.len() <= limit).then(|| line.to_vec()))
        .collect();
    assert_eq!(whole, plain, "lines of at most {limit}");
    for line in whole.iter().flatten() {
        parsing(line);
    }
}

/// No line makes the parser panic, and what it refuses it refuses with words.
pub fn parsing(line: &[u8]) {
    if let Err(refusal) = Incoming::parse(line) {
        assert!(!refusal.message.is_empty());
    }
}

/// The session state machine keeps its promises whatever happens in whatever order.
pub fn session(bytes: &[u8]) {
    session_model::run(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What fuzzers have found worth keeping.
    #[test]
    fn the_kept_corpus_breaks_no_promise() {
        for (name, body) in [("framing", framing as fn(&[u8])), ("parsing", parsing), ("session", session)] {
            let folder = format!("{}/fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
            let mut count = 0;
            for file in std::fs::read_dir(&folder).expect("a corpus is kept") {
                body(&std::fs::read(file.expect("a file").path()).expect("a readable file"));
                count += 1;
            }
            assert!(count > 0, "{folder} is empty");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        #[test]
        fn lines_are_the_same_however_they_are_cut(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            framing(&bytes);
        }

        #[test]
        fn a_session_keeps_its_promises(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            session(&bytes);
        }
    }
}
