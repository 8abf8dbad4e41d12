//! Where R's parser says that expressions are, as offsets in the source.

/// One end of an expression: how many bytes of its line, and how many columns, come before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// The line, from 1.
    pub line: usize,
    /// Bytes of its line before it.
    pub bytes: usize,
    /// Columns of its line before it.
    pub columns: usize,
}

/// The lines of a source.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    /// The whole text.
    code: &'a str,
    /// Whether the parser takes the source for UTF-8; if not, each byte is a column to it.
    is_utf8: bool,
    /// The offset of each line.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// The lines of `code`.
    pub(crate) fn of(code: &'a str, is_utf8: bool) -> Self {
        let after_ends = code.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Lines { code, is_utf8, starts: std::iter::once(0).chain(after_ends).collect() }
    }

    /// The offset of an end.
    ///
    /// The parser counts the bytes of characters beyond ASCII twice within strings, and its columns run on to the next multiple
    /// of eight at a tab. So columns are what to go by, counted as it does, where a line is not plain ASCII.
    pub(crate) fn offset(&self, end: End) -> usize {
        let Some(&start) = self.starts.get(end.line.wrapping_sub(1)) else { return self.code.len() };
        let stop = self.starts.get(end.line).copied().unwrap_or(self.code.len());
        let line = &self.code[start..stop];
        if line.is_ascii() {
            return start + end.bytes.min(line.len());
        }
        let mut column = 0;
        for (at, byte) in line.bytes().enumerate() {
            if self.is_utf8 && !line.is_char_boundary(at) {
                continue;
            }
            if column >= end.columns {
                return self.code.floor_char_boundary(start + at);
            }
            column += 1;
            if byte == b'\t' {
                column = (column + 7) & !7;
            }
        }
        stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_in_ascii() {
        let lines = Lines::of("x <- 1; y\n\tz", true);
        assert_eq!(lines.offset(End { line: 1, bytes: 8, columns: 8 }), 8);
        assert_eq!(lines.offset(End { line: 2, bytes: 1, columns: 8 }), 11);
    }

    #[test]
    fn columns_count_elsewhere() {
        let code = "'éé'; \t'é'; z";
        let lines = Lines::of(code, true);
        assert_eq!(&code[..lines.offset(End { line: 1, bytes: 8, columns: 4 })], "'éé'");
        assert_eq!(&code[lines.offset(End { line: 1, bytes: 99, columns: 8 })..], "'é'; z");
    }

    #[test]
    fn bytes_are_columns_where_the_locale_is_not_utf8() {
        let code = "x <- 'é'; \ty <- 1; z";
        let lines = Lines::of(code, false);
        assert_eq!(&code[..lines.offset(End { line: 1, bytes: 99, columns: 9 })], "x <- 'é'");
        assert_eq!(&code[lines.offset(End { line: 1, bytes: 99, columns: 16 })..], "y <- 1; z");
    }
}
