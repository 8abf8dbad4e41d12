//! Reading and writing by descriptor, repeated when a signal interrupts.

use super::poll::{poll, pollfd};
use std::io;
use std::os::fd::RawFd;

/// How many bytes can be read from a pipe at once.
pub fn available(fd: RawFd) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, which `count` is.
    let result = unsafe { libc::ioctl(fd, libc::FIONREAD, &mut count) };
    if result < 0 { 0 } else { count as usize }
}

/// Reads at most `buf.len()` bytes; retries when a signal comes.
pub fn read(fd: RawFd, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most `buf.len()` bytes into `buf`.
    retried(|| unsafe { libc::read(fd, buf.as_mut_ptr().cast(), buf.len()) })
}

/// Writes what can be written; retries when a signal comes.
pub fn write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the bytes are there.
    unsafe { write_at(fd, bytes.as_ptr(), bytes.len()) }
}

/// The same by address.
///
/// # Safety
///
/// So many bytes are mapped there.
pub unsafe fn write_at(fd: RawFd, start: *const u8, len: usize) -> io::Result<usize> {
    // SAFETY: the kernel reads at most so many bytes.
    retried(|| unsafe { libc::write(fd, start.cast(), len) })
}

/// Writes everything, waiting where it must; for descriptors that have no emitter.
pub fn write_all(fd: RawFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [pollfd(fd, libc::POLLOUT)], None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Calls again when a signal comes.
pub(crate) fn retried(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        if let Ok(size) = usize::try_from(call()) {
            return Ok(size);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
