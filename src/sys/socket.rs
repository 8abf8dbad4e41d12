//! Sockets: connections taken, told apart, and written to without waiting.

use super::check;
use super::fd::dup_high;
use super::io::retried;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Sends to a socket without waiting, whatever the descriptor's own mode is.
pub fn send_nowait(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the bytes are there.
    unsafe { send_nowait_at(fd, bytes.as_ptr(), bytes.len()) }
}

/// The same by address.
///
/// # Safety
///
/// So many bytes are mapped there.
pub unsafe fn send_nowait_at(fd: RawFd, start: *const u8, len: usize) -> io::Result<usize> {
    // SAFETY: the kernel reads at most so many bytes.
    retried(|| unsafe { libc::send(fd, start.cast(), len, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) })
}

/// Takes a connection that has come, close-on-exec and numbered high. Where none has come, it is the listening socket's own
/// mode that says whether this waits or fails.
pub fn accept_nowait(listener: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: accept4 may be given no room for the address; the result is a fresh descriptor.
    let low = unsafe {
        let none = std::ptr::null_mut();
        OwnedFd::from_raw_fd(check(libc::accept4(listener, none, std::ptr::null_mut(), libc::SOCK_CLOEXEC))?)
    };
    dup_high(low.as_raw_fd())
}

/// Whether a peer is connected to a socket; none for what is no socket.
pub fn is_connected_socket(fd: RawFd) -> Option<bool> {
    let mut kind: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointers are to locals of the stated size.
    check(unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &mut length) })
        .ok()?;
    let mut address = std::mem::MaybeUninit::<libc::sockaddr_storage>::uninit();
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the kernel writes at most so many bytes of the address, which is not read.
    Some(unsafe { libc::getpeername(fd, address.as_mut_ptr().cast(), &mut length) } == 0)
}
