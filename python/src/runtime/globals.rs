//! What of the interpreter is held from the start, before user code can delete or replace the names; and whether a cell runs.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyModule};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

static SYS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
static EXEC: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
/// Where cells run. An import for each would ask `builtins.__import__`, which is the user's to take away. Given up at the end:
/// what the user's variables hold is destroyed when CPython finalises.
static MAIN: Mutex<Option<Py<PyDict>>> = Mutex::new(None);
/// A cell's code runs.
static IS_RUNNING: AtomicBool = AtomicBool::new(false);

/// Takes hold of them.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    let _ = SYS.set(py, py.import("sys")?.unbind());
    *main() = Some(py.import("__main__")?.dict().unbind());
    let _ = EXEC.set(py, py.import("builtins")?.getattr("exec")?.unbind());
    Ok(())
}

/// The module `sys`.
pub(crate) fn sys(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    SYS.get(py).map(|sys| sys.bind(py)).ok_or_else(|| PyRuntimeError::new_err("not prepared"))
}

/// Runs an empty string.
pub(crate) fn exec_nothing(py: Python<'_>) -> PyResult<()> {
    EXEC.get(py).map_or(Ok(()), |exec| exec.call1(py, ("", PyDict::new(py))).map(drop))
}

fn main() -> MutexGuard<'static, Option<Py<PyDict>>> {
    // A panic ends the process, so nobody ever finds the lock poisoned.
    MAIN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The names of `__main__`.
pub(crate) fn main_namespace(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    main().as_ref().map(|main| main.bind(py).clone()).ok_or_else(|| PyRuntimeError::new_err("not prepared"))
}

/// No cell runs any more: lets go of the user's variables.
pub(crate) fn let_go() {
    drop(main().take());
}

/// Whether a cell's code runs: not so in the handlers at the runtime's exit.
pub(crate) fn is_running() -> bool {
    IS_RUNNING.load(Relaxed)
}

/// Notes that a cell's code begins or has ended.
pub(crate) fn set_running(is_running: bool) {
    IS_RUNNING.store(is_running, Relaxed);
}
