//! Descriptors: made, copied, closed, and asked what they refer to.

use super::check;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Internal descriptors live at this number or above, out of the way of what users number by hand.
pub const FIRST_INTERNAL_FD: RawFd = 10;

/// A close-on-exec copy of `fd`, numbered [`FIRST_INTERNAL_FD`] or above.
pub fn dup_high(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with an integer argument touches no memory; the result is a fresh descriptor that nobody else owns.
    unsafe {
        let copy = check(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, FIRST_INTERNAL_FD))?;
        Ok(OwnedFd::from_raw_fd(copy))
    }
}

/// Makes `target` refer to what `fd` refers to, inheritable.
pub fn dup_onto(fd: RawFd, target: RawFd) -> io::Result<()> {
    // SAFETY: dup2 touches no memory.
    check(unsafe { libc::dup2(fd, target) }).map(drop)
}

/// Takes ownership of a descriptor that was inherited under a number.
///
/// # Safety
///
/// It is open, and nobody else in this process owns it: whoever made this process meant it for the caller.
pub unsafe fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: the caller's promise.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Closes a descriptor that was handed to this process under a number, and that nobody in it owns.
pub fn close(fd: RawFd) {
    // SAFETY: close takes any number; who calls says that the descriptor is theirs to close.
    unsafe { libc::close(fd) };
}

/// Closes every descriptor of this process but a few. Only for a process that runs no destructors of their owners.
pub fn close_all_but(kept: &[RawFd]) {
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    let mut from = 0;
    for fd in kept {
        if from < fd {
            // SAFETY: a range of numbers; what they were is no longer used in this process.
            unsafe { libc::close_range(from as u32, fd as u32 - 1, 0) };
        }
        from = fd + 1;
    }
    // SAFETY: as above.
    unsafe { libc::close_range(from as u32, u32::MAX, 0) };
}

/// Sets or clears close-on-exec.
pub fn set_cloexec(fd: RawFd, on: bool) -> io::Result<()> {
    // SAFETY: fcntl with an integer argument touches no memory.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, if on { libc::FD_CLOEXEC } else { 0 }) }).map(drop)
}

/// How a descriptor was opened (`O_RDONLY` and so on), or the error for one that is not open.
pub fn status_flags(fd: RawFd) -> io::Result<libc::c_int> {
    // SAFETY: fcntl with an integer argument touches no memory.
    check(unsafe { libc::fcntl(fd, libc::F_GETFL) })
}

/// Makes a read or a write that would wait fail instead, for everybody who shares the open file description.
pub fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    let flags = status_flags(fd)?;
    // SAFETY: fcntl with integer arguments touches no memory.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) }).map(drop)
}

/// Opens the same pipe or file again for writing without waiting, with a mode of its own.
///
/// `O_NONBLOCK` belongs to the open file description, which a parent may share; a second opening is ours alone.
pub fn reopen_nonblocking(fd: RawFd) -> io::Result<OwnedFd> {
    let path = std::ffi::CString::new(format!("/proc/self/fd/{fd}")).map_err(io::Error::other)?;
    // SAFETY: the path is a C string that lives across the call; the result is a fresh descriptor.
    let opened = unsafe {
        let fd =
            check(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY))?;
        OwnedFd::from_raw_fd(fd)
    };
    dup_high(opened.as_raw_fd())
}

/// What kind of thing a descriptor refers to.
pub fn file_type(fd: RawFd) -> io::Result<libc::mode_t> {
    stat(fd).map(|stat| stat.st_mode & libc::S_IFMT)
}

/// Device and inode of what a descriptor refers to: two descriptors of one pipe agree.
pub fn identity(fd: RawFd) -> io::Result<(libc::dev_t, libc::ino_t)> {
    stat(fd).map(|stat| (stat.st_dev, stat.st_ino))
}

fn stat(fd: RawFd) -> io::Result<libc::stat> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat fills the structure when it succeeds, and only then is it read.
    unsafe {
        check(libc::fstat(fd, stat.as_mut_ptr()))?;
        Ok(stat.assume_init())
    }
}

/// A pipe, both ends close-on-exec and numbered high: (read end, write end).
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: pipe2 writes two integers, which are fresh descriptors that nobody else owns.
    let (reader, writer) = unsafe {
        check(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC))?;
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    Ok((dup_high(reader.as_raw_fd())?, dup_high(writer.as_raw_fd())?))
}

/// A nameless file in memory, close-on-exec and numbered high.
pub fn memory_file(name: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: the name is a C string that lives across the call; the result is a fresh descriptor.
    let low = unsafe { OwnedFd::from_raw_fd(check(libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC))?) };
    dup_high(low.as_raw_fd())
}
