//! This process: its children, what it uses, and how it ends.

use super::check;
use super::fd::dup_high;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A descriptor that becomes readable when process `pid` ends, close-on-exec and numbered high.
pub fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers; the result is a fresh descriptor.
    let low = unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) as libc::c_int;
        OwnedFd::from_raw_fd(check(fd)?)
    };
    dup_high(low.as_raw_fd())
}

/// Orphans of this process's descendants become its children from now on.
pub fn become_subreaper() {
    // SAFETY: prctl with integer arguments touches no memory.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// When the parent dies, a process that was stopped goes on, and finds that its supervisor is gone. Nobody else might wake it.
pub fn go_on_when_the_parent_dies() {
    // SAFETY: prctl with integer arguments touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGCONT, 0, 0, 0) };
}

/// Resident memory of this process in bytes; 0 where it cannot be told.
pub fn resident_bytes() -> u64 {
    let Ok(statm) = std::fs::read_to_string("/proc/self/statm") else { return 0 };
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    pages * page_size()
}

fn page_size() -> u64 {
    // SAFETY: sysconf takes an integer and gives one.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE).max(0) as u64 }
}

/// Ends the process at once, without exit handlers.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit does not return.
    unsafe { libc::_exit(status) }
}

/// Whether this process has children, ended ones that nobody has waited for included.
pub fn has_children() -> bool {
    // SAFETY: waitid fills the structure and, by WNOWAIT, takes nothing from whoever waits for the child.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_ALL, 0, &mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) == 0
    }
}

/// The process group of this process.
pub fn process_group() -> libc::pid_t {
    // SAFETY: getpgrp cannot fail.
    unsafe { libc::getpgrp() }
}

/// Waits for any child without blocking: the pid of one that ended, or none.
pub fn reap_any() -> Option<libc::pid_t> {
    // SAFETY: no status is asked for, so the pointer may be null.
    let pid = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
    (pid > 0).then_some(pid)
}
