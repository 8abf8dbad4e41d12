//! Standard input: what a call of `open` or a read of Python's asks for.

use std::time::{Duration, Instant};
use worker_core::Want;

/// Whether a path names fd 0.
pub(crate) fn is_stdin_path(path: &str) -> bool {
    ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].contains(&path)
}

/// Whether a mode of `open` that reads is binary; none for a mode that does anything else, or is wrong.
pub(crate) fn is_binary(mode: &str) -> Option<bool> {
    match mode {
        "r" | "rt" | "tr" => Some(false),
        "rb" | "br" => Some(true),
        _ => None,
    }
}

/// Whether an encoding is UTF-8, by one of its usual names.
pub(crate) fn is_utf8(encoding: &str) -> bool {
    matches!(encoding.to_ascii_lowercase().replace('_', "-").as_str(), "utf-8" | "utf8")
}

/// A line without its line end.
pub(crate) fn without_line_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// What a read of at most `size` bytes wants: no bytes without a wait, else what there is as soon as there is any.
pub(crate) fn up_to(size: usize) -> Want {
    if size == 0 { Want::Bytes(0) } else { Want::Upto(size) }
}

/// A line of at most `limit` bytes: what `readline(limit)` of a binary file gives. `read` gives nothing at the end of
/// file.
pub(crate) fn line_of_bytes<E>(limit: usize, mut read: impl FnMut(Want) -> Result<Vec<u8>, E>) -> Result<Vec<u8>, E> {
    let mut line = Vec::new();
    while line.len() < limit && !line.ends_with(b"\n") {
        let next = read(Want::Bytes(1))?;
        if next.is_empty() {
            break;
        }
        line.extend_from_slice(&next);
    }
    Ok(line)
}

/// A line of at most `limit` characters, as UTF-8: what `readline(limit)` of a text file gives.
pub(crate) fn line_of_chars<E>(limit: usize, mut read: impl FnMut(Want) -> Result<Vec<u8>, E>) -> Result<Vec<u8>, E> {
    let mut line = Vec::new();
    for _ in 0..limit {
        let next = read(Want::Chars(1))?;
        line.extend_from_slice(&next);
        if next.is_empty() || next == b"\n" {
            break;
        }
    }
    Ok(line)
}

/// When a wait of so many seconds from `now` ends; none if it has no end, or one that the clock cannot reach.
pub(crate) fn deadline(now: Instant, seconds: Option<f64>) -> Option<Instant> {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).and_then(|limit| now.checked_add(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads from `text`, which is at its end afterwards.
    fn source(text: &str) -> impl FnMut(Want) -> Result<Vec<u8>, ()> {
        let mut left = text.to_owned();
        move |want| {
            let size = match want {
                Want::Bytes(1) => left.len().min(1),
                Want::Chars(1) => left.chars().next().map_or(0, char::len_utf8),
                _ => return Err(()),
            };
            let rest = left.split_off(size);
            Ok(std::mem::replace(&mut left, rest).into_bytes())
        }
    }

    #[test]
    fn only_these_paths_are_fd_0() {
        assert!(["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].into_iter().all(is_stdin_path));
        assert!(!["", "0", "/dev/fd/00", "/dev/stdin/", "/proc/self/fd/1"].into_iter().any(is_stdin_path));
    }

    #[test]
    fn modes_that_read_alone_are_known() {
        assert_eq!(
            ["r", "rt", "tr", "rb", "br"].map(is_binary),
            [Some(false), Some(false), Some(false), Some(true), Some(true)]
        );
        assert!(["", "w", "r+", "rb+", "rr", "b", "U"].into_iter().all(|mode| is_binary(mode).is_none()));
    }

    #[test]
    fn utf8_has_several_names() {
        assert!(["utf-8", "UTF-8", "utf8", "Utf_8", "UTF8"].into_iter().all(is_utf8));
        assert!(!["", "utf-16", "utf-8-sig", "latin-1", "u8"].into_iter().any(is_utf8));
    }

    #[test]
    fn one_line_end_is_dropped() {
        assert_eq!(without_line_end(b"a\n"), b"a");
        assert_eq!(without_line_end(b"a\n\n"), b"a\n");
        assert_eq!(without_line_end(b"a\r"), b"a\r");
        assert_eq!(without_line_end(b""), b"");
    }

    #[test]
    fn a_read_of_nothing_does_not_wait() {
        assert!(matches!(up_to(0), Want::Bytes(0)));
        assert!(matches!(up_to(3), Want::Upto(3)));
    }

    #[test]
    fn a_line_of_bytes_ends_at_its_end_its_limit_or_the_end_of_file() {
        let mut read = source("ab\ncd");
        assert_eq!(line_of_bytes(9, &mut read).unwrap(), b"ab\n");
        assert_eq!(line_of_bytes(0, &mut read).unwrap(), b"");
        assert_eq!(line_of_bytes(1, &mut read).unwrap(), b"c");
        assert_eq!(line_of_bytes(9, &mut read).unwrap(), b"d");
        assert_eq!(line_of_bytes(9, &mut read).unwrap(), b"");
        assert_eq!(line_of_bytes(9, |_| Err("interrupted")), Err("interrupted"));
    }

    #[test]
    fn a_line_of_characters_never_has_a_part_of_one() {
        let mut read = source("äß\n€");
        assert_eq!(line_of_chars(1, &mut read).unwrap(), "ä".as_bytes());
        assert_eq!(line_of_chars(9, &mut read).unwrap(), "ß\n".as_bytes());
        assert_eq!(line_of_chars(0, &mut read).unwrap(), b"");
        assert_eq!(line_of_chars(9, &mut read).unwrap(), "€".as_bytes());
        assert_eq!(line_of_chars(9, &mut read).unwrap(), b"");
        assert_eq!(line_of_chars(9, |_| Err("interrupted")), Err("interrupted"));
    }

    #[test]
    fn a_deadline_beyond_the_clock_is_none() {
        let now = Instant::now();
        assert_eq!(deadline(now, Some(1.5)), Some(now + Duration::from_millis(1500)));
        assert_eq!(deadline(now, None), None);
        assert_eq!([1e19, 1e300, f64::INFINITY, f64::NAN].map(|seconds| deadline(now, Some(seconds))), [None; 4]);
    }
}
