//! The handler of SIGINT, which stands before the runtime's own: who sent the signal, whether the runtime is told, and how.

#![expect(unsafe_code, reason = "signal handlers and sigaction")]

use super::dedup::{Way, signal_safe_record};
use super::flags::{
    signal_safe_change, signal_safe_is_main_thread, signal_safe_is_marked, signal_safe_set,
    signal_safe_signal_main_thread, signal_safe_signal_main_thread_of_child,
};
use super::sigint_state::{Action, Bits, Sender};
use super::terminate::signal_safe_wake_control;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};

/// Tells the runtime of an interrupt. Called in signal context on the main thread.
pub type Deliver = extern "C" fn();

/// A handler of somebody else's, called with what `SA_SIGINFO` asks for; one that was installed without ignores the rest.
type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// What passes an interrupt on to the runtime, a [`Deliver`]; 0: none.
static DELIVER: AtomicUsize = AtomicUsize::new(0);
/// The handler that the runtime had installed, a [`Handler`], which is called instead; 0: none.
static CHAINED: AtomicUsize = AtomicUsize::new(0);
/// Sets the runtime's own flag, from any thread; for moments when SIGINT is ignored. A [`Deliver`]; 0: none.
static SET_FLAG: AtomicUsize = AtomicUsize::new(0);
/// Whether the handler runs on the alternate stack.
static STACK_FLAG: AtomicI32 = AtomicI32::new(libc::SA_ONSTACK);
/// Where on the stack the main thread's call of the chained handler stands; 0: nowhere.
static IN_CHAINED: AtomicUsize = AtomicUsize::new(0);

/// Puts the handler in front of the runtime: `deliver` is called for each interrupt, in signal context, on the main thread.
/// `set_flag` sets the runtime's own flag from any thread.
pub fn install(deliver: Deliver, set_flag: Deliver) {
    SET_FLAG.store(set_flag as usize, SeqCst);
    DELIVER.store(deliver as usize, SeqCst);
    CHAINED.store(0, SeqCst);
    signal_safe_set_handler();
}

/// The same in front of the handler that the runtime has installed. Call it again when the runtime may have installed it anew;
/// does nothing when ours is still there, or when user code chose the default action or to ignore SIGINT.
pub fn install_before_current(set_flag: Deliver) {
    SET_FLAG.store(set_flag as usize, SeqCst);
    let current = sys::current_action(libc::SIGINT);
    if [own_handler(), libc::SIG_DFL, libc::SIG_IGN].contains(&current.sa_sigaction) {
        return;
    }
    CHAINED.store(current.sa_sigaction, SeqCst);
    // It may need more of a stack than the alternate one has.
    STACK_FLAG.store(current.sa_flags & libc::SA_ONSTACK, SeqCst);
    signal_safe_set_handler();
}

/// Whether there is a runtime to tell.
pub(super) fn has_runtime() -> bool {
    DELIVER.load(SeqCst) != 0 || CHAINED.load(SeqCst) != 0
}

/// Whether the runtime has a flag that can be set without a signal.
pub(super) fn has_flag() -> bool {
    SET_FLAG.load(SeqCst) != 0
}

/// The address of the handler, as `sigaction` tells it.
pub(super) fn own_handler() -> libc::sighandler_t {
    on_sigint as *const () as libc::sighandler_t
}

/// Installs the handler.
///
/// Safe in a signal handler: `sigaction` on a structure on the stack.
pub(super) fn signal_safe_set_handler() {
    // SAFETY: the handler has the signature that SA_SIGINFO asks for. No SA_RESTART: system calls must return.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_sigint as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | STACK_FLAG.load(SeqCst);
        libc::sigaction(libc::SIGINT, &action, std::ptr::null_mut());
    }
}

/// Whether our handler is there, and is told who sends signals.
///
/// Safe in a signal handler: `sigaction` without a change.
pub(super) fn signal_safe_is_whole() -> bool {
    let current = sys::current_action(libc::SIGINT);
    current.sa_sigaction == on_sigint as *const () as libc::sighandler_t && current.sa_flags & libc::SA_SIGINFO != 0
}

/// Sets the runtime's own flag.
///
/// Safe in a signal handler: the function was given to be called there.
pub(super) fn signal_safe_set_flag() {
    let set_flag = SET_FLAG.load(SeqCst);
    if set_flag != 0 {
        signal_safe_set(Bits::on_deliver);
        // SAFETY: the pointer was stored from a `Deliver`.
        let set_flag: Deliver = unsafe { std::mem::transmute(set_flag) };
        set_flag();
    }
}

/// A SIGINT has come, on any thread, in the session's process or in a child that is a copy of it.
extern "C" fn on_sigint(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let on_stack = 0_u8;
    let here = std::ptr::from_ref(&on_stack).addr();
    let is_main = signal_safe_is_main_thread();
    // A library's handler that passes the signal on to what was there before, which was ours, comes back to us. That we look at
    // the place and not at a mark alone: a handler may jump away and leave the mark standing.
    if is_main && here < IN_CHAINED.load(SeqCst) {
        return signal_safe_set_flag();
    }
    if sys::is_own_process() {
        // SAFETY: the kernel passes a valid siginfo if the handler stands with SA_SIGINFO, and else it is not read.
        let is_due = unsafe { signal_safe_filter(info, is_main) };
        if !is_due {
            return;
        }
    } else if !is_main {
        signal_safe_signal_main_thread_of_child();
    }
    if is_main {
        signal_safe_deliver(here, signal, info, context);
    }
}

/// Decides what the signal is, and passes it on to the main thread if this is another. Whether the runtime is told.
///
/// Safe in a signal handler: atomics, `getpid`, `sigaction`, `clock_gettime`, `pthread_kill` and `write`.
///
/// # Safety
///
/// `info` is valid if the handler stands with `SA_SIGINFO`.
unsafe fn signal_safe_filter(info: *const libc::siginfo_t, is_main: bool) -> bool {
    // R swaps handlers by `signal()` around each wait of its own, which puts ours back without SA_SIGINFO.
    let sender = if !signal_safe_is_whole() {
        Sender::Unknown
    // SAFETY: the caller's promise; getpid cannot fail.
    } else if unsafe { (*info).si_pid() != libc::getpid() } {
        Sender::Other
    // SAFETY: the caller's promise.
    } else if unsafe { signal_safe_is_marked(info) } {
        Sender::Marked
    } else {
        Sender::Us
    };
    let (action, generation) = signal_safe_change(|bits| {
        let (after, action) = bits.on_signal(sender);
        (after, (action, bits.generation()))
    });
    if action == Action::Ignore {
        return false;
    }
    if sender == Sender::Unknown {
        signal_safe_set_handler();
    }
    let is_from_outside = action == Action::Dedup;
    if is_from_outside && !signal_safe_record(Way::Signal) {
        return false;
    }
    // Sent before anybody is woken, who may start the next cell.
    if !is_main {
        if !signal_safe_change(|bits| bits.on_forward(generation)) {
            return false;
        }
        signal_safe_signal_main_thread();
    }
    if is_from_outside {
        // The control thread sees to it that a system call which begins at this moment is ended too.
        signal_safe_set(Bits::on_outside);
        signal_safe_wake_control();
    }
    true
}

/// Tells the runtime, on the main thread. `here`: where the handler's frame is.
///
/// Safe in a signal handler: what it calls is the runtime's own handler, or was given to be called there. It may jump away.
fn signal_safe_deliver(here: usize, signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let (chained, deliver) = (CHAINED.load(SeqCst), DELIVER.load(SeqCst));
    if chained == 0 && deliver == 0 {
        return;
    }
    signal_safe_set(Bits::on_deliver);
    sys::keep_errno(|| {
        if chained != 0 {
            // SAFETY: the pointer is the handler that the runtime had installed.
            let chained: Handler = unsafe { std::mem::transmute(chained) };
            IN_CHAINED.store(here, SeqCst);
            chained(signal, info, context);
            IN_CHAINED.store(0, SeqCst);
        } else {
            // SAFETY: the pointer was stored by `install`, from a `Deliver`.
            let deliver: Deliver = unsafe { std::mem::transmute(deliver) };
            deliver();
        }
    });
}
