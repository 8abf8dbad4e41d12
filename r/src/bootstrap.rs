//! The worker's own functions in R: made once when R is up, kept where the user's code cannot reach them.

#![expect(unsafe_code, reason = "calls into R's C interface")]

use crate::libr::by_name::looked_up;
use crate::libr::{self, SEXP};
use crate::main_cell::MainCell;
use crate::{device, failure, output, plots, rapi, reads};
use std::ffi::CStr;
use std::ptr::null_mut;
use worker::config::PlotSize;
use worker::protocol::{ErrorInfo, RuntimeInfo};

/// The environment that `bootstrap.R` makes, or null before that.
static OWN: MainCell<SEXP> = MainCell::new(null_mut());

/// Makes the environment and puts the error handler in its place. At R's top level; may jump.
pub(crate) fn run(plot: PlotSize) {
    // SAFETY: every value is protected until it is used; nothing here has a destructor.
    unsafe {
        let maker = libr::Rf_protect(evaluate(include_str!("bootstrap.R"), libr::R_BaseEnv));
        let record = libr::Rf_protect(native(failure::record as *const ()));
        let interrupt = libr::Rf_protect(native(failure::record_interrupt as *const ()));
        let announce = libr::Rf_protect(native(failure::announce as *const ()));
        let adopt = libr::Rf_protect(native(device::adopt as *const ()));
        let next_file = libr::Rf_protect(native(plots::next_file as *const ()));
        let hide = libr::Rf_protect(native(reads::hide as *const ()));
        let size = libr::Rf_protect(libr::Rf_allocVector(libr::VECSXP, 3));
        for (index, number) in [plot.width, plot.height, plot.dpi].into_iter().enumerate() {
            libr::SET_VECTOR_ELT(size, index as isize, libr::Rf_ScalarReal(number));
        }
        let mut arguments = rapi::nil();
        for value in [size, hide, next_file, adopt, announce, interrupt, record] {
            arguments = libr::Rf_protect(libr::Rf_cons(value, arguments));
        }
        let call = libr::Rf_protect(libr::Rf_lcons(maker, arguments));
        let own = libr::Rf_eval(call, libr::R_BaseEnv);
        libr::R_PreserveObject(own);
        OWN.set(own);
        libr::Rf_unprotect(16);
    }
    put_handler();
}

/// The user's global error handlers when ours was put below them: a list of base R's own.
static USERS: MainCell<SEXP> = MainCell::new(null_mut());

fn users_handlers() -> SEXP {
    // SAFETY: the binding is there since `run`; `gh` is where `globalCallingHandlers()` keeps what it is given.
    unsafe {
        let env = looked_up().binding(rapi::symbol(c"registry"), own());
        looked_up().binding(rapi::symbol(c"gh"), env)
    }
}

/// Whether the error handler is in its place: `globalCallingHandlers()` throws out what it does not know.
pub(crate) fn handler_is_there() -> bool {
    users_handlers() == USERS.get()
}

/// Puts the error handler in its place. At R's top level; may jump.
pub(crate) fn put_handler() {
    let users = users_handlers();
    // SAFETY: the list is kept, so that another one at the same address is not taken for it.
    unsafe {
        if !USERS.get().is_null() {
            libr::R_ReleaseObject(USERS.get());
        }
        libr::R_PreserveObject(users);
        USERS.set(users);
        let handle = libr::Rf_protect(libr::Rf_lang1(rapi::symbol(c"handle")));
        libr::Rf_eval(handle, own());
        libr::Rf_unprotect(1);
    }
}

/// Evaluates R code of ours in `env` and gives the value of its last expression. May jump.
pub(crate) fn evaluate(code: &str, env: SEXP) -> SEXP {
    // SAFETY: values are protected until the last use.
    unsafe {
        let text = libr::Rf_protect(rapi::string(code));
        let mut status = libr::ParseStatus::NULL;
        let expressions = libr::Rf_protect(libr::R_ParseVector(text, -1, &mut status, rapi::nil()));
        let mut value = rapi::nil();
        if status == libr::ParseStatus::OK {
            for index in 0..libr::Rf_xlength(expressions) {
                value = libr::Rf_eval(libr::VECTOR_ELT(expressions, index), env);
            }
        }
        libr::Rf_unprotect(2);
        value
    }
}

/// A function of ours as `.Call` takes it.
pub(crate) unsafe fn native(function: *const ()) -> SEXP {
    // SAFETY: R calls it with as many values as the R code of ours passes.
    unsafe {
        let function = std::mem::transmute::<*const (), libr::DL_FUNC>(function);
        libr::R_MakeExternalPtrFn(function, rapi::symbol(c"native symbol"), rapi::nil())
    }
}

/// Whether the worker's environment has been made.
pub(crate) fn is_up() -> bool {
    !own().is_null()
}

/// The worker's environment in R; null before R is up.
pub(crate) fn own() -> SEXP {
    OWN.get()
}

/// Evaluates a call of a function of ours without arguments; none when it failed.
fn call(name: &CStr) -> Option<SEXP> {
    if !is_up() {
        return None;
    }
    // SAFETY: the call is protected while it is evaluated.
    rapi::at_top_level(|| unsafe {
        let call = libr::Rf_protect(libr::Rf_lang1(rapi::symbol(name)));
        let value = libr::Rf_eval(call, own());
        libr::Rf_unprotect(1);
        value
    })
}

/// Keeps an error for [`describe_condition`].
pub(crate) fn keep_condition(condition: SEXP) {
    // SAFETY: the environment is R's own and preserved; this only changes an existing binding.
    unsafe { libr::Rf_defineVar(rapi::symbol(c"condition"), condition, own()) };
}

/// Keeps another hold of the error that is kept.
pub(crate) fn mark_condition() {
    copy_binding(c"condition", c"marked");
}

/// Keeps the error again that was kept when [`mark_condition`] was last called.
pub(crate) fn take_marked_condition() {
    copy_binding(c"marked", c"condition");
}

fn copy_binding(from: &CStr, to: &CStr) {
    // SAFETY: both bindings exist; the first holds the value while it is bound a second time.
    unsafe { libr::Rf_defineVar(rapi::symbol(to), looked_up().binding(rapi::symbol(from), own()), own()) };
}

/// Whether it is R code that prints: the innermost function is `cat()`, which messages come by as well.
pub(crate) fn is_printed_by_code() -> bool {
    is_so(c"is_printing")
}

/// Calls a function of ours for what it does; it raises nothing and prints nothing.
pub(crate) fn run_quietly(function: &CStr) {
    output::mute(true);
    rapi::without_interrupts(|| call(function));
    output::mute(false);
}

/// The truth value that a function of ours gives, which raises nothing and prints nothing.
pub(crate) fn is_so(function: &CStr) -> bool {
    // SAFETY: reads the one truth value.
    let is_so = || call(function).is_some_and(|value| unsafe { libr::Rf_asLogical(value) } == 1);
    output::mute(true);
    let is_so = rapi::without_interrupts(is_so);
    output::mute(false);
    is_so
}

/// The kept error in words, and forgets it. User code may run (methods of `conditionMessage`), once more than at R's prompt:
/// what it prints is dropped.
pub(crate) fn describe_condition() -> Option<ErrorInfo> {
    output::mute(true);
    let described = call(c"describe");
    output::mute(false);
    let described = described?;
    // SAFETY: `described` is a list of three as `bootstrap.R` makes it, protected while it is read.
    let info = unsafe {
        libr::Rf_protect(described);
        let part = |index| rapi::strings(libr::VECTOR_ELT(described, index));
        let info = ErrorInfo { name: part(0).concat(), message: part(1).concat(), traceback: part(2) };
        libr::Rf_unprotect(1);
        info
    };
    keep_condition(rapi::nil());
    Some(info)
}

/// What R noted of the calls of the last error; only its address says anything here.
pub(crate) fn noted_calls() -> SEXP {
    // SAFETY: reads a binding of the base environment.
    unsafe { looked_up().binding(rapi::symbol(c".Traceback"), libr::R_BaseEnv) }
}

/// The calls of the last error, outermost first.
pub(crate) fn calls() -> Vec<String> {
    call(c"calls").map(rapi::strings).unwrap_or_default()
}

/// The calls that are active, innermost first, each with its number.
pub(crate) fn active_calls() -> Vec<String> {
    call(c"active_calls").map(rapi::strings).unwrap_or_default()
}

/// What R this is.
pub(crate) fn runtime() -> RuntimeInfo {
    // SAFETY: the binding is there since `run`.
    let version = unsafe { rapi::strings(looked_up().binding(rapi::symbol(c"version"), own())) }.concat();
    let home = std::env::var("R_HOME").unwrap_or_default();
    RuntimeInfo { name: "R".to_owned(), version, executable: None, home: Some(home.clone()), prefix: home }
}
