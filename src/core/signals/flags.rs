//! The one word of the process that says how far an interrupt has come ([`sigint_state`](super::sigint_state)), and the
//! thread that interrupts go to.

#![expect(unsafe_code, reason = "a signal to a thread")]

use super::sigint_state::Bits;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

/// The state: signal handlers, the control thread and the main thread change it, each by compare-exchange.
static STATE: AtomicU64 = AtomicU64::new(0);
/// The main thread; 0: none yet.
static MAIN: AtomicUsize = AtomicUsize::new(0);

/// Makes the calling thread the main one.
pub(super) fn set_main_thread() {
    MAIN.store(sys::this_thread() as usize, SeqCst);
}

/// Whether there is a main thread.
pub(super) fn has_main_thread() -> bool {
    MAIN.load(SeqCst) != 0
}

/// Whether the calling thread is the main one.
///
/// Safe in a signal handler: an atomic load and `pthread_self`. A thread-local could be allocated at its first use.
pub(super) fn signal_safe_is_main_thread() -> bool {
    sys::this_thread() as usize == MAIN.load(SeqCst)
}

/// Changes the state, and gives what the change tells.
///
/// Safe in a signal handler: a loop of compare-exchange around a pure function. A handler that comes in between changes the
/// word, and the loop begins again with what it left.
pub(super) fn signal_safe_change<T>(transition: impl Fn(Bits) -> (Bits, T)) -> T {
    let mut before = STATE.load(SeqCst);
    loop {
        let (after, told) = transition(Bits(before));
        match STATE.compare_exchange(before, after.0, SeqCst, SeqCst) {
            Ok(_) => return told,
            Err(changed) => before = changed,
        }
    }
}

/// The same where the change has nothing to tell.
///
/// Safe in a signal handler as [`signal_safe_change`] is.
pub(super) fn signal_safe_set(transition: impl Fn(Bits) -> Bits) {
    signal_safe_change(|bits| (transition(bits), ()));
}

/// Whether these bits are set at the moment.
pub(super) fn has(flag: Bits) -> bool {
    Bits(STATE.load(SeqCst)).has(flag)
}

/// Whether the runtime was told of an interrupt since the running cell began.
pub fn has_delivered() -> bool {
    has(Bits::DELIVERED)
}

/// Sends SIGINT to the main thread, with the mark by which the handler knows it; `SENT` says what it stands for.
///
/// Safe in a signal handler: an atomic load, and `rt_tgsigqueueinfo` or `pthread_kill`.
pub(super) fn signal_safe_signal_main_thread() {
    let main = MAIN.load(SeqCst) as libc::pthread_t;
    let mark = libc::sigval { sival_ptr: signal_safe_mark() as *mut libc::c_void };
    // SAFETY: the main thread lives as long as the process.
    unsafe {
        if libc::pthread_sigqueue(main, libc::SIGINT, mark) != 0 {
            // A sandbox may refuse it. Then `SENT` and `RESEND` alone tell what the signal is.
            sys::signal_thread(main, libc::SIGINT);
        }
    }
}

/// Sends SIGINT to the main thread of a copy of the session's process.
///
/// Safe in a signal handler: an atomic load and `pthread_kill`.
pub(super) fn signal_safe_signal_main_thread_of_child() {
    // SAFETY: the main thread lives as long as the process.
    unsafe { sys::signal_thread(MAIN.load(SeqCst) as libc::pthread_t, libc::SIGINT) };
}

/// The value that our signals carry: an address of ours, which nobody else's does by accident.
///
/// Safe in a signal handler: an address.
fn signal_safe_mark() -> usize {
    std::ptr::from_ref(&STATE).addr()
}

/// The beginning of a `siginfo_t` of a signal that was queued with a value, as Linux lays it out on 64 bits.
#[repr(C)]
struct Queued {
    signal: libc::c_int,
    error: libc::c_int,
    code: libc::c_int,
    padding: libc::c_int,
    pid: libc::pid_t,
    uid: libc::uid_t,
    value: usize,
}

const _: () = assert!(size_of::<Queued>() <= size_of::<libc::siginfo_t>() && size_of::<usize>() == 8);

/// Whether a signal of this process's carries our mark.
///
/// Safe in a signal handler: it reads what the kernel has written to the handler's stack.
///
/// # Safety
///
/// `info` is what a handler with `SA_SIGINFO` was given.
pub(super) unsafe fn signal_safe_is_marked(info: *const libc::siginfo_t) -> bool {
    // SAFETY: the caller's promise; the structure is larger than what is read, and aligned as it.
    let queued = unsafe { &*info.cast::<Queued>() };
    queued.code == libc::SI_QUEUE && queued.value == signal_safe_mark()
}
