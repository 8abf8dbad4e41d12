//! SIGINT on its way to the main thread: who sent it, whether it is a duplicate, and when it may arrive.
//!
//! The control thread strikes the main thread with a real SIGINT, because nothing less stops a system call. A
//! supervisor may send the message and the signal together, so a handler in front of the runtime's own lets only the
//! first of the two through. The main thread keeps SIGINT blocked except around user code and inside its waits, so
//! that a signal meant for one cell cannot arrive in the next.

#![expect(unsafe_code, reason = "signal handlers, masks and sigaction")]

pub(crate) use super::dedup::{Way, claim, forget_signal, note_answer, take_answer, take_batch};
pub use super::flags::has_delivered;
pub use super::mask::{Held, allow, forbid, hold};
pub(crate) use super::mask::{drop_pending, open_mask};
pub(crate) use super::terminate::{catch_end_signals, take_end_signal, wake_control};
pub use super::terminate::{install_default_end_handlers, install_end_handlers};

use super::flags::{HAS_DELIVERED, HAS_SIGNALLED, MAIN, NUDGED, RENEWED, STRUCK, signal_main};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::SeqCst};

/// What passes an interrupt on to the runtime: a function pointer of type [`Deliver`] or of a plain handler.
static DELIVER: AtomicUsize = AtomicUsize::new(0);
static DELIVER_IS_HANDLER: AtomicBool = AtomicBool::new(false);
/// Whether the handler runs on the alternate stack.
static STACK_FLAG: AtomicI32 = AtomicI32::new(libc::SA_ONSTACK);
/// Sets the runtime's own flag, from any thread; for moments when SIGINT is ignored.
static SET_FLAG: AtomicUsize = AtomicUsize::new(0);
/// Where on the stack the main thread's call of somebody else's handler stands; 0: nowhere.
static IN_HANDLER: AtomicUsize = AtomicUsize::new(0);
/// Called after each strike, on the control thread.
static AFTER_STRIKE: AtomicUsize = AtomicUsize::new(0);

/// Has `hook` called after each strike, on the control thread.
pub fn call_after_strike(hook: Deliver) {
    AFTER_STRIKE.store(hook as usize, SeqCst);
}

/// Tells the runtime of an interrupt. Called in signal context on the main thread.
pub type Deliver = extern "C" fn();

thread_local! {
    static IS_MAIN: Cell<bool> = const { Cell::new(false) };
}

/// Makes the calling thread the one that interrupts go to, with SIGINT blocked. Sets an inherited "ignore" back: of SIGINT, and
/// of SIGCHLD, under which nobody learns how a child has ended.
pub(crate) fn adopt_main_thread() {
    MAIN.store(sys::this_thread() as usize, SeqCst);
    IS_MAIN.set(true);
    forbid();
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
    forbid();
}

/// Whether the calling thread is the one that runs cells.
pub fn is_main_thread() -> bool {
    IS_MAIN.get()
}

/// After a fork the forking thread is the only one, so it is the main one.
pub(crate) fn adopt_forked_thread() {
    MAIN.store(sys::this_thread() as usize, SeqCst);
    IS_MAIN.set(true);
}

extern "C" fn on_nothing(_signal: libc::c_int) {}

/// Puts the filter in front of the runtime: `deliver` is called for each interrupt, in signal context, on the main thread.
/// `set_flag` sets the runtime's own flag from any thread.
pub fn install(deliver: Deliver, set_flag: Deliver) {
    SET_FLAG.store(set_flag as usize, SeqCst);
    DELIVER.store(deliver as usize, SeqCst);
    DELIVER_IS_HANDLER.store(false, SeqCst);
    set_handler();
}

/// The same in front of the handler that the runtime has installed. Call it again when the runtime may have installed it anew;
/// does nothing when the filter is still there, or when user code chose the default action or to ignore SIGINT.
pub fn install_before_current(set_flag: Deliver) {
    SET_FLAG.store(set_flag as usize, SeqCst);
    let current = current();
    if current.sa_sigaction == own_handler()
        || current.sa_sigaction == libc::SIG_DFL
        || current.sa_sigaction == libc::SIG_IGN
    {
        return;
    }
    DELIVER.store(current.sa_sigaction, SeqCst);
    DELIVER_IS_HANDLER.store(true, SeqCst);
    // It may need more of a stack than the alternate one has.
    STACK_FLAG.store(current.sa_flags & libc::SA_ONSTACK, SeqCst);
    set_handler();
}

fn set_handler() {
    // SAFETY: the handler has the signature that SA_SIGINFO asks for. No SA_RESTART: system calls must return.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = own_handler();
        action.sa_flags = libc::SA_SIGINFO | STACK_FLAG.load(SeqCst);
        libc::sigaction(libc::SIGINT, &action, std::ptr::null_mut());
    }
}

/// Whether an interrupt has come as a signal since the last call.
pub(crate) fn take_signalled() -> bool {
    HAS_SIGNALLED.swap(false, SeqCst)
}

extern "C" fn on_sigint(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let main = MAIN.load(SeqCst) as libc::pthread_t;
    let is_main = sys::this_thread() == main;
    let here = std::ptr::from_ref(&main).addr();
    // A library's handler that passes the signal on to what was there before, which was ours, comes back to us. That we look at
    // the place and not at a mark alone: a handler may jump away and leave the mark standing.
    if is_main && here < IN_HANDLER.load(SeqCst) {
        return tell_flag();
    }
    if sys::is_own_process() {
        let is_told = handler_is_whole();
        // SAFETY: the kernel passes a valid siginfo to a handler with SA_SIGINFO; getpid cannot fail.
        let is_foreign = is_told && unsafe { (*info).si_pid() != libc::getpid() };
        // A signal from elsewhere must not pass for the blow that is on its way behind it.
        let was_struck = !is_foreign && STRUCK.swap(false, SeqCst);
        if !is_foreign && NUDGED.swap(false, SeqCst) && !was_struck {
            return;
        }
        if !is_told {
            // R swaps handlers by `signal()` around each wait of its own, which puts ours back without SA_SIGINFO.
            set_handler();
        }
        let from_us = if is_told { !is_foreign } else { was_struck };
        if !from_us && !claim(Way::Signal) {
            return;
        }
        if !is_main {
            // Marked as a blow, or the main thread would take it for the nudge that follows and drop it. Sent before anybody
            // is woken, who may start the next cell.
            STRUCK.store(true, SeqCst);
            signal_main(main);
        }
        if !from_us {
            // The control thread sees to it that a system call which begins at this moment is ended too.
            HAS_SIGNALLED.store(true, SeqCst);
            wake_control();
        }
    } else if !is_main {
        signal_main(main);
    }
    if !is_main {
        return;
    }
    let deliver = DELIVER.load(SeqCst);
    if deliver == 0 {
        return;
    }
    HAS_DELIVERED.store(true, SeqCst);
    sys::keep_errno(|| {
        if DELIVER_IS_HANDLER.load(SeqCst) {
            // SAFETY: the pointer is the handler that the runtime had installed; it takes the signal, and ignores the rest if it
            // was installed without SA_SIGINFO.
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                unsafe { std::mem::transmute(deliver) };
            IN_HANDLER.store(here, SeqCst);
            handler(signal, info, context);
            IN_HANDLER.store(0, SeqCst);
        } else {
            // SAFETY: the pointer was stored by `install`, from a `Deliver`.
            let deliver: Deliver = unsafe { std::mem::transmute(deliver) };
            deliver();
        }
    });
}

/// Sets the runtime's own flag.
fn tell_flag() {
    let set_flag = SET_FLAG.load(SeqCst);
    if set_flag != 0 {
        HAS_DELIVERED.store(true, SeqCst);
        // SAFETY: the pointer was stored from a `Deliver`.
        let set_flag: Deliver = unsafe { std::mem::transmute(set_flag) };
        set_flag();
    }
}

/// Sends the main thread the signal once more, of which the runtime is not told.
///
/// A runtime looks at its flag and then enters a system call; a strike between the two leaves the flag set and the call
/// asleep. The nudge ends the call, and the runtime looks again.
pub(crate) fn nudge() {
    let main = MAIN.load(SeqCst);
    // A handler of R's own, while R waits, would take it for another interrupt.
    if main == 0 || current().sa_sigaction != own_handler() || !handler_is_whole() {
        return;
    }
    let is_renewed = RENEWED.swap(false, SeqCst);
    (if is_renewed { &STRUCK } else { &NUDGED }).store(true, SeqCst);
    signal_main(main as libc::pthread_t);
}

/// The running cell's interrupt came where the runtime could do nothing with it: it comes again in a moment.
pub fn renew() {
    if has_delivered() {
        RENEWED.store(true, SeqCst);
        HAS_SIGNALLED.store(true, SeqCst);
        wake_control();
    }
}

/// Interrupts the main thread. `send_to_others` is called after the signal, and passes the interrupt on to other processes.
pub(crate) fn strike(send_to_others: impl FnOnce()) {
    let main = MAIN.load(SeqCst);
    if main == 0 || DELIVER.load(SeqCst) == 0 {
        return;
    }
    let action = current().sa_sigaction;
    if action == libc::SIG_DFL {
        // The runtime has finalised and put the default back, which would end the process without a word.
        return;
    }
    if action == libc::SIG_IGN && SET_FLAG.load(SeqCst) != 0 {
        // C's system() ignores SIGINT while it waits. The flag is all then: a signal as well would be a second interrupt if the
        // wait ended at this moment.
        tell_flag();
    } else {
        if !handler_is_whole() && current().sa_sigaction == own_handler() {
            set_handler();
        }
        STRUCK.store(true, SeqCst);
        signal_main(main as libc::pthread_t);
    }
    // Each of the others by itself, and not the group at once: this process would get a second signal, and while R waits a
    // handler of its own takes each for an interrupt.
    send_to_others();
    let hook = AFTER_STRIKE.load(SeqCst);
    if hook != 0 {
        // SAFETY: the pointer was stored from a `Deliver`.
        let hook: Deliver = unsafe { std::mem::transmute(hook) };
        hook();
    }
}

/// Whether the main thread was struck and the blow was lost: it began to ignore SIGINT, as C's `system()` does, before the signal
/// arrived, and the kernel drops what is ignored. Tells so once.
pub fn take_lost_strike() -> bool {
    current().sa_sigaction == libc::SIG_IGN && STRUCK.swap(false, SeqCst)
}

/// Whether the main thread was struck and somebody else's handler took the blow. Tells so once; on the main thread, SIGINT held.
pub fn take_unseen_strike() -> bool {
    if !STRUCK.load(SeqCst) {
        return false;
    }
    // SAFETY: sigpending fills the set.
    let is_pending = unsafe {
        let mut pending: libc::sigset_t = std::mem::zeroed();
        libc::sigpending(&mut pending);
        libc::sigismember(&pending, libc::SIGINT) == 1
    };
    !is_pending && STRUCK.swap(false, SeqCst)
}

/// What SIGINT does at this moment.
fn current() -> libc::sigaction {
    sys::current_action(libc::SIGINT)
}

fn own_handler() -> usize {
    on_sigint as *const () as usize
}

/// Whether SIGINT is handled here.
pub fn is_installed() -> bool {
    handler_is_whole()
}

/// Our handler is there, and is told who sends signals.
fn handler_is_whole() -> bool {
    let current = current();
    current.sa_sigaction == own_handler() && current.sa_flags & libc::SA_SIGINFO != 0
}
