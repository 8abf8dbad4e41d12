//! What the runtime itself knows of a fault, such as the calls that led there: a file in memory that it writes to first.

#![expect(unsafe_code, reason = "system calls that a signal handler may make")]

use std::os::fd::{IntoRawFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

/// So much of it goes into the message.
const MOST: usize = 8 << 10;

/// The file; -1: none.
static NOTES: AtomicI32 = AtomicI32::new(-1);

/// Names a file (a memfd) into which the runtime writes what it knows of a fault before our handler is called.
pub fn set_notes(fd: RawFd) {
    NOTES.store(fd, SeqCst);
}

/// A file in memory for [`set_notes`]; in a forked child it is not shared any more.
pub fn make_notes() -> std::io::Result<RawFd> {
    let high = sys::memory_file(c"worker-notes")?.into_raw_fd();
    set_notes(high);
    Ok(high)
}

/// What was noted, as much as `room` and the message take.
///
/// Safe in a signal handler: `pread` into the caller's buffer, and a look at the bytes.
pub(super) fn signal_safe_read(room: &mut [u8]) -> &str {
    let most = room.len().min(MOST);
    let notes = NOTES.load(SeqCst);
    if notes < 0 {
        return "";
    }
    // SAFETY: pread writes at most the given number of bytes into the buffer.
    let size = unsafe { libc::pread(notes, room.as_mut_ptr().cast(), most, 0) };
    let noted = &room[..usize::try_from(size).unwrap_or(0)];
    noted.utf8_chunks().next().map_or("", |chunk| chunk.valid().trim_end())
}

/// In a child that C's `fork` did not make: what the runtime has noted of the child's fault is not the session's.
///
/// Safe in a signal handler: `ftruncate` and `lseek`.
pub(super) fn signal_safe_forget_noted() {
    let fd = NOTES.load(SeqCst);
    if fd >= 0 {
        // SAFETY: async-signal-safe calls on a file in memory, whose offset is shared with the session.
        unsafe {
            libc::ftruncate(fd, 0);
            libc::lseek(fd, 0, libc::SEEK_SET);
        }
    }
}

/// In a forked child: notes about its own fault are not the session's.
pub(crate) fn forget_notes() {
    let fd = NOTES.swap(-1, SeqCst);
    if fd >= 0 {
        // SAFETY: async-signal-safe calls on descriptors of this process.
        unsafe {
            let null = libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            if null >= 0 {
                libc::dup3(null, fd, libc::O_CLOEXEC);
                libc::close(null);
            }
        }
    }
}
