//! Evaluates an expression without R's prompt, which would take long over a large one.
//!
//! It parses all that it has been given at each line anew: ten thousand lines take it a minute.

#![expect(unsafe_code, reason = "does what R's own loop does with an expression")]

use crate::console_ffi as ffi;
use crate::feed::FEED;
use crate::{bootstrap, rapi, result};

/// Evaluates the current expression, and prints its value where R would. Jumps as R's own loop does; owns nothing then.
pub(crate) fn evaluate() {
    // SAFETY: every value is protected until the last use. The text stays where it is until the next cell is loaded.
    unsafe {
        let text = FEED.with(|feed| libR_sys::Rf_protect(rapi::source(feed.take_whole())));
        let call = libR_sys::Rf_protect(libR_sys::Rf_lang2(rapi::symbol(c"read"), text));
        let expression = libR_sys::Rf_protect(ffi::Rf_eval(call, bootstrap::own()));
        let value = libR_sys::Rf_protect(ffi::Rf_eval(expression, libR_sys::R_GlobalEnv));
        result::set_last_value(value);
        if is_visible() {
            ffi::Rf_PrintValue(value);
        }
        libR_sys::Rf_unprotect(4);
    }
}

/// Whether the value that was just computed is one to print.
fn is_visible() -> bool {
    // SAFETY: R's variable, an int; where this R hides it nothing is lost but a value that was to stay invisible.
    unsafe { ffi::optional(c"R_Visible").cast::<libc::c_int>().as_ref().is_none_or(|visible| *visible != 0) }
}
