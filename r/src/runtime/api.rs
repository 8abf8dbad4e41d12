//! Small safe wrappers of R's C interface: evaluating what may fail, and carrying strings across.

#![expect(unsafe_code, reason = "calls into R's C interface")]

use crate::libr::by_name::looked_up;
use crate::libr::{self, Rboolean, SEXP, cetype_t};
use libc::c_void;
use std::ffi::CStr;

/// R's NULL.
pub(crate) fn nil() -> SEXP {
    // SAFETY: R sets this once, before anything of ours runs.
    unsafe { libr::R_NilValue }
}

/// A symbol of this name.
pub(crate) fn symbol(name: &CStr) -> SEXP {
    // SAFETY: the name is a C string; installing a short one fails only when memory is exhausted.
    unsafe { libr::Rf_install(name.as_ptr()) }
}

/// Runs `body` at a top level of its own: an R error or interrupt in it ends it, and gives none.
///
/// Its frame is jumped over then, so `body` holds nothing with a destructor while it calls R.
pub(crate) fn at_top_level<T>(body: impl FnOnce() -> T) -> Option<T> {
    struct Call<F, T> {
        body: Option<F>,
        result: Option<T>,
    }
    unsafe extern "C-unwind" fn run<F: FnOnce() -> T, T>(data: *mut c_void) {
        // SAFETY: `data` is the Call of the frame below, which waits for this one.
        let call = unsafe { &mut *data.cast::<Call<F, T>>() };
        if let Some(body) = call.body.take() {
            call.result = Some(body());
        }
    }
    fn runner<F: FnOnce() -> T, T>(_: &Call<F, T>) -> unsafe extern "C-unwind" fn(*mut c_void) {
        run::<F, T>
    }
    let mut call = Call { body: Some(body), result: None };
    let run = runner(&call);
    // SAFETY: `run` gets the Call that outlives it.
    let is_done = unsafe { libr::R_ToplevelExec(run, (&raw mut call).cast()) };
    if is_done == Rboolean::TRUE { call.result } else { None }
}

/// Runs `body`, which does not jump, with R's interrupts suspended: one that comes stays noted for the user's code.
pub(crate) fn without_interrupts<T>(body: impl FnOnce() -> T) -> T {
    let before = looked_up().interrupts_are_suspended();
    looked_up().suspend_interrupts(true);
    let result = body();
    looked_up().suspend_interrupts(before);
    result
}

/// A character vector of one UTF-8 string, protected by nobody. May jump when memory is exhausted or `text` holds a NUL.
pub(crate) fn string(text: &str) -> SEXP {
    encoded(text, libr::CE_UTF8)
}

/// The same for source, whose bytes R's prompt takes for those of its locale.
pub(crate) fn source(text: &str) -> SEXP {
    encoded(text, if is_utf8() { libr::CE_UTF8 } else { libr::CE_NATIVE })
}

/// Whether R's locale is one of UTF-8 at this moment.
pub(crate) fn is_utf8() -> bool {
    // SAFETY: what is given is a C string, which is read at once.
    unsafe { CStr::from_ptr(libc::nl_langinfo(libc::CODESET)) == c"UTF-8" }
}

fn encoded(text: &str, encoding: cetype_t) -> SEXP {
    // SAFETY: pointer and length are those of `text`; the result of the first call is protected by the second at once.
    unsafe {
        let length = i32::try_from(text.len()).unwrap_or(i32::MAX);
        let chars = libr::Rf_protect(libr::Rf_mkCharLenCE(text.as_ptr().cast(), length, encoding));
        let vector = libr::Rf_ScalarString(chars);
        libr::Rf_unprotect(1);
        vector
    }
}

/// The strings of a character vector, as UTF-8; empty for anything else.
pub(crate) fn strings(value: SEXP) -> Vec<String> {
    // SAFETY: the type is checked before the elements are read, and what is translated may allocate, so `value` is protected.
    // Each is a C string that lives as long as `value`, or as R's own call of us. R refuses to translate bytes, by a jump.
    unsafe {
        if libr::Rf_isString(value) != Rboolean::TRUE {
            return Vec::new();
        }
        libr::Rf_protect(value);
        let length = libr::Rf_xlength(value);
        let strings = (0..length)
            .map(|index| {
                let chars = libr::STRING_ELT(value, index);
                let text = match libr::Rf_getCharCE(chars) {
                    libr::CE_BYTES => libr::R_CHAR(chars),
                    _ => libr::Rf_translateCharUTF8(chars),
                };
                CStr::from_ptr(text).to_string_lossy().into_owned()
            })
            .collect();
        libr::Rf_unprotect(1);
        strings
    }
}
