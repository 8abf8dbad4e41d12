//! A process that user code forks from the worker: it has no channel, and its output goes to the raw descriptors.

#![expect(unsafe_code, reason = "descriptors that are inherited under a number")]

use std::os::fd::RawFd;
use worker_protocol::Stream;

pub use sys::in_child;

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

/// Writes what [`print()`] holds back.
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
///
/// # Safety
///
/// The descriptor is open, and nobody else in this process owns it.
pub unsafe fn file_from(fd: RawFd) -> std::fs::File {
    // SAFETY: the caller's promise.
    std::fs::File::from(unsafe { sys::adopt(fd) })
}

/// Tells the monitor process that the engine is up, and closes the pipe to it.
///
/// # Safety
///
/// The same.
pub unsafe fn confirm_start(pipe: RawFd) {
    // SAFETY: the caller's promise.
    let pipe = unsafe { sys::adopt(pipe) };
    // A monitor that is gone needs no telling.
    let _ = sys::write(std::os::fd::AsRawFd::as_raw_fd(&pipe), b"1");
}
