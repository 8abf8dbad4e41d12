//! Which output is the printed value of a cell's last expression, and which the expression itself prints.
//!
//! R binds `.Last.value` after it has evaluated an expression and before it prints the value. So the engine keeps what that
//! is bound to when the expression begins; once it is bound to something else, what is printed is the result. An expression may
//! have the very value that the one before it had. Where R prints such a value by calling functions, it is bound as a promise
//! meanwhile, one that reads as the value, and R replaces that. Where there are task callbacks, which R calls after it has printed,
//! and where a debugger has evaluated things of its own, the outermost call has to be R's own to print a value as well.

#![expect(unsafe_code, reason = "reads a binding of R's base environment")]

use crate::libr::by_name::looked_up;
use crate::libr::{self, SEXP};
use crate::runtime::own::{self, is_true};
use crate::runtime::{api, thread::RThread};
use std::ptr::null_mut;

/// What `.Last.value` was bound to when the last expression began.
#[derive(Debug, Clone, Copy)]
enum Before {
    /// The expression is not the cell's last one.
    NotLast,
    /// This value, which R prints without calling a function, or nothing at all.
    Plain(SEXP),
    /// A promise of this engine's.
    Promise,
    /// Another value: no API of this R's distinguishes promises from values.
    Other,
}

/// What is known of the expression that runs.
#[derive(Debug, Clone, Copy)]
struct Marker {
    /// What `.Last.value` was bound to when it began.
    before: Before,
    /// A browser has evaluated things of its own meanwhile, and each of them binds `.Last.value`.
    has_debugger_eval: bool,
    /// There are task callbacks; not known before something was printed.
    has_callbacks: Option<bool>,
}

impl Marker {
    /// No expression runs, or not the last one.
    const NONE: Marker = Marker { before: Before::NotLast, has_debugger_eval: false, has_callbacks: None };
}

/// Of the expression that runs.
static MARKER: RThread<Marker> = RThread::new(Marker::NONE);

/// The symbol `.Last.value`, kept because it is used for every line of output.
static SYMBOL: RThread<SEXP> = RThread::new(null_mut());

/// The symbol `.Last.value`.
fn symbol() -> SEXP {
    if SYMBOL.get().is_null() {
        SYMBOL.set(api::symbol(c".Last.value"));
    }
    SYMBOL.get()
}

/// What `.Last.value` is bound to.
fn last_value() -> SEXP {
    // SAFETY: R sets the variable once.
    api::binding(symbol(), unsafe { libr::R_BaseEnv })
}

/// Whether it is bound to a promise.
fn is_promise() -> bool {
    // SAFETY: a binding of the base environment, which is not active.
    unsafe { looked_up().promise(symbol(), libr::R_BaseEnv) }.is_some()
}

/// An expression begins; `is_last`: the cell's last one. Allocates in R.
pub(crate) fn begin(is_last: bool) {
    let before = if is_last { note() } else { Before::NotLast };
    MARKER.set(Marker { before, ..Marker::NONE });
}

/// What `.Last.value` is bound to. Binds it as a promise where R would call functions to print such a value.
fn note() -> Before {
    if is_promise() {
        // Of the expression before this one, which an error ended.
        return Before::Promise;
    }
    let value = last_value();
    if is_plain(value) {
        return Before::Plain(value);
    }
    own::run_quietly(c"promise_last_value");
    if is_promise() { Before::Promise } else { Before::Other }
}

/// Whether R prints the value without calling a function of R code: NULL, or an atomic vector without class, names and
/// dimensions.
fn is_plain(value: SEXP) -> bool {
    // SAFETY: reads the value's type and attributes.
    unsafe {
        let is_atomic = (libr::LGLSXP..=libr::STRSXP).contains(&(libr::TYPEOF(value) as libr::SEXPTYPE));
        value == api::nil()
            || is_atomic
                && libr::Rf_isObject(value) == libr::Rboolean::FALSE
                && libr::Rf_getAttrib(value, api::symbol(c"names")) == api::nil()
                && libr::Rf_getAttrib(value, api::symbol(c"dim")) == api::nil()
    }
}

/// Binds `.Last.value`, as R's own loop does after it has evaluated an expression. The caller protects `value`. May jump.
pub(crate) fn set_last_value(value: SEXP) {
    // SAFETY: every value is protected until it is used.
    unsafe {
        let quoted = libr::Rf_protect(libr::Rf_lang2(api::symbol(c"quote"), value));
        let call = libr::Rf_protect(libr::Rf_lang2(api::symbol(c"set_last_value"), quoted));
        libr::Rf_eval(call, own::own());
        libr::Rf_unprotect(2);
    }
}

/// A browser is about to evaluate something.
pub(crate) fn note_debugger_eval() {
    MARKER.with(|marker| marker.has_debugger_eval = true);
}

/// Whether what is printed now is the result. `is_at_top`: no call is active.
pub(crate) fn is_printed(is_at_top: bool) -> bool {
    let Marker { before, has_debugger_eval, has_callbacks } = MARKER.get();
    if is_at_top {
        return !matches!(before, Before::NotLast);
    }
    let is_evaluated = match before {
        Before::NotLast => return false,
        Before::Promise => has_debugger_eval || !is_promise(),
        Before::Plain(value) => has_debugger_eval || last_value() != value,
        Before::Other => true,
    };
    if !is_evaluated {
        return false;
    }
    if has_debugger_eval || matches!(before, Before::Other) {
        return is_true(c"is_printing_result");
    }
    let has_callbacks = has_callbacks.unwrap_or_else(|| {
        let has_callbacks = is_true(c"has_callbacks");
        MARKER.with(|marker| marker.has_callbacks = Some(has_callbacks));
        has_callbacks
    });
    !has_callbacks || is_true(c"is_printing_result")
}

/// No expression runs.
pub(crate) fn end() {
    MARKER.set(Marker::NONE);
}
