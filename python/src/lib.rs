//! The Python engine: hosts the user's CPython in the worker's process and runs cells in it.
//!
//! The launcher loads this object beside a `libpython` and calls [`worker_engine_main`], or, where the interpreter has
//! no shared library, the interpreter itself loads it as the extension module `_worker`. Either way CPython brings
//! itself up as its own executable would, and one expression given to `-c` leads back here. Only the stable ABI is
//! used, so one build serves Python 3.10 and later.

mod cell;
mod figures;
mod lifecycle;
mod patch;
mod requests;
mod runtime;
mod stdio;

use pyo3::prelude::*;

/// The module through which CPython leads back to the engine. User code never sees its name.
#[pymodule(gil_used = true)]
fn _worker(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(lifecycle::start, module)?)
}
