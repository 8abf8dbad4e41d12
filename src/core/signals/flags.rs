//! What the parts of an interrupt's way tell each other: flags that signal handlers set and read.

#![expect(unsafe_code, reason = "a signal to a thread")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// The main thread was struck and our handler has not seen it yet. Only asked when the handler is not told who sent a signal.
pub(super) static STRUCK: AtomicBool = AtomicBool::new(false);
/// The signal on its way is a nudge: it ends a system call and tells the runtime nothing.
pub(super) static NUDGED: AtomicBool = AtomicBool::new(false);
/// The runtime was told of an interrupt since the cell began.
pub(super) static HAS_DELIVERED: AtomicBool = AtomicBool::new(false);
/// The next nudge is the interrupt once more.
pub(super) static RENEWED: AtomicBool = AtomicBool::new(false);
/// An interrupt came as a signal and the control thread has not seen it yet.
pub(super) static HAS_SIGNALLED: AtomicBool = AtomicBool::new(false);
/// The main thread.
pub(super) static MAIN: AtomicUsize = AtomicUsize::new(0);

/// Whether the runtime was told of an interrupt since the running cell began.
pub fn has_delivered() -> bool {
    HAS_DELIVERED.load(SeqCst)
}

/// Sends SIGINT to the main thread. Safe in a signal handler.
pub(super) fn signal_main(main: libc::pthread_t) {
    // SAFETY: the main thread lives as long as the process.
    unsafe { sys::signal_thread(main, libc::SIGINT) };
}
