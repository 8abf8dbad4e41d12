//! Signals: who is sent one, what is done at one, and what may be done in a handler.

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
