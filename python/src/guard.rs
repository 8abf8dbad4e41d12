//! Waiting without holding up Python: leaving the GIL, and letting an interrupt end the wait.

use pyo3::prelude::*;
use worker::{Interrupted, interrupt};

/// Runs `wait` detached from the GIL until it is done. On the main thread SIGINT is held between a check of Python's own
/// flag and the wait, which opens it; `Err` from `wait` means that a signal came, and the checks run.
pub(crate) fn wait_detached(py: Python<'_>, mut wait: impl FnMut() -> Result<(), Interrupted> + Send) -> PyResult<()> {
    let is_main = interrupt::is_main_thread();
    let _held = is_main.then(interrupt::hold);
    loop {
        if is_main {
            py.check_signals()?;
        }
        if py.detach(&mut wait).is_ok() {
            return Ok(());
        }
    }
}
