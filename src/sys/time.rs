//! Time as the system takes it.

use std::time::Duration;

/// Nanoseconds of the monotonic clock. Safe in a signal handler.
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime fills the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A length of time; one that is longer than the system can say is the longest that it can.
pub(crate) fn timespec(length: Duration) -> libc::timespec {
    let seconds = libc::time_t::try_from(length.as_secs()).unwrap_or(libc::time_t::MAX);
    libc::timespec { tv_sec: seconds, tv_nsec: length.subsec_nanos().into() }
}
