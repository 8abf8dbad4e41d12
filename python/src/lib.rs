//! The Python engine: hosts the user's CPython in the worker's process and runs cells in it.
//!
//! The launcher loads this object beside a `libpython` and calls `worker_engine_main`, or, where the
//! interpreter has no shared library, the interpreter itself loads it as the extension module `_worker`. Either way
//! CPython initialises itself as its own executable would, and runs one expression, given with `-c`, that calls
//! `_worker.start`. Only the stable ABI is used, so one build serves Python 3.10 and later.

mod cell;
mod figures;
mod lifecycle;
mod patch;
mod plain;
mod requests;
mod runtime;
mod stdio;

use pyo3::prelude::*;

/// The module that the expression of `-c` imports. Its one function is [`lifecycle::start`].
#[pymodule(gil_used = true)]
fn _worker(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(lifecycle::start, module)?)
}
