//! What is known of the error that ended an expression, for `ready.error`.
//!
//! A calling handler below all of the user's own (`bootstrap.R`) hands every error that nobody catches to [`record`]; the
//! next thing that R prints on stderr is that error's text.

#![expect(unsafe_code, reason = "called by R with R's values")]

use crate::bootstrap;
use crate::main_cell::MainCell;
use crate::rapi;
use libR_sys::SEXP;
use libc::c_char;
use std::ffi::CStr;
use worker::protocol::{ErrorInfo, Outcome, Role};

#[derive(Debug)]
pub(crate) struct Seen {
    /// An error that nobody caught has been signalled since the expression began.
    condition: bool,
    /// Its text has not been printed yet.
    text_is_due: bool,
    /// The last text of an error that was printed.
    text: Option<String>,
    /// The lone line end of an interrupt was printed on stderr, and no error's text since.
    bare_line_end: bool,
    /// R has left what it was at.
    has_jumped: bool,
}

impl Seen {
    const NOTHING: Seen =
        Seen { condition: false, text_is_due: false, text: None, bare_line_end: false, has_jumped: false };
}

static SEEN: MainCell<Seen> = MainCell::new(Seen::NOTHING);

/// What R had noted of calls when the expression began.
static CALLS_BEFORE: MainCell<SEXP> = MainCell::new(std::ptr::null_mut());

/// An expression begins.
pub(crate) fn forget() {
    CALLS_BEFORE.set(bootstrap::noted_calls());
    SEEN.with(|seen| *seen = Seen::NOTHING);
}

/// Something of ours is about to run in R in the middle of an expression: gives what is known so far.
pub(crate) fn set_aside() -> Seen {
    SEEN.with(|seen| std::mem::replace(seen, Seen::NOTHING))
}

/// That is over.
pub(crate) fn put_back(former: Seen) {
    SEEN.with(|seen| *seen = former);
}

/// R leaves what it was at.
pub(crate) fn note_jump() {
    SEEN.with(|seen| seen.has_jumped = true);
}

/// Whether an interrupt made R leave what it was at, since this was last asked.
pub(crate) fn was_interrupted() -> bool {
    SEEN.with(|seen| std::mem::replace(&mut seen.has_jumped, false) && seen.bare_line_end)
}

/// Called by the handler with the condition.
pub(crate) unsafe extern "C-unwind" fn record(condition: SEXP) -> SEXP {
    bootstrap::keep_condition(condition);
    SEEN.with(|seen| {
        seen.condition = true;
        seen.text_is_due = true;
    });
    crate::plots::show_new_pages();
    rapi::nil()
}

/// An error's text is about to be printed, and no code of the user's runs before that.
pub(crate) fn text_is_due() -> bool {
    SEEN.with(|seen| seen.text_is_due)
}

/// Looks at what is printed on stderr and tells what it is.
pub(crate) fn role_of_stderr(text: &[u8]) -> Option<Role> {
    SEEN.with(|seen| {
        seen.bare_line_end |= text == b"\n";
        // An error that no handler could be called for, such as an overflow of the C stack, is known by its text alone.
        if !std::mem::replace(&mut seen.text_is_due, false) && !begins_as_error(text) {
            return None;
        }
        seen.bare_line_end = false;
        seen.text = Some(String::from_utf8_lossy(text).into_owned());
        Some(Role::Traceback)
    })
}

/// What an error's text begins with, with a call and without.
const BEGINNINGS: [&CStr; 2] = [c"Error in ", c"Error: "];

/// What R prints instead in the language that it speaks.
fn translated(text: &'static CStr) -> &'static CStr {
    unsafe extern "C" {
        fn dgettext(domain: *const c_char, text: *const c_char) -> *const c_char;
    }
    // SAFETY: the messages are C's for as long as the process lives, or `text` itself, which is a constant.
    unsafe { CStr::from_ptr(dgettext(c"R".as_ptr(), text.as_ptr())) }
}

/// Whether this is the beginning of an error's text.
fn begins_as_error(text: &[u8]) -> bool {
    text.starts_with(b"Error")
        || BEGINNINGS.into_iter().any(|beginning| text.starts_with(translated(beginning).to_bytes()))
}

/// The message in an error's printed text: "Error: message" or "Error in call : message".
fn message_of(text: &str) -> String {
    let [with_call, without] = BEGINNINGS.map(translated).map(CStr::to_string_lossy);
    let message = match text.strip_prefix("Error in ").or_else(|| text.strip_prefix(&*with_call)) {
        Some(rest) => rest.split_once(" : ").map_or(rest, |(_, message)| message),
        None => text.trim_start_matches("Error: ").trim_start_matches(&*without),
    };
    message.trim().to_owned()
}

/// How an expression that jumped to the top level ended.
pub(crate) fn verdict() -> (Outcome, Option<ErrorInfo>) {
    let (condition, text, bare_line_end) = SEEN.with(|seen| (seen.condition, seen.text.take(), seen.bare_line_end));
    if bare_line_end || (!condition && text.is_none()) {
        return (Outcome::Interrupted, None);
    }
    let known = if condition { bootstrap::describe_condition() } else { None };
    let mut error = known.unwrap_or_else(|| ErrorInfo {
        name: "simpleError".to_owned(),
        message: message_of(&text.unwrap_or_default()),
        traceback: if bootstrap::noted_calls() == CALLS_BEFORE.get() { Vec::new() } else { bootstrap::calls() },
    });
    error.shorten();
    (Outcome::Error, Some(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_printed_error() {
        assert_eq!(message_of("Error: oops\n"), "oops");
        assert_eq!(message_of("Error in f(1) : \n  oops\n"), "oops");
    }
}
