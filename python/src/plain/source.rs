//! The source of a cell as text.

use std::borrow::Cow;

/// The source with `\n` for `\r\n`.
pub(crate) fn with_unix_line_ends(code: &str) -> Cow<'_, str> {
    if code.contains("\r\n") { code.replace("\r\n", "\n").into() } else { code.into() }
}

/// Whether it is worth compiling the source as one expression first. False for more than one line, and for what `eval`
/// would take differently from `exec` (indentation) or what is no expression (a comment).
pub(crate) fn may_be_expression(source: &str) -> bool {
    !source.contains('\n') && !source.starts_with([' ', '\t', '\x0c', '#'])
}

/// The line of this number, from 1, with a line end; none if there is no such line.
pub(crate) fn line(source: &str, number: usize) -> Option<String> {
    source.lines().nth(number.checked_sub(1)?).map(|line| format!("{line}\n"))
}

/// The lines as `linecache` has them: each with a line end, also the last one.
pub(crate) fn lines(source: &str) -> Vec<Cow<'_, str>> {
    let whole = |line| if str::ends_with(line, '\n') { Cow::from(line) } else { format!("{line}\n").into() };
    source.split_inclusive('\n').map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_windows_line_ends_are_replaced() {
        assert_eq!(with_unix_line_ends("a\r\nb\r\n"), "a\nb\n");
        assert_eq!(with_unix_line_ends("a\rb\n\r"), "a\rb\n\r");
        assert!(matches!(with_unix_line_ends("a\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn one_line_without_indentation_may_be_an_expression() {
        assert!(["1 + 1", "", "x = 1"].into_iter().all(may_be_expression));
        assert!(![" 1", "\t1", "\x0c1", "# 1", "1\n", "1\n2"].into_iter().any(may_be_expression));
    }

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!(line("a\nb", 1).as_deref(), Some("a\n"));
        assert_eq!(line("a\nb", 2).as_deref(), Some("b\n"));
        assert_eq!(line("a\nb", 0), None);
        assert_eq!(line("a\nb", 3), None);
        assert_eq!(line("", 1), None);
    }

    #[test]
    fn every_line_of_linecache_ends() {
        assert_eq!(lines("a\n\nb"), ["a\n", "\n", "b\n"]);
        assert_eq!(lines("a\n"), ["a\n"]);
        assert_eq!(lines(""), [""; 0]);
    }
}
