//! A process that user code forks from the worker: it has no channel, and its output goes to the raw descriptors.

use crate::protocol::Stream;
use crate::sys;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};

static IN_CHILD: AtomicBool = AtomicBool::new(false);
/// Descriptors that a forked child closes, so that the supervisor sees the end of file when the worker itself is gone.
static CLOSE: [AtomicI32; 8] = [const { AtomicI32::new(-1) }; 8];

/// Whether this process was forked from the worker.
pub fn in_child() -> bool {
    IN_CHILD.load(SeqCst)
}

/// From now on a forked child knows that it is one, and closes `fds`.
pub(crate) fn watch_forks(fds: &[RawFd]) {
    for (slot, fd) in CLOSE.iter().zip(fds) {
        slot.store(*fd, SeqCst);
    }
    sys::at_fork_in_child(on_fork_in_child);
}

extern "C" fn on_fork_in_child() {
    if IN_CHILD.swap(true, SeqCst) {
        return;
    }
    crate::interrupt::adopt_forked_thread();
    for slot in &CLOSE {
        let fd = slot.swap(-1, SeqCst);
        if fd >= 0 {
            drop(sys::adopt(fd));
        }
    }
}

/// Writes what a forked child prints, unbuffered.
pub fn write_raw(stream: Stream, bytes: &[u8]) {
    let fd = match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    };
    // A child whose output nobody takes has nobody to tell.
    let _ = sys::write_all(fd, bytes);
}
