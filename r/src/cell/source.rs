//! A cell on its way into R: parsed whole, then handed to R's own prompt one top-level expression at a time.
//!
//! R's prompt evaluates, prints and warns as only it can, so it gets source text. It is also what tells how an expression
//! ended: the prompt's line buffer keeps our text while all goes well, and is empty after a jump to the top level.

#![expect(unsafe_code, reason = "calls into R's parser")]

use super::srcref::{End, Lines};
use crate::libr::by_name::looked_up;
use crate::libr::{self, ParseStatus, SEXP};
use crate::runtime::own::own;
use crate::runtime::{api, thread::RThread};
use std::ops::Range;

/// The cell that is being fed.
pub(crate) static FEED: RThread<Feed> = RThread::new(Feed::new());

/// More bytes than these make an expression large.
const LARGE: usize = 8 << 10;
/// More lines than these do too.
const LARGE_LINES: usize = 100;

/// Source, and where its top-level expressions are.
#[derive(Debug)]
pub(crate) struct Feed {
    code: String,
    expressions: Vec<Range<usize>>,
    /// Index of the expression after the current one.
    next: usize,
    /// What is left of the current one.
    rest: Range<usize>,
}

impl Feed {
    const fn new() -> Feed {
        Feed { code: String::new(), expressions: Vec::new(), next: 0, rest: 0..0 }
    }

    /// Takes a cell's source, not parsed yet.
    pub(crate) fn load(&mut self, code: String) {
        let code = if code.contains('\r') { code.replace("\r\n", "\n") } else { code };
        *self = Feed { code, ..Feed::new() };
    }

    /// The next expression becomes the current one; false when there is none.
    pub(crate) fn advance(&mut self) -> bool {
        let Some(expression) = self.expressions.get(self.next) else {
            return false;
        };
        self.rest = expression.clone();
        self.next += 1;
        true
    }

    /// The current expression is the cell's last.
    pub(crate) fn is_last(&self) -> bool {
        self.next == self.expressions.len()
    }

    /// The current expression is one that R's prompt would take long over: it parses all that it has at each line anew.
    pub(crate) fn is_large(&self) -> bool {
        let text = &self.code.as_bytes()[self.rest.clone()];
        text.len() > LARGE || text.iter().filter(|&&byte| byte == b'\n').count() > LARGE_LINES
    }

    /// Some of the current expression is left.
    pub(crate) fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Copies the next piece into R's line buffer, with a line end after the last one, and ends it with a NUL.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        let room = buffer.len() - 2;
        let text = &self.code.as_bytes()[self.rest.clone()];
        let (size, is_whole) = if text.len() <= room { (text.len(), true) } else { (piece(text, room), false) };
        buffer[..size].copy_from_slice(&text[..size]);
        let mut end = size;
        if is_whole {
            buffer[end] = b'\n';
            end += 1;
        }
        buffer[end] = 0;
        self.rest.start += size;
    }
}

/// How much of `text` to hand over when it does not fit: whole lines if there are any, and whole characters.
fn piece(text: &[u8], room: usize) -> usize {
    if let Some(at) = text[..room].iter().rposition(|&byte| byte == b'\n') {
        return at + 1;
    }
    let mut size = room;
    while size > 0 && text[size] & 0xc0 == 0x80 {
        size -= 1;
    }
    size
}

/// What R's parser says of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// It is whole; FEED knows its expressions.
    Whole,
    /// It is not, and R has noted why for `parseError`.
    Broken,
}

/// The source of the loaded cell, for calls of R: those may jump or run code of the user's, and so are not made within `with`.
fn loaded() -> &'static str {
    let (pointer, length) = FEED.with(|feed| (feed.code.as_ptr(), feed.code.len()));
    // SAFETY: a string that stays where it is until the next cell is loaded. R's prompt asks for that one when all that works on
    // this one has returned or was jumped over.
    unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(pointer, length)) }
}

/// The whole of the current expression, which R's prompt does not get then. Use it before the next cell is loaded.
pub(crate) fn take_whole() -> &'static str {
    let (start, end) = FEED.with(|feed| (std::mem::replace(&mut feed.rest.start, feed.rest.end), feed.rest.end));
    &loaded()[start..end]
}

/// Parses the loaded cell. May jump: R's lexer raises some errors.
pub(crate) fn parse() -> Parsed {
    let code = loaded();
    // SAFETY: every value is protected until the last use; what jumps leaves nothing behind but protection, which R resets.
    unsafe {
        let text = libr::Rf_protect(api::source(code));
        // The parser notes positions only for a file, which to it is an environment.
        let file = libr::Rf_protect(libr::R_NewEnv(libr::R_EmptyEnv, 0, 0));
        let mut status = ParseStatus::NULL;
        let expressions = libr::Rf_protect(libr::R_ParseVector(text, -1, &mut status, file));
        let is_whole = status == ParseStatus::OK;
        if is_whole {
            let positions = libr::Rf_getAttrib(expressions, api::symbol(c"srcref"));
            let expressions = ranges(code, positions);
            FEED.with(|feed| feed.expressions = expressions);
        }
        libr::Rf_unprotect(3);
        if is_whole { Parsed::Whole } else { Parsed::Broken }
    }
}

/// Raises the error of the cell that was parsed last: jumps.
pub(crate) fn raise() {
    // SAFETY: every value is protected until it is used; both ways jump.
    unsafe {
        looked_up().raise_parse_error();
        let code = libr::Rf_protect(api::source(loaded()));
        let call = libr::Rf_protect(libr::Rf_lang2(api::symbol(c"refuse"), code));
        libr::Rf_eval(call, own());
    }
}

/// Tells whether R source, a character vector, is whole, broken or not finished. Jumps when the lexer raises an error.
pub(crate) fn judge(code: SEXP) -> ParseStatus {
    let mut status = ParseStatus::NULL;
    // SAFETY: the caller protects `code`.
    unsafe { libr::R_ParseVector(code, -1, &mut status, api::nil()) };
    status
}

/// Where the expressions are in the source, from the parser's positions: lists of first line, first byte, last line, last
/// byte, first and last column, and the lines again as the parser counts them in spite of `#line`.
fn ranges(code: &str, positions: SEXP) -> Vec<Range<usize>> {
    let lines = Lines::of(code, api::is_utf8());
    let count = |number: i32| usize::try_from(number).unwrap_or(0);
    // SAFETY: any value has a type.
    let is_of = |value, kind| unsafe { libr::TYPEOF(value) } as libr::SEXPTYPE == kind;
    // SAFETY: the parser makes a list of integer vectors of at least eight elements, which is checked. So nothing here jumps.
    unsafe {
        if !is_of(positions, libr::VECSXP) {
            return Vec::new();
        }
        (0..libr::Rf_xlength(positions))
            .filter_map(|index| {
                let position = libr::VECTOR_ELT(positions, index);
                if !is_of(position, libr::INTSXP) || libr::Rf_xlength(position) < 8 {
                    return None;
                }
                let position = std::slice::from_raw_parts(libr::INTEGER(position), 8);
                let [line, columns, bytes] = [position[6], position[4] - 1, position[1] - 1].map(count);
                let start = lines.offset(End { line, bytes, columns });
                let [line, columns, bytes] = [position[7], position[5], position[3]].map(count);
                Some(start..lines.offset(End { line, bytes, columns }))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(code: &str, size: usize) -> Vec<String> {
        let mut feed = Feed::new();
        feed.load(code.to_owned());
        feed.expressions = std::iter::once(0..feed.code.len()).collect();
        assert!(feed.advance() && feed.is_last());
        let mut all = Vec::new();
        while feed.has_rest() {
            let mut buffer = vec![1u8; size];
            feed.fill(&mut buffer);
            let end = buffer.iter().position(|&byte| byte == 0).expect("a piece ends with a NUL");
            all.push(String::from_utf8(buffer[..end].to_vec()).expect("a piece is whole characters"));
        }
        all
    }

    #[test]
    fn a_short_expression_is_one_line() {
        assert_eq!(pieces("x <- 1", 64), ["x <- 1\n"]);
    }

    #[test]
    fn a_long_one_is_cut_at_line_ends() {
        assert_eq!(pieces("{\na\nbb\nccc\n}", 9), ["{\na\nbb\n", "ccc\n}\n"]);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(pieces("ääää", 7), ["ää", "ää\n"]);
    }
}
