//! SIGTERM and SIGHUP: a shutdown, of which the control thread is told.

#![expect(unsafe_code, reason = "signal handlers and sigaction")]

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// How SIGTERM and SIGHUP reach the control thread: a descriptor number and what to write.
static CONTROL_WAKE: AtomicUsize = AtomicUsize::new(usize::MAX);
/// The signal that asked for the end; 0: none.
static END_ASKED: AtomicUsize = AtomicUsize::new(0);

/// From now on SIGTERM and SIGHUP are noted and wake the control thread through `wake_fd`.
pub(crate) fn catch_end_signals(wake_fd: libc::c_int) {
    CONTROL_WAKE.store(wake_fd as usize, SeqCst);
    install_end_handlers();
}

/// Installs the handlers of SIGTERM and SIGHUP again, after a runtime has recorded what it found at its start.
pub fn install_end_handlers() {
    restore_end_handlers(|_| true);
}

/// The same for those that have been set back to the default.
pub fn install_default_end_handlers() {
    restore_end_handlers(|signal| sys::current_action(signal).sa_sigaction == libc::SIG_DFL);
}

/// Installs the handler for those signals that `is_due` says.
fn restore_end_handlers(is_due: impl Fn(libc::c_int) -> bool) {
    for signal in [libc::SIGTERM, libc::SIGHUP].into_iter().filter(|signal| is_due(*signal)) {
        // SAFETY: the handler has the plain signature.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_end as *const () as usize;
            action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// The signal that asked for the end since the last call.
pub(crate) fn take_end_signal() -> Option<&'static str> {
    match END_ASKED.swap(0, SeqCst) as libc::c_int {
        libc::SIGTERM => Some("SIGTERM"),
        libc::SIGHUP => Some("SIGHUP"),
        _ => None,
    }
}

/// SIGTERM or SIGHUP has come.
extern "C" fn on_end(signal: libc::c_int) {
    if !sys::is_own_process() {
        // A child dies of the signal as it would without us.
        sys::die_of(signal);
        return;
    }
    END_ASKED.store(signal as usize, SeqCst);
    signal_safe_wake_control();
}

/// Ends the control thread's wait.
///
/// Safe in a signal handler and under any lock: a `write` to an eventfd that does not block, with `errno` kept.
pub(super) fn signal_safe_wake_control() {
    let fd = CONTROL_WAKE.load(SeqCst);
    if fd != usize::MAX {
        sys::keep_errno(|| {
            let _ = sys::write(fd as libc::c_int, &1u64.to_ne_bytes());
        });
    }
}
