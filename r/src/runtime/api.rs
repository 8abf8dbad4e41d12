//! Small safe wrappers of R's C interface: evaluating what may fail, and carrying strings across.

#![expect(unsafe_code, reason = "calls into R's C interface")]

use crate::libr::by_name::looked_up;
use crate::libr::{self, Rboolean, SEXP, cetype_t};
use libc::{c_int, c_void};
use std::ffi::CStr;

/// R's NULL.
pub(crate) fn nil() -> SEXP {
    // SAFETY: R sets this once, before anything of ours runs.
    unsafe { libr::R_NilValue }
}

/// The symbol of this name. Allocates for a name that R does not know yet, and may jump then.
pub(crate) fn symbol(name: &CStr) -> SEXP {
    // SAFETY: the name is a C string.
    unsafe { libr::Rf_install(name.as_ptr()) }
}

/// How many free entries of R's protection stack [`reserve`] asks for. `R_ToplevelExec` takes three.
const RESERVED: c_int = 8;

/// Makes sure that [`at_top_level`] does not find R's protection stack full. R raises its own error if it is: may jump, so call
/// it first in what R calls, while nothing is owned.
pub(crate) fn reserve() {
    // SAFETY: what is protected here is taken away again at once.
    unsafe {
        for _ in 0..RESERVED {
            libr::Rf_protect(nil());
        }
        libr::Rf_unprotect(RESERVED);
    }
}

/// Runs `body` at a top level of its own (`R_ToplevelExec`): an R error or interrupt in it ends it, and gives none.
///
/// The frame of `body` is jumped over then. That closure and result are `Copy` keeps what has a destructor out of them; `body`
/// makes no such value either. Jumps itself where R's protection stack is full; see [`reserve`].
pub(crate) fn at_top_level<T: Copy>(body: impl FnOnce() -> T + Copy) -> Option<T> {
    #[derive(Clone, Copy)]
    struct Call<F, T> {
        body: F,
        result: Option<T>,
    }
    unsafe extern "C-unwind" fn run<F: FnOnce() -> T + Copy, T: Copy>(data: *mut c_void) {
        // SAFETY: `data` is the Call of the frame below, which waits for this one.
        let call = unsafe { &mut *data.cast::<Call<F, T>>() };
        call.result = Some((call.body)());
    }
    fn runner<F: FnOnce() -> T + Copy, T: Copy>(_: &Call<F, T>) -> unsafe extern "C-unwind" fn(*mut c_void) {
        run::<F, T>
    }
    let mut call = Call { body, result: None };
    let run = runner(&call);
    // SAFETY: `run` gets the Call that outlives it.
    let is_done = unsafe { libr::R_ToplevelExec(run, (&raw mut call).cast()) };
    if is_done == Rboolean::TRUE { call.result } else { None }
}

/// Runs `body`, which does not jump, with R's interrupts suspended: one that comes stays pending for the user's code.
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

/// A character vector of one string, whose bytes are marked as being in `encoding`.
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

/// What `name`, a symbol that R knows, is bound to in `env` itself; R's NULL where it is not bound. The binding is not active.
pub(crate) fn binding(name: SEXP, env: SEXP) -> SEXP {
    // SAFETY: R's thread, a symbol and an environment. The second way may force a promise, so it is kept from jumping.
    unsafe {
        looked_up()
            .binding_in_frame(name, env)
            .or_else(|| at_top_level(|| looked_up().variable_in_frame(name, env)))
            .unwrap_or(nil())
    }
}

/// The strings of a character vector, as UTF-8; empty for anything else. Something keeps `value` alive meanwhile: a binding.
pub(crate) fn strings(value: SEXP) -> Vec<String> {
    // SAFETY: the type is checked before the elements are read.
    let length = unsafe { if libr::Rf_isString(value) == Rboolean::TRUE { libr::Rf_xlength(value) } else { 0 } };
    // SAFETY: an index within the vector.
    (0..length).map(|index| text_of(unsafe { libr::STRING_ELT(value, index) })).collect()
}

/// An element of a character vector as UTF-8; what is no text in its encoding is replaced.
fn text_of(chars: SEXP) -> String {
    // SAFETY: each is a C string that lives as long as `chars`, or as R's own call of us. R refuses to translate bytes, and a
    // translation allocates: where that fails the bytes are taken as they are.
    unsafe {
        let bytes = libr::R_CHAR(chars);
        let translated = match libr::Rf_getCharCE(chars) {
            libr::CE_BYTES | libr::CE_UTF8 => None,
            _ if CStr::from_ptr(bytes).to_bytes().is_ascii() => None,
            _ => at_top_level(|| libr::Rf_translateCharUTF8(chars)),
        };
        CStr::from_ptr(translated.unwrap_or(bytes)).to_string_lossy().into_owned()
    }
}
