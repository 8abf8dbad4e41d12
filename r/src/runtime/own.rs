//! The worker's own functions in R: an environment that the user's code cannot reach, and calls of what is in it.

#![expect(unsafe_code, reason = "calls into R's C interface")]

use super::api;
use super::thread::RThread;
use crate::libr::{self, SEXP};
use std::ffi::CStr;
use std::ptr::null_mut;

/// A function of this engine that R code of ours calls by `.Call`: its name there, and its address.
pub(crate) type Native = (&'static CStr, *const ());

/// The environment that `bootstrap.R` makes, or null before that.
static OWN: RThread<SEXP> = RThread::new(null_mut());

/// What R prints is dropped, since R code of the worker runs.
static IS_MUTED: RThread<bool> = RThread::new(false);

/// Whether what R prints is to be dropped.
pub(crate) fn is_muted() -> bool {
    IS_MUTED.get()
}

/// Runs `body` with what R prints dropped. `body` does not jump.
pub(crate) fn muted<T>(body: impl FnOnce() -> T) -> T {
    let before = IS_MUTED.get();
    IS_MUTED.set(true);
    let result = body();
    IS_MUTED.set(before);
    result
}

/// Keeps the environment. At R's top level.
pub(crate) fn set_own(own: SEXP) {
    // SAFETY: the caller protects it; from here on R keeps it.
    unsafe { libr::R_PreserveObject(own) };
    OWN.set(own);
}

/// Whether the worker's environment has been made.
pub(crate) fn is_up() -> bool {
    !own().is_null()
}

/// The worker's environment in R; null before R is up.
pub(crate) fn own() -> SEXP {
    OWN.get()
}

/// Evaluates R code of ours in `env` and gives the value of its last expression. May jump.
pub(crate) fn evaluate(code: &str, env: SEXP) -> SEXP {
    // SAFETY: values are protected until the last use.
    unsafe {
        let text = libr::Rf_protect(api::string(code));
        let mut status = libr::ParseStatus::NULL;
        let expressions = libr::Rf_protect(libr::R_ParseVector(text, -1, &mut status, api::nil()));
        let mut value = api::nil();
        if status == libr::ParseStatus::OK {
            for index in 0..libr::Rf_xlength(expressions) {
                value = libr::Rf_eval(libr::VECTOR_ELT(expressions, index), env);
            }
        }
        libr::Rf_unprotect(2);
        value
    }
}

/// Binds functions of ours in `env`, as `.Call` takes them. R calls each with as many values as the R code there passes. May
/// jump when memory is exhausted.
pub(crate) fn bind(natives: &[Native], env: SEXP) {
    for &(name, function) in natives {
        // SAFETY: a function pointer is as large as any other; the value is protected until it is bound.
        unsafe {
            let function = std::mem::transmute::<*const (), libr::DL_FUNC>(function);
            let tag = api::symbol(c"native symbol");
            // A symbol that is new is allocated, so the value is protected before that.
            let pointer = libr::Rf_protect(libr::R_MakeExternalPtrFn(function, tag, api::nil()));
            libr::Rf_defineVar(api::symbol(name), pointer, env);
            libr::Rf_unprotect(1);
        }
    }
}

/// Evaluates a call of a function of ours without arguments, and gives what `read` makes of the value before anything can
/// collect that; none when it failed, or before R is up.
fn call_and<T: Copy>(name: &CStr, read: impl FnOnce(SEXP) -> T + Copy) -> Option<T> {
    if !is_up() {
        return None;
    }
    // SAFETY: call and value are protected until the last use.
    api::at_top_level(|| unsafe {
        let call = libr::Rf_protect(libr::Rf_lang1(api::symbol(name)));
        let result = read(libr::Rf_protect(libr::Rf_eval(call, own())));
        libr::Rf_unprotect(2);
        result
    })
}

/// Evaluates a call of a function of ours without arguments; none when it failed. The value stays bound in the worker's
/// environment, and so alive, until the next call of this.
pub(crate) fn call(name: &CStr) -> Option<SEXP> {
    call_and(name, |value| {
        // SAFETY: the value is protected, and the environment is preserved.
        unsafe { libr::Rf_defineVar(api::symbol(c"kept"), value, own()) };
        value
    })
}

/// Calls a function of ours for what it does, without interrupts. What it raises ends it, and what it prints is dropped.
pub(crate) fn run_quietly(function: &CStr) {
    muted(|| api::without_interrupts(|| call_and(function, |_| ())));
}

/// The truth value that a function of ours gives, called as by [`run_quietly`]; false when it failed.
pub(crate) fn is_true(function: &CStr) -> bool {
    // SAFETY: reads the one truth value.
    let read = |value| unsafe { libr::Rf_asLogical(value) } == 1;
    muted(|| api::without_interrupts(|| call_and(function, read))).unwrap_or(false)
}
