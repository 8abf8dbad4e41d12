//! What is asked of the operating system directly.
//!
//! Everything here is a thin, checked wrapper: no policy, and no state but what a signal handler or a forked child needs.

#![expect(unsafe_code, reason = "system calls and C's stdio, which no safe crate covers")]

#[cfg(not(target_os = "linux"))]
compile_error!("worker runs on Linux only: it waits on pidfds, eventfds and timerfds, and reads /proc");

mod fd;
mod fork;
mod io;
mod poll;
mod process;
mod processes;
mod signal;
mod socket;
mod stdio;
mod time;
mod wake;

pub use fd::*;
pub use fork::{InChild, in_child, is_own_process, own_process};
pub use io::{available, read, write, write_all, write_at};
pub use poll::*;
pub use process::*;
pub use processes::*;
pub use signal::*;
pub use socket::*;
pub use stdio::*;
pub use time::monotonic_ns;
pub use wake::*;

/// The result of a system call that gives a negative number where it fails.
fn check(result: libc::c_int) -> std::io::Result<libc::c_int> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}
