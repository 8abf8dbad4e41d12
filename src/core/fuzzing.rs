//! What fuzzers and tests have in common: bytes in, a panic if a promise is broken.
//!
//! `fuzz/` hands these bodies what a fuzzer finds; the tests below hand them random bytes and the corpus that is kept.

use crate::session::model as session_model;
use worker_protocol::Incoming;
use worker_protocol::framing::{Line, Lines};

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

    use proptest::sample::Index;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngSeed, TestRunner};
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::time::{Duration, Instant};

    /// Runs a body over what fuzzers have found worth keeping, and then over things like it, a third of a minute long; the
    /// variable WORKER_FUZZ_SECONDS sets how long else, WORKER_FUZZ_SEED what to begin with.
    fn fuzz(name: &str, body: fn(&[u8])) {
        let folder = format!("{}/../../fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(&folder).expect("a corpus is kept");
        let corpus: Vec<Vec<u8>> =
            files.map(|file| std::fs::read(file.expect("a file").path()).expect("a readable file")).collect();
        corpus.iter().for_each(|bytes| body(bytes));

        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
        let time = Duration::from_secs(number("WORKER_FUZZ_SECONDS").unwrap_or(20));
        let seed = number("WORKER_FUZZ_SEED").unwrap_or_else(|| u64::from(std::process::id()));
        let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() });
        let edits = proptest::collection::vec((0..5_u8, any::<Index>(), any::<Index>(), any::<u8>()), 1..8);
        let cases = (proptest::sample::select(corpus.clone()), proptest::sample::select(corpus), edits);
        let start = Instant::now();
        while start.elapsed() < time {
            let (mut bytes, other, edits) = cases.new_tree(&mut runner).expect("a case").current();
            for (what, at, to, byte) in edits {
                let (at, to) = (at.index(bytes.len() + 1), to.index(other.len() + 1));
                match what {
                    0 => bytes.insert(at, byte),
                    1 => drop(bytes.splice(at.., other[to..].iter().copied())),
                    2 => drop(bytes.splice(at..at, other[..to.min(64)].iter().copied())),
                    _ if at == bytes.len() => {}
                    3 => bytes[at] = byte,
                    _ => drop(bytes.remove(at)),
                }
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(&bytes))) {
                eprintln!("{name}, begun with WORKER_FUZZ_SEED={seed}, breaks on b\"{}\"", bytes.escape_ascii());
                resume_unwind(panic);
            }
        }
    }

    #[test]
    fn no_stream_breaks_the_framing() {
        fuzz("framing", framing);
    }

    #[test]
    fn no_line_breaks_the_parser() {
        fuzz("parsing", parsing);
    }

    #[test]
    fn no_order_of_events_breaks_the_session() {
        fuzz("session", session);
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
