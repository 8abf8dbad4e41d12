//! Small changes to CPython: modules that are looked after when they are imported, and functions that the session must see.

mod bridge;
mod exit;
mod fork;
mod imports;
mod interpreters;
mod signals;
mod system;
mod threads;

use pyo3::prelude::*;

/// Makes all of them.
pub(crate) fn install(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    imports::hook(py, sys)?;
    threads::hook(py, &sys.getattr("modules")?)?;
    signals::hook_signal(py)?;
    signals::hook_unraisable(py, sys)?;
    fork::hook(py)?;
    system::hook(py)?;
    exit::hook(py)
}
