//! Requests that only the interpreter can answer: `is_complete`, `complete`, `inspect` and `variables`.
//!
//! R code (`requests.R`) finds out, evaluated at the first request; here are its arguments and its results as JSON.

#![expect(unsafe_code, reason = "calls into R's C interface")]

use super::token_at_cursor::name_at;
use crate::cell::{conditions, source};
use crate::libr::by_name::looked_up;
use crate::libr::{self, SEXP};
use crate::runtime::own::{self, Native, muted};
use crate::runtime::{api, thread::RThread};
use crate::signals::interrupts;
use serde_json::Value;
use std::ffi::CStr;
use worker_core::Request;
use worker_core::engine::Engine;
use worker_core::signals::interrupt;
use worker_protocol::questions::{self, Completeness, Place, Question};
use worker_protocol::{Code, Refusal};

/// What `requests.R` calls of this engine.
const NATIVES: [Native; 3] = [
    (c"parse_status", parse_status as *const ()),
    (c"unread", unread as *const ()),
    (c"length_of", length_of as *const ()),
];

/// The environment of `requests.R`; null before the first request.
static TOOLS: RThread<SEXP> = RThread::new(std::ptr::null_mut());

/// Works on a request and answers it. `is_debugging`: names are those of the innermost frame.
pub(crate) fn answer(engine: &Engine, request: &Request, is_debugging: bool) {
    interrupt::unblock_signals();
    let answer = work_out(request, is_debugging);
    interrupt::block_signals();
    // An interrupt that is still pending was meant for the request.
    interrupts::clear();
    engine.respond(request, answer);
}

/// The answer to a request.
fn work_out(request: &Request, is_debugging: bool) -> Result<Value, Refusal> {
    match Question::of(&request.rpc)? {
        Question::IsComplete(code) => is_complete(code),
        Question::Complete(place) => complete(place, is_debugging),
        Question::Inspect(place) => inspect(place, is_debugging),
        Question::Variables => variables(is_debugging),
    }
}

/// `is_complete`: whether the code is whole, not finished or broken.
fn is_complete(code: &str) -> Result<Value, Refusal> {
    let status = call(c"is_complete", Some(&code.replace("\r\n", "\n")), None)?;
    // SAFETY: `requests.R` gives one integer.
    let completeness = match unsafe { libr::Rf_asInteger(status) } {
        2 => Completeness::Incomplete { indent: indent(code) },
        3 => Completeness::Invalid,
        _ => Completeness::Complete,
    };
    Ok(completeness.result())
}

/// What the next line begins with: the last line's indentation, and more after an opening bracket.
fn indent(code: &str) -> String {
    let line = code.trim_end().rsplit('\n').next().unwrap_or_default();
    let own: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    if line.ends_with(['{', '(', '[']) { own + "  " } else { own }
}

/// `complete`: what may stand for the end of the code before the cursor.
fn complete(place: Place<'_>, is_debugging: bool) -> Result<Value, Refusal> {
    let before: String = place.code.chars().take(place.cursor).collect();
    let line = before.rsplit('\n').next().unwrap_or_default();
    let found = call(c"complete", Some(line), Some(is_debugging))?;
    let [texts, types] = [0, 1].map(|index| part(found, index));
    // SAFETY: the third part is one number.
    let length = usize::try_from(unsafe { libr::Rf_asInteger(libr::VECTOR_ELT(found, 2)) }).unwrap_or(0);
    Ok(questions::completions(texts.into_iter().zip(types), place.cursor.saturating_sub(length)..place.cursor))
}

/// `inspect`: the documentation of the name at the cursor.
fn inspect(place: Place<'_>, is_debugging: bool) -> Result<Value, Refusal> {
    let name = name_at(place.code, place.cursor);
    let text =
        if name.is_empty() { Vec::new() } else { api::strings(call(c"inspect", Some(&name), Some(is_debugging))?) };
    Ok(questions::inspection(text.first().map(String::as_str)))
}

/// `variables`: names, types and summaries.
fn variables(is_debugging: bool) -> Result<Value, Refusal> {
    let found = call(c"variables", None, Some(is_debugging))?;
    let [names, types, summaries] = [0, 1, 2].map(|index| part(found, index));
    let found = names.into_iter().zip(types).zip(summaries);
    Ok(questions::variables(found.map(|((name, kind), summary)| (name, kind, summary))))
}

/// The strings of one part of a list.
fn part(list: SEXP, index: isize) -> Vec<String> {
    // SAFETY: `requests.R` gives lists of as many parts as are asked for here.
    api::strings(unsafe { libr::VECTOR_ELT(list, index) })
}

/// Calls a function of `requests.R`. What it prints is dropped; an error or an interrupt in it refuses the request.
fn call(function: &CStr, text: Option<&str>, is_debugging: Option<bool>) -> Result<SEXP, Refusal> {
    let seen = conditions::save();
    // SAFETY: every value is protected until it is used; nothing here has a destructor.
    let evaluate = || unsafe {
        if TOOLS.get().is_null() {
            prepare();
        }
        let text = libr::Rf_protect(text.map_or(api::nil(), api::string));
        let is_debugging = libr::Rf_protect(
            is_debugging.map_or(api::nil(), |is_debugging| libr::Rf_ScalarLogical(is_debugging.into())),
        );
        let mut arguments = api::nil();
        for value in [is_debugging, text] {
            if value != api::nil() {
                arguments = libr::Rf_cons(value, arguments);
            }
        }
        // `requests.R` has the symbols, so to ask for them allocates nothing.
        let arguments = libr::Rf_protect(libr::Rf_cons(api::symbol(function), arguments));
        let call = libr::Rf_protect(libr::Rf_lcons(api::symbol(c"run"), arguments));
        let result = libr::Rf_protect(libr::Rf_eval(call, TOOLS.get()));
        // The binding keeps it alive while it is read.
        libr::Rf_defineVar(api::symbol(c"result"), result, TOOLS.get());
        libr::Rf_unprotect(5);
        result
    };
    let result = muted(|| api::at_top_level(evaluate));
    conditions::restore(seen);
    result.ok_or_else(|| Refusal::new(Code::Internal, "R raised an error or an interrupt over the request"))
}

/// Makes the environment of `requests.R`. May jump.
unsafe fn prepare() {
    // SAFETY: every value is protected until it is bound.
    unsafe {
        let env = libr::Rf_protect(libr::R_NewEnv(own::own(), 1, 29));
        own::bind(&NATIVES, env);
        own::evaluate(include_str!("requests.R"), env);
        libr::R_PreserveObject(env);
        TOOLS.set(env);
        libr::Rf_unprotect(1);
    }
}

/// `.Call`: what the parser says of a character vector, as R's number for it.
unsafe extern "C-unwind" fn parse_status(code: SEXP) -> SEXP {
    // SAFETY: `requests.R` passes a string; a new value is given back at once.
    unsafe { libr::Rf_ScalarInteger(source::status(code).0) }
}

/// Why a name is not to be read: 1 for no reason, 2 since it is bound to a promise that has no value yet, 3 since it is bound to
/// the marker of a missing argument.
unsafe extern "C-unwind" fn unread(name: SEXP, env: SEXP) -> SEXP {
    // SAFETY: `requests.R` passes a symbol and an environment that binds it, not actively.
    unsafe {
        let why = if looked_up().promise(name, env) == Some(false) {
            2
        } else if looked_up().is_missing(name, env) {
            3
        } else {
            1
        };
        libr::Rf_ScalarInteger(why)
    }
}

/// `.Call`: the length of a value, no method of the user's called.
unsafe extern "C-unwind" fn length_of(value: SEXP) -> SEXP {
    // SAFETY: any value has a length in this sense.
    unsafe { libr::Rf_ScalarReal(libr::Rf_xlength(value) as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_line_is_indented() {
        assert_eq!(indent("f <- function() {"), "  ");
        assert_eq!(indent("  x +"), "  ");
    }
}
