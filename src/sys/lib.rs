//! The few things that are asked of the operating system directly, and the only place where Linux differs.
//!
//! Everything here is a thin, checked wrapper: no state, no policy.

#![expect(unsafe_code, reason = "system calls and C's stdio, which no safe crate covers")]

mod fork;
mod process;
mod processes;
mod signal;
mod wake;

pub use fork::{InChild, in_child, is_own_process, own_process};
pub use process::*;
pub use processes::*;
pub use signal::*;
pub use wake::*;

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Internal descriptors live at this number or above, out of the way of what users number by hand.
pub const FIRST_INTERNAL_FD: RawFd = 10;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

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

/// Sets or clears close-on-exec.
pub fn set_cloexec(fd: RawFd, on: bool) -> io::Result<()> {
    // SAFETY: fcntl with an integer argument touches no memory.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, if on { libc::FD_CLOEXEC } else { 0 }) }).map(drop)
}

/// A pipe, both ends close-on-exec and numbered high: (read end, write end).
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = os_pipe::pipe()?;
    Ok((dup_high(reader.as_raw_fd())?, dup_high(writer.as_raw_fd())?))
}

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

/// Calls again when a signal comes.
fn retried(mut call: impl FnMut() -> isize) -> io::Result<usize> {
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

/// Takes a connection that has come, without waiting for one.
pub fn accept_nowait(listener: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: accept may be given no room for the address; the result is a fresh descriptor.
    unsafe {
        let fd = check(libc::accept(listener, std::ptr::null_mut(), std::ptr::null_mut()))?;
        let fd = OwnedFd::from_raw_fd(fd);
        set_cloexec(fd.as_raw_fd(), true)?;
        Ok(fd)
    }
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

/// Makes a write that would wait fail instead, for everybody who shares the open file description.
pub fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: fcntl with integer arguments touches no memory.
    unsafe {
        let flags = check(libc::fcntl(fd, libc::F_GETFL))?;
        check(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK)).map(drop)
    }
}

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
    let timeout =
        timeout.map(|t| libc::timespec { tv_sec: t.as_secs() as libc::time_t, tv_nsec: t.subsec_nanos().into() });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    #[cfg(target_os = "linux")]
    // SAFETY: all pointers refer to live values of the right types, or are null where null is allowed.
    let result = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout, open) };
    #[cfg(not(target_os = "linux"))]
    let result = fallback::ppoll(fds, timeout, open);
    match result {
        0 => Waited::Timeout,
        n if n > 0 => Waited::Ready,
        _ => Waited::Signal,
    }
}

unsafe extern "C" {
    #[cfg_attr(target_os = "macos", link_name = "__stdoutp")]
    static mut stdout: *mut libc::FILE;
    fn ftrylockfile(file: *mut libc::FILE) -> libc::c_int;
    fn funlockfile(file: *mut libc::FILE);
    #[cfg(target_os = "linux")]
    fn fflush_unlocked(file: *mut libc::FILE) -> libc::c_int;
    #[cfg(target_os = "linux")]
    fn __fpending(file: *mut libc::FILE) -> libc::size_t;
    #[cfg(target_os = "linux")]
    fn __fbufsize(file: *mut libc::FILE) -> libc::size_t;
}

/// What C code prints goes out a line at a time, as at a terminal; left alone where it goes out at once.
pub fn buffer_c_stdout_by_lines() {
    // SAFETY: C's stdout exists for the life of the process; no other thread prints yet.
    unsafe {
        let file = stdout;
        if file.is_null() {
            return;
        }
        // `setvbuf(…, _IONBF, …)` leaves a buffer of one byte.
        #[cfg(target_os = "linux")]
        if __fbufsize(file) == 1 {
            return;
        }
        libc::setvbuf(file, std::ptr::null_mut(), libc::_IOLBF, 0);
    }
}

/// Passes on what C code printed and stdio still holds; skipped when another thread is in the middle of printing.
pub fn flush_c_stdout() {
    // SAFETY: C's stdout exists for the life of the process; its lock is tried, held for the flush and given back.
    unsafe {
        let file = stdout;
        if file.is_null() {
            return;
        }
        #[cfg(target_os = "linux")]
        if __fpending(file) == 0 {
            return;
        }
        if ftrylockfile(file) == 0 {
            #[cfg(target_os = "linux")]
            fflush_unlocked(file);
            #[cfg(not(target_os = "linux"))]
            libc::fflush(file);
            funlockfile(file);
        }
    }
}

/// Nanoseconds of the monotonic clock. Safe in a signal handler.
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime fills the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(not(target_os = "linux"))]
mod fallback {
    //! `ppoll` where there is none: the mask is changed around `poll`, which leaves a short moment in which a
    //! signal is handled just before the wait, so the wait is cut into slices.

    pub fn ppoll(fds: &mut [libc::pollfd], timeout: *const libc::timespec, open: &libc::sigset_t) -> libc::c_int {
        // SAFETY: the caller passes live values; a null timeout means none.
        unsafe {
            let total = timeout.as_ref().map(|t| t.tv_sec as i64 * 1000 + t.tv_nsec as i64 / 1_000_000);
            let slice = total.unwrap_or(50).min(50) as libc::c_int;
            let mut old = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, open, &mut old);
            let result = libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, slice);
            libc::pthread_sigmask(libc::SIG_SETMASK, &old, std::ptr::null_mut());
            match result {
                0 if total.is_none_or(|t| t > slice as i64) => -1,
                other => other,
            }
        }
    }
}
