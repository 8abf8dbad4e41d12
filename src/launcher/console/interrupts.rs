//! Ctrl-C at the console's terminal. The session gets it from the terminal as well, so the console only notes it.
#![expect(unsafe_code, reason = "a signal handler")]

use std::sync::atomic::{AtomicBool, Ordering};

/// A SIGINT has come and nobody has asked yet.
static HAS_COME: AtomicBool = AtomicBool::new(false);

/// From now on a SIGINT is noted and does nothing else. Not by ignoring it, which children would inherit.
pub fn note() {
    extern "C" fn handler(_: libc::c_int) {
        HAS_COME.store(true, Ordering::SeqCst);
    }
    // SAFETY: a handler that stores into an atomic is safe at any moment.
    unsafe { sys::handle(libc::SIGINT, handler) };
}

/// Whether a SIGINT has come since this was last asked.
pub fn has_come() -> bool {
    HAS_COME.swap(false, Ordering::SeqCst)
}
