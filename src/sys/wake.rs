//! What one thread sets and another finds in its `poll`: wakes, alarms, and a pair of descriptors looked at cheaply.

use super::check;
use super::fd::dup_high;
use super::io::{read, write};
use super::time::timespec;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Tells of two descriptors which can be read now. Asked before each `print`, so it must cost as little as can be.
///
/// An epoll with nothing to tell answers without looking at the descriptors, in a third of the time that `poll` takes,
/// half of which is being a point of cancellation. A pipe joins the epoll's list inside its writer's `write`.
#[derive(Debug)]
pub struct Pair {
    set: OwnedFd,
}

impl Pair {
    /// The descriptors must stay open as long as this lives.
    pub fn new(fds: [RawFd; 2]) -> io::Result<Pair> {
        // SAFETY: epoll_create1 touches no memory; the result is a fresh descriptor.
        let set = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        for (number, fd) in fds.into_iter().enumerate() {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: number as u64 };
            // SAFETY: the event lives across the call.
            check(unsafe { libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) })?;
        }
        Ok(Pair { set: dup_high(set.as_raw_fd())? })
    }

    /// Which of them can be read now.
    pub fn readable(&self) -> [bool; 2] {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 2];
        // SAFETY: the kernel writes at most two events. The raw call is no point of cancellation.
        let count =
            unsafe { libc::syscall(libc::SYS_epoll_pwait, self.set.as_raw_fd(), events.as_mut_ptr(), 2, 0, 0, 8) };
        let mut readable = [false; 2];
        for event in &events[..count.clamp(0, 2) as usize] {
            readable[event.u64 as usize & 1] = true;
        }
        readable
    }
}

/// Something that one thread sets and another finds in its `poll`: an eventfd.
#[derive(Debug)]
pub struct Wake {
    fd: OwnedFd,
}

impl Wake {
    /// A wake that is not set.
    pub fn new() -> io::Result<Wake> {
        // SAFETY: eventfd touches no memory; the result is a fresh descriptor.
        let low = unsafe { OwnedFd::from_raw_fd(check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?) };
        Ok(Wake { fd: dup_high(low.as_raw_fd())? })
    }

    /// Sets it. Safe in a signal handler.
    pub fn set(&self) {
        // A full counter is set already.
        let _ = write(self.fd.as_raw_fd(), &1u64.to_ne_bytes());
    }

    /// Clears it.
    pub fn clear(&self) {
        let mut counter = [0u8; 8];
        // An empty counter is clear already.
        let _ = read(self.fd.as_raw_fd(), &mut counter);
    }

    /// What to poll for reading.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// A one-shot alarm that a thread finds in its `poll`.
#[derive(Debug)]
pub struct Alarm {
    fd: OwnedFd,
}

impl Alarm {
    /// An alarm that is not set.
    pub fn new() -> io::Result<Alarm> {
        // SAFETY: timerfd_create touches no memory; the result is a fresh descriptor.
        let fd = unsafe {
            let fd = check(libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK))?;
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Alarm { fd: dup_high(fd.as_raw_fd())? })
    }

    /// Rings once after `delay`.
    pub fn set(&self, delay: Duration) {
        // Zero would mean that it never rings.
        let delay = timespec(delay.max(Duration::from_nanos(1)));
        let spec = libc::itimerspec { it_interval: timespec(Duration::ZERO), it_value: delay };
        // SAFETY: the specification lives across the call and no old value is asked for.
        unsafe { libc::timerfd_settime(self.fd.as_raw_fd(), 0, &spec, std::ptr::null_mut()) };
    }

    /// Acknowledges a ring.
    pub fn clear(&self) {
        let mut counter = [0u8; 8];
        let _ = read(self.fd.as_raw_fd(), &mut counter);
    }

    /// What to poll for reading.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
