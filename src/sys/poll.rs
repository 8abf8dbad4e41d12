//! Waiting for descriptors.

use super::time::timespec;
use std::os::fd::RawFd;
use std::time::Duration;

/// An entry for [`poll`].
pub fn pollfd(fd: RawFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd { fd, events, revents: 0 }
}

/// Waits for any of `fds`; false when the time ran out or a signal came.
pub fn poll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> bool {
    // A wait rounds up to a whole millisecond, so that a deadline has passed when it returns.
    let timeout = timeout.map_or(-1, |t| t.as_micros().div_ceil(1000).min(i32::MAX as u128) as libc::c_int);
    // SAFETY: the pointer and the count describe `fds`.
    unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) > 0 }
}

/// How a wait with SIGINT open ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// A descriptor has something.
    Ready,
    /// The time ran out.
    Timeout,
    /// A signal was handled.
    Signal,
}

/// Waits for any of `fds` with the signal mask `open`, which is in force for the wait alone.
pub fn ppoll(fds: &mut [libc::pollfd], timeout: Option<Duration>, open: &libc::sigset_t) -> Waited {
    let timeout = timeout.map(timespec);
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: all pointers refer to live values of the right types, or are null where null is allowed.
    let result = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout, open) };
    match result {
        0 => Waited::Timeout,
        n if n > 0 => Waited::Ready,
        _ => Waited::Signal,
    }
}
