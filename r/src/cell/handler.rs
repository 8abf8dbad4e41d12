//! The error handler below all of the user's own, which is called for what nobody catches.

#![expect(unsafe_code, reason = "calls into R's C interface")]

use crate::libr::{self, SEXP};
use crate::runtime::{api, own::own, thread::RThread};
use std::ptr::null_mut;

/// The user's global error handlers when ours was put below them: a list of base R's own.
static USERS: RThread<SEXP> = RThread::new(null_mut());

/// The list of the user's global handlers as R keeps it at this moment.
fn users_handlers() -> SEXP {
    // `bootstrap.R` binds `registry`; `gh` is where `globalCallingHandlers()` keeps what it is given.
    api::binding(api::symbol(c"gh"), api::binding(api::symbol(c"registry"), own()))
}

/// Whether the error handler is in its place: `globalCallingHandlers()` throws out what it does not know.
pub(crate) fn is_in_place() -> bool {
    users_handlers() == USERS.get()
}

/// Puts the error handler in its place. At R's top level; may jump.
pub(crate) fn put() {
    let users = users_handlers();
    // SAFETY: the list is kept, so that another one at the same address is not taken for it.
    unsafe {
        libr::R_PreserveObject(users);
        let before = USERS.get();
        USERS.set(users);
        if !before.is_null() {
            libr::R_ReleaseObject(before);
        }
        let handle = libr::Rf_protect(libr::Rf_lang1(api::symbol(c"handle")));
        libr::Rf_eval(handle, own());
        libr::Rf_unprotect(1);
    }
}
