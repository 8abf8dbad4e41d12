//! Evaluates an expression without R's prompt, which would take long over a large one.
//!
//! It parses all that it has been given at each line anew: ten thousand lines take it a minute.

#![expect(unsafe_code, reason = "does what R's own loop does with an expression")]

use super::{autoprint, source};
use crate::libr::{self, by_name::looked_up};
use crate::runtime::{api, own::own};

/// Evaluates the current expression, and prints its value where R would. May jump, as R's own loop does.
pub(crate) fn evaluate() {
    let text = source::take_whole();
    // SAFETY: every value is protected until the last use.
    unsafe {
        let text = libr::Rf_protect(api::source(text));
        let call = libr::Rf_protect(libr::Rf_lang2(api::symbol(c"read"), text));
        let expression = libr::Rf_protect(libr::Rf_eval(call, own()));
        let value = libr::Rf_protect(libr::Rf_eval(expression, libr::R_GlobalEnv));
        let is_visible = looked_up().value_is_visible().unwrap_or(true);
        autoprint::set_last_value(value);
        if is_visible {
            libr::Rf_PrintValue(value);
        }
        libr::Rf_unprotect(4);
    }
}
