//! The channel's descriptors, as the launcher has left them to this process.

#![expect(unsafe_code, reason = "descriptors that are inherited under a number")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use worker_protocol::config::Channel;

/// They have been taken.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes both: where requests come from, and where events go. Once in a process.
pub(super) fn take(channel: &Channel) -> io::Result<(OwnedFd, OwnedFd)> {
    let is_one = channel.request_fd == channel.event_fd;
    // Numbers that name nothing open, or that somebody has taken, belong to nobody.
    for fd in [channel.request_fd, channel.event_fd] {
        sys::set_cloexec(fd, true)?;
    }
    if IS_TAKEN.swap(true, SeqCst) {
        return Err(io::Error::other("this process has its session"));
    }
    // SAFETY: they are open, the launcher has made them for this, and they are taken once.
    let requests = unsafe { sys::adopt(channel.request_fd) };
    let events = if is_one {
        sys::dup_high(requests.as_raw_fd())?
    } else {
        // SAFETY: the same.
        unsafe { sys::adopt(channel.event_fd) }
    };
    Ok((requests, events))
}
