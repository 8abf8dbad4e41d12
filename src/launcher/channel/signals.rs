//! The signals that end a worker while it waits for its supervisor: they are blocked and read from a
//! descriptor, so that the worker can remove its socket file before it ends.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// SIGTERM, SIGHUP and SIGINT, blocked as long as this lives.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Blocks them.
    pub fn take() -> io::Result<Signals> {
        let ending = SigSet::from_iter([Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT]);
        let before = SigSet::thread_get_mask()?;
        ending.thread_block()?;
        Ok(Signals { fd: SignalFd::with_flags(&ending, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?, before })
    }

    /// What to poll for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The exit status of a worker that ends without a session: a SIGINT ends it as it ends any program, the others are a
    /// shutdown.
    pub fn exit_status(&self) -> io::Result<u8> {
        let came = self.fd.read_signal()?;
        Ok(if came.is_some_and(|signal| signal.ssi_signo == libc::SIGINT.cast_unsigned()) { 130 } else { 0 })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Setting the mask to what it was cannot fail.
        let _ = self.before.thread_set_mask();
    }
}
