//! Telling the printed value of a cell's last expression from what the expression itself prints.
//!
//! R binds `.Last.value` after it has evaluated an expression and before it prints the value. So a marker is put there when
//! the expression begins, one that reads as the old value; when it is gone, what is printed is the result. Where there are task
//! callbacks, which R calls after that, the outermost call has to be one that prints as well.

#![expect(unsafe_code, reason = "puts a promise where R keeps a value")]

use crate::console_ffi as ffi;
use crate::main_cell::MainCell;
use crate::{bootstrap, rapi};
use libR_sys::{SEXP, SEXPTYPE};
use std::mem::transmute;
use std::ptr::null_mut;

type MakePromise = unsafe extern "C-unwind" fn(SEXP, SEXP) -> SEXP;
type SetValue = unsafe extern "C-unwind" fn(SEXP, SEXP);

#[derive(Debug, Clone, Copy)]
struct Marker {
    /// What `.Last.value` was bound to when the last expression began; null when the expression is not the last.
    value: SEXP,
    /// A browser has evaluated things of its own meanwhile, and each of them binds `.Last.value`.
    is_spoilt: bool,
    /// There are task callbacks; not known before something was printed.
    has_callbacks: Option<bool>,
}

impl Marker {
    const NONE: Marker = Marker { value: null_mut(), is_spoilt: false, has_callbacks: None };
}

static MARKER: MainCell<Marker> = MainCell::new(Marker::NONE);
/// R's means to make the marker: none where this R hides them.
static MEANS: MainCell<Option<(MakePromise, SetValue)>> = MainCell::new(None);

/// Looks for what the marker is made with. Once, when R is loaded.
pub(crate) fn prepare() {
    // SAFETY: the names are R's, and the functions have these types wherever they exist.
    MEANS.set(unsafe {
        let make = ffi::optional(c"R_mkEVPROMISE");
        let set = ffi::optional(c"SET_SYMVALUE");
        (!make.is_null() && !set.is_null())
            .then(|| (transmute::<*mut libc::c_void, MakePromise>(make), transmute::<*mut libc::c_void, SetValue>(set)))
    });
}

/// The symbol `.Last.value`, kept because every line of output asks for its value.
static SYMBOL: MainCell<SEXP> = MainCell::new(null_mut());

fn last_value() -> SEXP {
    if SYMBOL.get().is_null() {
        SYMBOL.set(rapi::symbol(c".Last.value"));
    }
    // SAFETY: reads a binding of the base environment.
    unsafe { libR_sys::Rf_findVarInFrame(libR_sys::R_BaseEnv, SYMBOL.get()) }
}

/// An expression begins; `is_last`: the cell's last one. Allocates in R.
pub(crate) fn begin(is_last: bool) {
    if !is_last {
        MARKER.set(Marker::NONE);
        return;
    }
    let mut value = last_value();
    // SAFETY: a promise that has its value reads as that value. R's collector finds it where it is bound.
    unsafe {
        if let Some((make, set)) = MEANS.get()
            && value != libR_sys::R_UnboundValue
        {
            let forced = if libR_sys::TYPEOF(value) == SEXPTYPE::PROMSXP {
                libR_sys::Rf_eval(value, libR_sys::R_BaseEnv)
            } else {
                value
            };
            value = make(rapi::nil(), forced);
            set(rapi::symbol(c".Last.value"), value);
        }
    }
    MARKER.set(Marker { value, ..Marker::NONE });
}

/// Binds `.Last.value`, as R's own loop does after it has evaluated an expression.
pub(crate) fn set_last_value(value: SEXP) {
    // SAFETY: the binding is the base environment's, and R's own.
    unsafe {
        match MEANS.get() {
            Some((_, set)) => set(rapi::symbol(c".Last.value"), value),
            None => libR_sys::Rf_defineVar(rapi::symbol(c".Last.value"), value, libR_sys::R_BaseEnv),
        }
    }
}

/// A browser is about to evaluate something.
pub(crate) fn spoil() {
    MARKER.with(|marker| marker.is_spoilt = true);
}

/// Whether what is printed now is the result. `is_at_top`: no call is active.
pub(crate) fn is_printed(is_at_top: bool) -> bool {
    let Marker { value, is_spoilt, has_callbacks } = MARKER.get();
    if value.is_null() {
        return false;
    }
    if is_at_top {
        return true;
    }
    if is_spoilt || last_value() == value {
        return false;
    }
    let has_callbacks = has_callbacks.unwrap_or_else(|| {
        let has_callbacks = bootstrap::is_so(c"has_callbacks");
        MARKER.with(|marker| marker.has_callbacks = Some(has_callbacks));
        has_callbacks
    });
    !has_callbacks || bootstrap::is_so(c"is_printing_result")
}

/// No expression runs.
pub(crate) fn end() {
    MARKER.set(Marker::NONE);
}
