//! What a session does to the process that it lives in. The one seam that lets the whole core run in memory: a test's process
//! holds many sessions, so that none of them may signal it, end it, or end its children.

use crate::process::descendants::{self, Interrupted};
use crate::signals::interrupt;
#[cfg(test)]
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Whose the process is.
#[derive(Debug)]
pub(crate) enum HostProcess {
    /// The session's own.
    Own,
    /// A test's. An interrupt is noted instead of sent.
    #[cfg(test)]
    Test {
        /// The main thread was interrupted.
        is_interrupted: AtomicBool,
    },
}

impl HostProcess {
    /// The other processes to which an interrupt goes. Asked for before the state is locked.
    pub fn others(&self) -> Interrupted {
        match self {
            HostProcess::Own => Interrupted::now(),
            #[cfg(test)]
            HostProcess::Test { .. } => Interrupted::default(),
        }
    }

    /// Passes an interrupt on to those that have come since, as long as `is_due` gives something. The state is not locked.
    pub fn interrupt_rest<T>(&self, others: Interrupted, is_due: impl FnMut() -> Option<T>) {
        match self {
            HostProcess::Own => others.send_to_rest(is_due),
            #[cfg(test)]
            HostProcess::Test { .. } => {}
        }
    }

    /// Interrupts the main thread, and these.
    pub fn send_sigint(&self, main_wake: &sys::Wake, others: &Interrupted) {
        match self {
            HostProcess::Own => {
                // A signal ends the main thread's wait by itself.
                let _ = main_wake;
                interrupt::send_sigint(|| others.send());
            }
            #[cfg(test)]
            HostProcess::Test { is_interrupted } => {
                is_interrupted.store(true, SeqCst);
                main_wake.set();
            }
        }
    }

    /// Takes an interrupt that was noted instead of sent; none in a session's own process, where it is a signal.
    pub fn take_sigint(&self) -> bool {
        match self {
            HostProcess::Own => false,
            #[cfg(test)]
            HostProcess::Test { is_interrupted } => is_interrupted.swap(false, SeqCst),
        }
    }

    /// Throws away an interrupt that was meant for what is over.
    pub fn drop_sigint(&self) {
        interrupt::drop_pending();
        self.take_sigint();
    }

    /// Ends every other process of the session.
    pub fn end_others(&self, marker: &str) {
        match self {
            HostProcess::Own => descendants::end_all(marker),
            #[cfg(test)]
            HostProcess::Test { .. } => {}
        }
    }

    /// Ends the process; a test's loses the calling thread instead.
    pub fn exit(&self, status: i32) -> ! {
        match self {
            HostProcess::Own => sys::exit_now(status),
            #[cfg(test)]
            HostProcess::Test { .. } => loop {
                std::thread::park();
            },
        }
    }
}
