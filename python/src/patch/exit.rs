//! `os._exit` and `os.exec*`: what was printed before them reaches the supervisor.

use crate::runtime::patched_function::Original;
use crate::runtime::session::session;
use crate::runtime::wait::flush_session;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

static EXIT: Original = Original::new();
static EXECV: Original = Original::new();
static EXECVE: Original = Original::new();

/// Replaces the functions, which end or replace the process at once. Raises if CPython lacks one.
pub(super) fn hook(py: Python<'_>) -> PyResult<()> {
    let posix = py.import("posix")?;
    let os = py.import("os")?;
    os.setattr("_exit", EXIT.replace(&posix, "_exit", &wrap_pyfunction!(exit, py)?)?)?;
    os.setattr("execv", EXECV.replace(&posix, "execv", &wrap_pyfunction!(execv, py)?)?)?;
    os.setattr("execve", EXECVE.replace(&posix, "execve", &wrap_pyfunction!(execve, py)?)?)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn exit<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let py = args.py();
    flush_session(py)?;
    let status = match (args.get_item(0), options) {
        (Ok(status), None) => Some(status),
        (_, options) => options.and_then(|options| options.get_item("status").ok().flatten()),
    };
    // For anything else CPython's own function raises an error, and the process goes on.
    if status.is_some_and(|status| status.extract::<i32>().is_ok()) {
        py.detach(|| session().leave());
    }
    EXIT.call(args, options)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn execv<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    flush_session(args.py())?;
    EXECV.call(args, options)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn execve<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    flush_session(args.py())?;
    EXECVE.call(args, options)
}
