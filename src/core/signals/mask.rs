//! Signal masks: when signals may reach the calling thread.

#![expect(unsafe_code, reason = "signal masks")]

use super::flags::signal_safe_set;
use super::sigint_state::Bits;
use std::cell::Cell;

/// The set of SIGINT alone.
fn sigint() -> libc::sigset_t {
    // SAFETY: sigemptyset and sigaddset fill the set.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGINT);
        set
    }
}

thread_local! {
    /// The calling thread's mask with SIGINT open, noted when signals were last blocked; none while they are open. Only user
    /// code changes the mask besides this module, and it runs with signals open.
    static OPEN_MASK: Cell<Option<libc::sigset_t>> = const { Cell::new(None) };
}

/// Lets signals through to the calling thread: user code is about to run.
pub fn unblock_signals() {
    match OPEN_MASK.take() {
        // SAFETY: the set lives across the call.
        Some(mask) => unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &mask, std::ptr::null_mut()) },
        // SAFETY: the same.
        None => unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &sigint(), std::ptr::null_mut()) },
    };
}

/// Blocks signals in the calling thread, all but faults: they stay pending until the next wait or user code, so that none
/// comes between a check of the runtime's flags and the wait. Tells whether SIGINT was open before.
pub fn block_signals() -> bool {
    if OPEN_MASK.get().is_some() {
        return false;
    }
    // SAFETY: both sets live across the calls.
    unsafe {
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, &sys::all_but_faults(), &mut mask);
        let was_open = libc::sigismember(&mask, libc::SIGINT) == 0;
        libc::sigdelset(&mut mask, libc::SIGINT);
        OPEN_MASK.set(Some(mask));
        was_open
    }
}

/// Signals are blocked as long as this lives, and then open again if they were open before.
#[derive(Debug)]
pub struct Blocked {
    was_open: bool,
}

/// Blocks signals until the result is dropped. Check the runtime's flag after this and before a wait.
pub fn block_sigint() -> Blocked {
    Blocked { was_open: block_signals() }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        if self.was_open {
            unblock_signals();
        }
    }
}

/// Throws away a SIGINT that is pending: it was meant for a cell that is over. A new generation begins, in which the runtime
/// was told of nothing.
pub(crate) fn drop_pending() {
    signal_safe_set(Bits::on_drop_pending);
    while take_pending() {}
}

/// Takes a SIGINT that is pending for the calling thread or the process; tells whether there was one. SIGINT is blocked here.
pub(super) fn take_pending() -> bool {
    let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the set and the timeout live across the call; no information is asked for.
    unsafe { libc::sigtimedwait(&sigint(), std::ptr::null_mut(), &zero) == libc::SIGINT }
}

/// Whether a SIGINT is pending for the calling thread or the process.
pub(super) fn is_pending() -> bool {
    // SAFETY: sigpending fills the set.
    unsafe {
        let mut pending: libc::sigset_t = std::mem::zeroed();
        libc::sigpending(&mut pending);
        libc::sigismember(&pending, libc::SIGINT) == 1
    }
}

/// The calling thread's mask with SIGINT open, for a wait.
pub(crate) fn open_mask() -> libc::sigset_t {
    match OPEN_MASK.get() {
        Some(mask) => mask,
        // SAFETY: pthread_sigmask fills the set.
        None => unsafe {
            let mut mask: libc::sigset_t = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
            libc::sigdelset(&mut mask, libc::SIGINT);
            mask
        },
    }
}
