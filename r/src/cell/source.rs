//! The source of a cell: parsed whole, then given to R's own prompt one top-level expression at a time.
//!
//! Autoprint, warnings and `.Last.value` are the prompt's work, so it gets source text. Its line buffer also shows how an
//! expression ended: it keeps our text until the next line, and is empty after a jump to the top level.

#![expect(unsafe_code, reason = "calls into R's parser")]

use super::srcref::{End, Lines};
use crate::libr::by_name::looked_up;
use crate::libr::{self, ParseStatus, SEXP};
use crate::runtime::own::own;
use crate::runtime::{api, thread::RThread};
use std::ops::Range;

/// The cell that runs.
pub(crate) static SOURCE: RThread<Source> = RThread::new(Source::new());

/// An expression of more bytes than these is evaluated without R's prompt ([`super::direct_eval`]).
const DIRECT_EVAL_BYTES: usize = 8 << 10;
/// So is one of more lines than these.
const DIRECT_EVAL_LINES: usize = 100;

/// Source, and where its top-level expressions are.
#[derive(Debug)]
pub(crate) struct Source {
    /// The text of the cell.
    code: String,
    /// The byte range of each top-level expression, in order.
    expressions: Vec<Range<usize>>,
    /// Index of the expression after the current one.
    next: usize,
    /// What is left of the current one.
    rest: Range<usize>,
}

impl Source {
    /// No cell.
    const fn new() -> Source {
        Source { code: String::new(), expressions: Vec::new(), next: 0, rest: 0..0 }
    }

    /// Takes a cell's source, not parsed yet.
    pub(crate) fn load(&mut self, code: String) {
        let code = if code.contains('\r') { code.replace("\r\n", "\n") } else { code };
        *self = Source { code, ..Source::new() };
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
    pub(crate) fn wants_direct_eval(&self) -> bool {
        let text = &self.code.as_bytes()[self.rest.clone()];
        text.len() > DIRECT_EVAL_BYTES || text.iter().filter(|&&byte| byte == b'\n').count() > DIRECT_EVAL_LINES
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
    /// It is whole; [`SOURCE`] has the ranges of its expressions.
    Whole,
    /// It is not; R keeps the reason for `parseError`.
    Broken,
}

/// The source of the loaded cell, for calls of R: those may jump or run code of the user's, and so are not made within `with`.
fn loaded() -> &'static str {
    let (pointer, length) = SOURCE.with(|source| (source.code.as_ptr(), source.code.len()));
    // SAFETY: a string that stays where it is until the next cell is loaded. R's prompt asks for that one when all that works on
    // this one has returned or was jumped over.
    unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(pointer, length)) }
}

/// The whole of the current expression, which R's prompt does not get then. Use it before the next cell is loaded.
pub(crate) fn take_whole() -> &'static str {
    let (start, end) =
        SOURCE.with(|source| (std::mem::replace(&mut source.rest.start, source.rest.end), source.rest.end));
    &loaded()[start..end]
}

/// Parses the loaded cell. May jump: R's lexer raises some errors.
pub(crate) fn parse() -> Parsed {
    let code = loaded();
    // SAFETY: every value is protected until the last use; a jump resets the protection stack.
    unsafe {
        let text = libr::Rf_protect(api::source(code));
        // The parser notes srcrefs only for a file, which to it is an environment.
        let file = libr::Rf_protect(libr::R_NewEnv(libr::R_EmptyEnv, 0, 0));
        let mut status = ParseStatus::NULL;
        let expressions = libr::Rf_protect(libr::R_ParseVector(text, -1, &mut status, file));
        let is_whole = status == ParseStatus::OK;
        if is_whole {
            let srcrefs = libr::Rf_getAttrib(expressions, api::symbol(c"srcref"));
            let expressions = ranges(code, srcrefs);
            SOURCE.with(|source| source.expressions = expressions);
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

/// Whether R source, a character vector, is whole, broken or not finished. May jump: R's lexer raises some errors.
pub(crate) fn status(code: SEXP) -> ParseStatus {
    let mut status = ParseStatus::NULL;
    // SAFETY: the caller protects `code`.
    unsafe { libr::R_ParseVector(code, -1, &mut status, api::nil()) };
    status
}

/// Where the expressions are in the source, from its `srcref` attribute: a list of first line, first byte, last line, last
/// byte, first and last column, and the lines again as the parser counts them in spite of `#line`.
fn ranges(code: &str, srcrefs: SEXP) -> Vec<Range<usize>> {
    let lines = Lines::of(code, api::is_utf8());
    let count = |number: i32| usize::try_from(number).unwrap_or(0);
    // SAFETY: any value has a type.
    let is_of = |value, kind| unsafe { libr::TYPEOF(value) } as libr::SEXPTYPE == kind;
    // SAFETY: the parser makes a list of integer vectors of at least eight elements, which is checked. So nothing here jumps.
    unsafe {
        if !is_of(srcrefs, libr::VECSXP) {
            return Vec::new();
        }
        (0..libr::Rf_xlength(srcrefs))
            .filter_map(|index| {
                let srcref = libr::VECTOR_ELT(srcrefs, index);
                if !is_of(srcref, libr::INTSXP) || libr::Rf_xlength(srcref) < 8 {
                    return None;
                }
                let srcref = std::slice::from_raw_parts(libr::INTEGER(srcref), 8);
                let [line, columns, bytes] = [srcref[6], srcref[4] - 1, srcref[1] - 1].map(count);
                let start = lines.offset(End { line, bytes, columns });
                let [line, columns, bytes] = [srcref[7], srcref[5], srcref[3]].map(count);
                Some(start..lines.offset(End { line, bytes, columns }))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(code: &str, size: usize) -> Vec<String> {
        let mut source = Source::new();
        source.load(code.to_owned());
        source.expressions = std::iter::once(0..source.code.len()).collect();
        assert!(source.advance() && source.is_last());
        let mut all = Vec::new();
        while source.has_rest() {
            let mut buffer = vec![1u8; size];
            source.fill(&mut buffer);
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
