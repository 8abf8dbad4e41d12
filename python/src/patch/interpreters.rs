//! Sub-interpreters: their standard output is line buffered.
//!
//! CPython makes a `sys.stdout` for each of them, over the raw descriptor. That is a pipe here, so the stream would be
//! block buffered and write when the interpreter ends; on a terminal it is line buffered.

use crate::runtime::patched_function::Original;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The modules that make them: `concurrent.interpreters` and other modules of the standard library call one of these.
pub(super) const MODULES: [&str; 2] = ["_interpreters", "_xxsubinterpreters"];

/// An expression: it binds no name in the `__main__` where it runs.
const WRITE_BY_LINES: &str = "__import__('sys').stdout.reconfigure(line_buffering=True)";

static CREATE: Original = Original::new();

/// Replaces `create` of a module of [`MODULES`]. Raises if it has none.
pub(super) fn hook(module: &Bound<'_, PyAny>) -> PyResult<()> {
    CREATE.replace(module, "create", &wrap_pyfunction!(create, module.py())?).map(drop)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn create<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let made = CREATE.call(args, options)?;
    // If its stdout cannot be reconfigured, it stays as it is.
    let _ = CREATE.get(args.py())?.getattr("__self__")?.call_method1("run_string", (&made, WRITE_BY_LINES));
    Ok(made)
}
