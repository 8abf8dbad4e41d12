//! Waits without the GIL that an interrupt can end.

use super::session::session;
use pyo3::prelude::*;
use worker_core::Interrupted;
use worker_core::engine::{Runtime, wait};
use worker_core::process::fork;

/// CPython, as a wait needs it.
pub(crate) struct Interpreter<'py>(pub Python<'py>);

impl Runtime for Interpreter<'_> {
    type Error = PyErr;

    fn check(&self) -> PyResult<()> {
        self.0.check_signals()
    }

    fn detach<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        self.0.detach(body)
    }
}

/// Calls `body`, detached from the GIL, until it gives `Ok`. `Err` means that a signal has ended this call of it. Raises
/// KeyboardInterrupt, or what a user's handler raises. Needs the GIL, any thread. The rules are those of
/// [`worker_core::engine::wait`].
pub(crate) fn wait_detached<T: Send>(
    py: Python<'_>,
    body: impl FnMut() -> Result<T, Interrupted> + Send,
) -> PyResult<T> {
    wait(&Interpreter(py), body)
}

/// Returns once everything printed so far is in the channel; in a forked child, on its fd 1. Needs the GIL, any thread;
/// detaches if it has to wait, and then raises what [`wait_detached`] raises.
pub(crate) fn flush_session(py: Python<'_>) -> PyResult<()> {
    if fork::in_child() {
        fork::flush_print();
        return Ok(());
    }
    if session().try_flush() {
        return Ok(());
    }
    wait_detached(py, || session().flush())
}
