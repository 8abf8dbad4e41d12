//! Processes that the launcher makes beside itself, and the program that it becomes.
#![expect(unsafe_code, reason = "fork, and a signal's disposition around exec")]

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, execv, setsid};
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;

/// Forks. The launcher has a single thread when it does, so the child may do anything.
pub fn fork() -> io::Result<ForkResult> {
    // SAFETY: there are no other threads whose locks the child could find held.
    Ok(unsafe { nix::unistd::fork() }?)
}

/// Runs `work` in a process of its own, with no descriptors but `kept`, and does not wait for it.
///
/// It is a grandchild whose parent ends at once, so that the session has no child that it did not start. In a group of its
/// own no interrupt of the session reaches it, and it keeps no directory in use.
pub fn run_detached(kept: &[RawFd], work: impl FnOnce()) -> io::Result<()> {
    if let ForkResult::Parent { child } = fork()? {
        while waitpid(child, None) == Err(Errno::EINTR) {}
        return Ok(());
    }
    if matches!(fork(), Ok(ForkResult::Child)) {
        let _ = setsid();
        let _ = std::env::set_current_dir("/");
        sys::close_all_but(kept);
        work();
    }
    sys::exit_now(0)
}

/// Replaces this process by a program; gives the error if that failed.
pub fn exec(program: &OsStr, arguments: &[&OsStr]) -> io::Error {
    let to_c = |text: &OsStr| CString::new(text.as_bytes());
    let arguments: Result<Vec<_>, _> = arguments.iter().map(|text| to_c(text)).collect();
    let (program, arguments) = match (to_c(program), arguments) {
        (Ok(program), Ok(arguments)) => (program, arguments),
        (Err(error), _) | (_, Err(error)) => return io::Error::other(error),
    };
    // Rust's own start ignores SIGPIPE, and a program would inherit that; it is put back where there is no new program.
    // SAFETY: only dispositions are changed, and no handler is set.
    let before = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    let Err(error) = execv(&program, &arguments);
    if let Ok(before) = before {
        // SAFETY: as above: the launcher never sets a handler for it.
        let _ = unsafe { signal(Signal::SIGPIPE, before) };
    }
    error.into()
}
