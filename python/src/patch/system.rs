//! `os.system`: CPython's own, but an interrupt ends both the command and the cell.

use crate::runtime::patched_function::Original;
use crate::runtime::session::session;
use crate::runtime::wait::wait_detached;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use worker_core::process::fork;
use worker_core::process::shell::Shell;

static SYSTEM: Original = Original::new();

/// Replaces the function. Raises if CPython lacks it.
pub(super) fn hook(py: Python<'_>) -> PyResult<()> {
    let hooked = SYSTEM.replace(py.import("posix")?.as_any(), "system", &wrap_pyfunction!(system, py)?)?;
    py.import("os")?.setattr("system", hooked)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn system<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let py = args.py();
    let named = options.map(|options| options.get_item("command")).transpose()?.flatten();
    let command = match (args.len(), options.map_or(0, |options| options.len()), named) {
        (1, 0, _) => args.get_item(0)?,
        (0, 1, Some(command)) => command,
        // CPython's own function raises the error.
        _ => return SYSTEM.call(args, options),
    };
    Ok(run(py, &command)?.into_pyobject(py)?.into_any())
}

/// Runs a shell command and gives its wait status. Raises KeyboardInterrupt or what a signal handler raises, after the
/// command was interrupted too.
fn run(py: Python<'_>, command: &Bound<'_, PyAny>) -> PyResult<i32> {
    let bytes: Vec<u8> = py.import("os")?.getattr("fsencode")?.call1((command,))?.extract()?;
    py.import("sys")?.getattr("audit")?.call1(("os.system", command))?;
    if !fork::in_child() {
        // What was printed so far reaches the supervisor before what the command prints.
        session().try_flush();
    }
    let started = py.detach(|| Shell::start(OsStr::from_bytes(&bytes)));
    let mut shell = match started {
        Ok(shell) => shell,
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            return Err(pyo3::exceptions::PyValueError::new_err("embedded null byte"));
        }
        // As with C's `system`: the status of a shell that could not be executed.
        Err(_) => return Ok(127 << 8),
    };
    wait_detached(py, || shell.wait()).inspect_err(|_| py.detach(|| shell.interrupt()))
}
