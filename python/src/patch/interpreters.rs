//! Sub-interpreters: what they print comes when it is printed.
//!
//! Each has a `sys.stdout` of its own, made by CPython for the raw descriptor. That is a pipe here, so it would keep what is
//! printed until the interpreter ends; on the prompt's terminal it is written line by line.

use crate::runtime::patched_function::Original;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The modules that make them: Python's own ways there end in one of these.
pub(super) const MODULES: [&str; 2] = ["_interpreters", "_xxsubinterpreters"];

/// An expression: it binds no name in the `__main__` where it runs.
const WRITE_BY_LINES: &str = "__import__('sys').stdout.reconfigure(line_buffering=True)";

static CREATE: Original = Original::new();

/// Replaces `create` of the one of [`MODULES`] that this Python has.
pub(super) fn hook(module: &Bound<'_, PyAny>) -> PyResult<()> {
    CREATE.replace(module, "create", &wrap_pyfunction!(create, module.py())?).map(drop)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn create<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let made = CREATE.call(args, options)?;
    // One without a usable stdout stays as it is.
    let _ = CREATE.get(args.py())?.getattr("__self__")?.call_method1("run_string", (&made, WRITE_BY_LINES));
    Ok(made)
}
