//! SIGINT on its way to the main thread: sending it, sending it once more, and finding out that it was lost.
//!
//! The control thread sends the main thread a real SIGINT, because nothing less ends a system call. A supervisor may send the
//! message and the signal together, so a handler in front of the runtime's own (`handler`) lets only the first of the two
//! through. The main thread keeps SIGINT blocked except around user code and inside its waits, so that a signal meant for one
//! cell cannot arrive in the next. `docs/interrupts.md` tells the whole way.

#![expect(unsafe_code, reason = "signal handlers and sigaction")]

pub(crate) use super::dedup::{Way, forget_signal, is_first, note_answer, take_answer, take_batch};
pub use super::flags::has_delivered;
pub use super::handler::{Deliver, install, install_before_current};
pub use super::mask::{Blocked, block_sigint, block_signals, unblock_signals};
pub(crate) use super::mask::{drop_pending, open_mask};
pub(crate) use super::terminate::{catch_end_signals, take_end_signal};
pub use super::terminate::{install_default_end_handlers, install_end_handlers};

use super::flags::{
    has, has_main_thread, set_main_thread, signal_safe_change, signal_safe_set, signal_safe_signal_main_thread,
};
use super::handler::{
    has_flag, has_runtime, own_handler, signal_safe_is_whole, signal_safe_set_flag, signal_safe_set_handler,
};
use super::mask::is_pending;
use super::sigint_state::Bits;
use super::terminate::signal_safe_wake_control;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Called after SIGINT was sent, on the control thread: a [`Deliver`]; 0: none.
static AFTER_SIGINT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The calling thread is the main one.
    static IS_MAIN: Cell<bool> = const { Cell::new(false) };
}

/// Has `hook` called each time after SIGINT was sent, on the control thread.
pub fn call_after_sigint(hook: Deliver) {
    AFTER_SIGINT.store(hook as usize, SeqCst);
}

/// Makes the calling thread the one that interrupts go to, with SIGINT blocked. Sets an inherited "ignore" back: of SIGINT, and
/// of SIGCHLD, under which nobody learns how a child has ended.
pub(crate) fn adopt_main_thread() {
    set_main_thread();
    IS_MAIN.set(true);
    block_signals();
    // SAFETY: the default action needs no handler, and sigaction gets a zeroed structure, which is a valid one.
    unsafe {
        for signal in [libc::SIGINT, libc::SIGCHLD] {
            if sys::current_action(signal).sa_sigaction == libc::SIG_IGN {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
        // A write to a pipe without a reader is an error for the writer and not the end of the process. A handler, unlike
        // "ignore", is not inherited by programs that children run.
        let mut nothing: libc::sigaction = std::mem::zeroed();
        nothing.sa_sigaction = on_nothing as *const () as usize;
        nothing.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGPIPE, &nothing, std::ptr::null_mut());
    }
}

/// The calling thread is the main one of a session of a test's.
#[cfg(test)]
pub(crate) fn adopt_test_thread() {
    IS_MAIN.set(true);
    block_signals();
}

/// Whether the calling thread is the one that runs cells.
pub fn is_main_thread() -> bool {
    IS_MAIN.get()
}

/// After a fork the forking thread is the only one, so it is the main one.
pub(crate) fn adopt_forked_thread() {
    set_main_thread();
    IS_MAIN.set(true);
}

/// SIGPIPE: nothing is done.
extern "C" fn on_nothing(_signal: libc::c_int) {}

/// Whether an interrupt has come as a signal since the last call.
pub(crate) fn take_signalled() -> bool {
    signal_safe_change(Bits::take_outside)
}

/// Sends the main thread the signal once more, of which the runtime is not told.
///
/// A runtime looks at its flag and then enters a system call; a SIGINT between the two leaves the flag set and the call
/// asleep. Another one ends the call, and the runtime looks again.
pub(crate) fn resend() {
    // A handler of R's own, while R waits, would take it for another interrupt.
    if has_main_thread() && signal_safe_is_whole() {
        signal_safe_set(Bits::on_resend);
        signal_safe_signal_main_thread();
    }
}

/// The running cell's interrupt came where the runtime could do nothing with it: it comes again in a moment.
pub fn redeliver() {
    if signal_safe_change(Bits::on_redeliver) {
        signal_safe_wake_control();
    }
}

/// Interrupts the main thread. `send_to_others` is called after the signal, and passes the interrupt on to other processes.
pub(crate) fn send_sigint(send_to_others: impl FnOnce()) {
    if !has_main_thread() || !has_runtime() {
        return;
    }
    let action = current();
    if action == libc::SIG_DFL {
        // The runtime has finalised and put the default back, which would end the process without a word.
        return;
    }
    if action == libc::SIG_IGN && has_flag() {
        // C's system() ignores SIGINT while it waits. The flag is all then: a signal as well would be a second interrupt if the
        // wait ended at this moment.
        signal_safe_set_flag();
    } else {
        if !signal_safe_is_whole() && current() == own_handler() {
            signal_safe_set_handler();
        }
        signal_safe_set(Bits::on_send);
        signal_safe_signal_main_thread();
    }
    // Each of the others by itself, and not the group at once: this process would get a second signal, and while R waits a
    // handler of its own takes each for an interrupt.
    send_to_others();
    let hook = AFTER_SIGINT.load(SeqCst);
    if hook != 0 {
        // SAFETY: the pointer was stored from a `Deliver`.
        let hook: Deliver = unsafe { std::mem::transmute(hook) };
        hook();
    }
}

/// Whether SIGINT was sent to the main thread and was lost: it began to ignore SIGINT, as C's `system()` does, before the signal
/// arrived, and the kernel drops what is ignored. Tells so once.
pub fn take_lost_sigint() -> bool {
    current() == libc::SIG_IGN && signal_safe_change(Bits::take_sent)
}

/// Whether SIGINT was sent to the main thread and somebody else's handler took it. Tells so once; on the main thread, SIGINT
/// blocked.
pub fn take_unseen_sigint() -> bool {
    has(Bits::SENT) && !is_pending() && signal_safe_change(Bits::take_sent)
}

/// What SIGINT does at this moment.
fn current() -> libc::sighandler_t {
    sys::current_action(libc::SIGINT).sa_sigaction
}

/// Whether SIGINT is handled here.
pub fn is_installed() -> bool {
    signal_safe_is_whole()
}
