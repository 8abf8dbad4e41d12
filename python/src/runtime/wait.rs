//! Waits without the GIL that an interrupt can end.

use super::session::session;
use pyo3::prelude::*;
use worker_core::Interrupted;
use worker_core::signals::interrupt;

/// Calls `wait`, detached from the GIL, until it gives `Ok`. `Err` means that a signal has ended this call of it.
///
/// On the main thread SIGINT is blocked from the check of Python's flags to the end of `wait`, which unblocks it only
/// inside its system call. So no signal is lost between the check and the wait. User code's handlers run with signals
/// unblocked. Raises KeyboardInterrupt, or what a user's handler raises. Needs the GIL, any thread.
pub(crate) fn wait_detached(py: Python<'_>, mut wait: impl FnMut() -> Result<(), Interrupted> + Send) -> PyResult<()> {
    let is_main = interrupt::is_main_thread();
    loop {
        if is_main {
            py.check_signals()?;
        }
        let _blocked = is_main.then(interrupt::hold);
        if is_main {
            py.check_signals()?;
        }
        if py.detach(&mut wait).is_ok() {
            return Ok(());
        }
    }
}

/// Returns once everything printed so far is in the channel; in a forked child, on its fd 1. Needs the GIL, any thread;
/// detaches if it has to wait, and then raises what [`wait_detached`] raises.
pub(crate) fn flush_session(py: Python<'_>) -> PyResult<()> {
    if worker_core::process::fork::in_child() {
        worker_core::process::fork::flush_print();
        return Ok(());
    }
    if session().try_flush() {
        return Ok(());
    }
    wait_detached(py, || session().flush())
}
