//! Standard input, output and error as Python has them: the session stands behind each.

mod input;
mod layers;
mod method;
mod output;
mod print;
mod prompt;
mod prompt_watch;
pub(crate) mod read;
mod reconfigure;
mod redirected;
pub(crate) mod streams;
pub(crate) mod write;

use pyo3::prelude::*;

/// Puts ours in the place of the three streams, and of the functions that write, read or redirect them.
pub(crate) fn install(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    output::install(py, sys)?;
    input::install(py, sys)?;
    print::hook(py)?;
    redirected::hook(py)
}
