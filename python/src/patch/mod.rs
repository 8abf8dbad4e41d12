//! Changes to CPython: modules that are patched at their import, and functions whose calls the session must know of.

mod bridge;
mod exit;
mod fork;
mod imports;
mod interpreters;
mod signals;
mod system;
mod threads;

use pyo3::prelude::*;

/// Makes all changes. Main thread, once, with the GIL, before user code runs. Raises if CPython lacks a function.
pub(crate) fn install(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    imports::hook(py, sys)?;
    threads::hook(py, &sys.getattr("modules")?)?;
    signals::hook_signal(py)?;
    signals::hook_unraisable(py, sys)?;
    fork::hook(py)?;
    system::hook(py)?;
    exit::hook(py)
}
