//! Waiting without holding up Python: leaving the GIL, and letting an interrupt end the wait.

use super::session::session;
use pyo3::prelude::*;
use worker_core::Interrupted;
use worker_core::signals::interrupt;

/// Runs `wait` detached from the GIL until it is done. On the main thread signals are held between a check of Python's flags
/// and the wait, which opens them; `Err` from `wait` means that a signal came. Handlers of the user's run with signals open.
pub(crate) fn wait_detached(py: Python<'_>, mut wait: impl FnMut() -> Result<(), Interrupted> + Send) -> PyResult<()> {
    let is_main = interrupt::is_main_thread();
    loop {
        if is_main {
            py.check_signals()?;
        }
        let _held = is_main.then(interrupt::hold);
        if is_main {
            py.check_signals()?;
        }
        if py.detach(&mut wait).is_ok() {
            return Ok(());
        }
    }
}

/// Returns once everything printed so far is in the channel.
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
