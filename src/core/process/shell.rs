//! A shell command that is waited for and can be interrupted: what a runtime's `system` does, without C's own.
//!
//! C's `system()` ignores SIGINT in the whole process while it waits. An interrupt that comes between its call and the
//! start of the child would reach nobody, and the child would run its full time.

use crate::output::emitter::Interrupted;
use crate::signals::interrupt;
use crate::timeouts::INTERRUPTED_COMMAND;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use sys::Waited;

/// A running command.
#[derive(Debug)]
pub struct Shell {
    child: Child,
    /// Readable once the child has ended.
    end: Option<OwnedFd>,
}

impl Shell {
    /// Starts `sh -c command` with the descriptors and the environment of this process.
    pub fn start(command: &OsStr) -> io::Result<Shell> {
        let child = Command::new("/bin/sh").arg("-c").arg(command).spawn()?;
        let end = sys::pidfd(child.id()).ok();
        Ok(Shell { child, end })
    }

    /// Waits for the end and gives the raw wait status. Detached from the runtime's lock; on the main thread with signals held,
    /// one that comes ends the wait.
    pub fn wait(&mut self) -> Result<i32, Interrupted> {
        if interrupt::is_main_thread()
            && let Some(end) = &self.end
        {
            let mask = interrupt::open_mask();
            if sys::ppoll(&mut [sys::pollfd(end.as_raw_fd(), libc::POLLIN)], None, &mask) == Waited::Signal {
                return Err(Interrupted);
            }
        }
        // Somebody else's wait() may have taken the status: then there is none to tell.
        Ok(self.child.wait().map_or(0, ExitStatusExt::into_raw))
    }

    /// Passes the interrupt on, in case the command was not there yet when the others were told, and gives it a moment to end.
    pub fn interrupt(&mut self) {
        sys::signal_process(self.child.id() as libc::pid_t, libc::SIGINT);
        if let Some(end) = &self.end
            && sys::poll(&mut [sys::pollfd(end.as_raw_fd(), libc::POLLIN)], Some(INTERRUPTED_COMMAND))
        {
            // It has ended: this takes its status and leaves no zombie.
            let _ = self.child.wait();
        }
    }
}
