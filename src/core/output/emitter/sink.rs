//! The writing end of the channel, written without waiting.

#![expect(unsafe_code, reason = "bytes that are written by address after a fault")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// The writing end of the channel, written without waiting.
#[derive(Debug)]
pub(crate) struct Sink {
    fd: OwnedFd,
    is_socket: bool,
}

impl Sink {
    /// Takes over the descriptor; a pipe or terminal is opened anew, so that its other holders keep their mode.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Sink> {
        match sys::file_type(fd.as_raw_fd())? {
            libc::S_IFSOCK => Ok(Sink { fd, is_socket: true }),
            libc::S_IFREG => Ok(Sink { fd, is_socket: false }),
            _ => match sys::reopen_nonblocking(fd.as_raw_fd()) {
                Ok(own) => Ok(Sink { fd: own, is_socket: false }),
                Err(_) => {
                    sys::set_nonblocking(fd.as_raw_fd())?;
                    Ok(Sink { fd, is_socket: false })
                }
            },
        }
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_socket {
            sys::send_nowait(self.fd.as_raw_fd(), bytes)
        } else {
            sys::write(self.fd.as_raw_fd(), bytes)
        }
    }

    /// The same of bytes that are read by the kernel alone, so that another thread may be changing them.
    ///
    /// # Safety
    ///
    /// So many bytes are mapped there.
    pub(crate) unsafe fn try_write_at(&self, start: *const u8, len: usize) -> io::Result<usize> {
        // SAFETY: the caller's promise.
        unsafe {
            if self.is_socket {
                sys::send_nowait_at(self.fd.as_raw_fd(), start, len)
            } else {
                sys::write_at(self.fd.as_raw_fd(), start, len)
            }
        }
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
