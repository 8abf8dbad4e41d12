//! Signals: who is sent one, what is done at one, and what may be done in a handler.

use super::time::timespec;
use std::time::Duration;

/// The calling thread, as the system names it for signals.
pub fn this_thread() -> libc::pthread_t {
    // SAFETY: pthread_self cannot fail.
    unsafe { libc::pthread_self() }
}

/// Sends a signal to one thread of this process.
///
/// # Safety
///
/// The thread has not been joined, nor has it ended if it is detached.
pub unsafe fn signal_thread(thread: libc::pthread_t, signal: libc::c_int) {
    // SAFETY: the caller's promise.
    unsafe { libc::pthread_kill(thread, signal) };
}

/// Sends a signal to a process, or to a group where `pid` is negative; false when there is none to take it.
pub fn signal_process(pid: libc::pid_t, signal: libc::c_int) -> bool {
    // SAFETY: kill takes two integers.
    unsafe { libc::kill(pid, signal) == 0 }
}

/// What is done at a signal. Safe in a signal handler.
pub fn current_action(signal: libc::c_int) -> libc::sigaction {
    // SAFETY: sigaction fills a zeroed structure, which is a valid one.
    unsafe {
        let mut current: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut current);
        current
    }
}

/// Runs what may change `errno` and leaves that as it was, as a handler must.
pub fn keep_errno(body: impl FnOnce()) {
    // SAFETY: errno is the calling thread's own.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        body();
        *errno = saved;
    }
}

/// Ends the process by `signal`, as if nobody had ever handled it. Safe in a signal handler.
pub fn die_of(signal: libc::c_int) {
    // SAFETY: async-signal-safe calls; the default action, unblocked, ends the process with the true signal.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        libc::raise(signal);
    }
}

/// Blocks every signal but those of faults in the calling thread, which is one that takes none for others.
pub fn block_signals_in_this_thread() {
    // SAFETY: the set lives across the call.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &all_but_faults(), std::ptr::null_mut()) };
}

/// Every signal but those of faults, which cannot be blocked away and keep their handlers.
pub fn all_but_faults() -> libc::sigset_t {
    // SAFETY: sigfillset fills the set.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut set);
        for fault in
            [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS]
        {
            libc::sigdelset(&mut set, fault);
        }
        set
    }
}

/// Gives SIGINT back its default action if the parent ignored it, and unblocks it: a program inherits both, Python installs
/// no handler of its own for what is ignored, and a blocked SIGINT would never interrupt a cell.
pub fn reset_ignored_interrupt() {
    // SAFETY: setting a disposition or a mask touches nothing else; the set is a local that is filled first.
    unsafe {
        if current_action(libc::SIGINT).sa_sigaction == libc::SIG_IGN {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
        }
        let mut interrupt: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut interrupt);
        libc::sigaddset(&mut interrupt, libc::SIGINT);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &interrupt, std::ptr::null_mut());
    }
}

/// Calls `handler` at a signal; a system call that the signal interrupts goes on. Unlike an ignored signal, a handled one has
/// its default action again in what this process executes.
///
/// # Safety
///
/// The handler does only what is safe in a signal handler.
pub unsafe fn handle(signal: libc::c_int, handler: extern "C" fn(libc::c_int)) {
    // SAFETY: a zeroed sigaction is a valid one; what the handler does is the caller's promise.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

/// Makes a write beyond the limit of a file's size an error of that write (`EFBIG`), instead of the process's end by SIGXFSZ.
pub fn survive_large_files() {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: a handler that does nothing is safe at any moment.
    unsafe { handle(libc::SIGXFSZ, nothing) };
}

/// Waits for a signal, all of them being blocked: its number, and whether it came from the terminal. None if none comes
/// in time.
pub fn next_signal(limit: Option<Duration>) -> Option<(libc::c_int, bool)> {
    let limit = limit.map(timespec);
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: all are plain data that outlives the calls; the set is complete.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        loop {
            let signal = libc::sigtimedwait(&all, &mut info, limit);
            if signal > 0 {
                return Some((signal, info.si_code == libc::SI_KERNEL));
            }
            if std::io::Error::last_os_error().kind() == std::io::ErrorKind::WouldBlock {
                return None;
            }
        }
    }
}
