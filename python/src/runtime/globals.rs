//! Objects of the interpreter that are stored before user code can delete or replace their names; and whether a cell
//! runs.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyModule};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

static SYS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
static EXEC: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
/// The namespace of `__main__`, where cells run. Stored, since user code may delete `builtins.__import__`. Released
/// after the last cell, so that CPython destroys the user's variables when it finalises.
static MAIN: Mutex<Option<Py<PyDict>>> = Mutex::new(None);
/// A cell's code runs.
static IS_RUNNING: AtomicBool = AtomicBool::new(false);

/// Stores the objects. Call it once with the GIL, before user code runs.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    let _ = SYS.set(py, py.import("sys")?.unbind());
    *main() = Some(py.import("__main__")?.dict().unbind());
    let _ = EXEC.set(py, py.import("builtins")?.getattr("exec")?.unbind());
    Ok(())
}

/// The module `sys`, whatever `sys.modules` has now. Raises `RuntimeError` before [`prepare`].
pub(crate) fn sys(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    SYS.get(py).map(|sys| sys.bind(py)).ok_or_else(|| PyRuntimeError::new_err("not prepared"))
}

/// Calls `exec("", {})`. CPython sets a flag when a KeyboardInterrupt leaves an `exec` of a string, resets it at the
/// next one, and ends the process by SIGINT if it is set after finalisation. Needs the GIL. Raises what a pending
/// signal's handler raises.
pub(crate) fn exec_nothing(py: Python<'_>) -> PyResult<()> {
    EXEC.get(py).map_or(Ok(()), |exec| exec.call1(py, ("", PyDict::new(py))).map(drop))
}

fn main() -> MutexGuard<'static, Option<Py<PyDict>>> {
    // A panic ends the process (`panic = "abort"`), so the lock is never poisoned.
    MAIN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The namespace of `__main__`. Raises `RuntimeError` before [`prepare`] and after [`release`].
pub(crate) fn main_namespace(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    main().as_ref().map(|main| main.bind(py).clone()).ok_or_else(|| PyRuntimeError::new_err("not prepared"))
}

/// Releases the namespace of `__main__`, after the last cell. Needs the GIL: it may be the last reference.
pub(crate) fn release() {
    drop(main().take());
}

/// Whether a cell's code runs. False between cells and while CPython finalises. Any thread, without the GIL.
pub(crate) fn is_running() -> bool {
    IS_RUNNING.load(Relaxed)
}

/// Records that a cell's code begins or has ended. Main thread.
pub(crate) fn set_running(is_running: bool) {
    IS_RUNNING.store(is_running, Relaxed);
}
