//! Standard input, output and error: Python's file objects and functions, which read from the session and write to it.

mod input;
mod layers;
mod method;
mod output;
mod print;
mod prompt;
pub(crate) mod read;
mod reconfigure;
mod redirected;
pub(crate) mod streams;
pub(crate) mod write;

use pyo3::prelude::*;

/// Replaces the three streams of `sys`, and the functions that write, read or redirect them. Main thread, once, with
/// the GIL, before user code runs.
pub(crate) fn install(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    output::install(py, sys)?;
    input::install(py, sys)?;
    print::hook(py)?;
    redirected::hook(py)
}
