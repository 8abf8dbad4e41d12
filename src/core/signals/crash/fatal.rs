//! Which signals have last words, and whose handlers stand.

#![expect(unsafe_code, reason = "sigaction")]

use sys::current_action;

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
///
/// Safe in a signal handler: a look at a constant table.
pub(super) fn signal_safe_name_of(signal: libc::c_int) -> &'static str {
    SIGNALS.iter().find(|(number, _)| *number == signal).map_or("a signal", |(_, name)| name)
}

/// A handler with `SA_SIGINFO`.
pub(super) type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Installs the handler at the start of a session, also where Rust's own start has put something in the place of two.
pub(super) fn install_at_start(handler: Handler) {
    install_where(handler, |signal, current| {
        current == libc::SIG_DFL || matches!(signal, libc::SIGSEGV | libc::SIGBUS) && current != libc::SIG_IGN
    });
}

/// Installs the handler where the default action stands.
pub(super) fn install_where_default(handler: Handler) {
    install_where(handler, |_, current| current == libc::SIG_DFL);
}

/// Installs the handler of those signals of which `is_free` says so by their number and their action.
fn install_where(handler: Handler, is_free: impl Fn(libc::c_int, libc::sighandler_t) -> bool) {
    for (signal, _) in SIGNALS {
        if !is_free(signal, current_action(signal).sa_sigaction) {
            continue;
        }
        // SAFETY: sigaction is plain data, and the handler has the signature that SA_SIGINFO asks for.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// The signals that have this handler at the moment.
pub(super) fn handled_by(handler: Handler) -> impl Iterator<Item = libc::c_int> {
    let is_ours = move |signal: &libc::c_int| current_action(*signal).sa_sigaction == handler as usize;
    SIGNALS.into_iter().map(|(signal, _)| signal).filter(is_ours)
}
