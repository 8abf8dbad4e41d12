//! Which signals have last words, and whose handlers stand.

#![expect(unsafe_code, reason = "sigaction")]

use crate::interrupt::current_of;

/// The faults, the limits, and what else ends a process that does not handle it: a timer of the user's own, say. Not those
/// that mean something else to a session (SIGINT, SIGTERM, SIGHUP) or that a runtime ignores (SIGPIPE).
const SIGNALS: [(libc::c_int, &str); 15] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGSYS, "SIGSYS"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGVTALRM, "SIGVTALRM"),
    (libc::SIGPROF, "SIGPROF"),
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGUSR2, "SIGUSR2"),
];

/// What a signal is called in the last words.
pub(super) fn name_of(signal: libc::c_int) -> &'static str {
    SIGNALS.iter().find(|(number, _)| *number == signal).map_or("a signal", |(_, name)| name)
}

/// Installs the handlers at the start of a session, also where Rust's own start has put something in the place of two.
pub(super) fn install_at_start() {
    install_where(|signal, handler| {
        handler == libc::SIG_DFL || matches!(signal, libc::SIGSEGV | libc::SIGBUS) && handler != libc::SIG_IGN
    });
}

/// Installs the handlers where the default action stands: a handler of somebody else's stays, and so does "ignore".
pub fn install_handlers() {
    install_where(|_, handler| handler == libc::SIG_DFL);
}

fn install_where(is_free: impl Fn(libc::c_int, libc::sighandler_t) -> bool) {
    for (signal, _) in SIGNALS {
        if !is_free(signal, handler_of(signal)) {
            continue;
        }
        // SAFETY: sigaction is plain data, and the handler has the signature that SA_SIGINFO asks for.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = super::on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// The signals that have our handler at the moment: for a runtime that has recorded them as somebody's, and not as the default.
pub fn handled() -> impl Iterator<Item = libc::c_int> {
    let ours = super::on_fault as *const () as usize;
    SIGNALS.into_iter().map(|(signal, _)| signal).filter(move |signal| handler_of(*signal) == ours)
}

fn handler_of(signal: libc::c_int) -> libc::sighandler_t {
    current_of(signal).sa_sigaction
}
