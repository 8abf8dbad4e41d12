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
    crate::crash::forget_notes();
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

/// What a forked child has printed and not yet written, so that a line arrives in one piece: stdout's.
static PRINTED: parking_lot::Mutex<Vec<u8>> = parking_lot::Mutex::new(Vec::new());

/// Prints in a forked child: stdout by lines, stderr at once.
pub fn print(stream: Stream, bytes: &[u8]) {
    if stream == Stream::Stderr {
        write_raw(stream, bytes);
        return;
    }
    let mut printed = PRINTED.lock();
    printed.extend_from_slice(bytes);
    if printed.len() > 4096 || printed.ends_with(b"\n") {
        write_raw(stream, &printed);
        printed.clear();
    }
}

/// Writes what [`print`] holds back.
pub fn flush_print() {
    let mut printed = PRINTED.lock();
    write_raw(Stream::Stdout, &printed);
    printed.clear();
}

/// Ends a process at once, after what it printed is written.
pub fn exit(status: i32) -> ! {
    if in_child() {
        flush_print();
    }
    sys::exit_now(status)
}

/// A line for whoever runs the worker, from before there is a session.
pub(crate) fn write_diagnostic(fd: RawFd, text: &str) {
    // Nobody is told when nobody listens.
    let _ = sys::write_all(fd, format!("worker: {text}\n").as_bytes());
}

/// The file behind an inherited descriptor.
pub fn file_from(fd: RawFd) -> std::fs::File {
    std::fs::File::from(sys::adopt(fd))
}

/// Tells the monitor process that the engine is up, and closes the pipe to it.
pub fn confirm_start(pipe: RawFd) {
    let pipe = sys::adopt(pipe);
    // A monitor that is gone needs no telling.
    let _ = sys::write(std::os::fd::AsRawFd::as_raw_fd(&pipe), b"1");
}
