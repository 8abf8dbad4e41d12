//! `signal.signal` and `sys.unraisablehook`: an interrupt reaches the running cell also after user code has called or
//! caused them.

use crate::runtime::globals;
use crate::runtime::patched_function::Original;
use crate::runtime::signals::set_flag;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use worker_core::process::fork;
use worker_core::signals::{crash, interrupt};

/// Replaces `signal.signal`: after each call the session's handler of SIGINT, which sorts out interrupts, is installed
/// in front of the one that was set. Raises if CPython lacks the function.
pub(super) fn hook_signal(py: Python<'_>) -> PyResult<()> {
    let module = py.import("_signal")?;
    let original = module.getattr("signal")?;
    // CPython found the session's handlers at its start, and would give None for them. A user who asks is to see
    // SIG_DFL, and can set it back.
    for signal in [libc::SIGTERM, libc::SIGHUP].into_iter().chain(crash::handled()) {
        original.call1((signal, module.getattr("SIG_DFL")?))?;
    }
    interrupt::install_end_handlers();
    crash::install_handlers();
    SIGNAL.replace(&module, "signal", &wrap_pyfunction!(set_handler, py)?).map(drop)
}

static SIGNAL: Original = Original::new();

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn set_handler<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let result = SIGNAL.call(args, options)?;
    if !fork::in_child() {
        interrupt::install_before_current(set_flag);
        // SIG_DFL stands for the session's own handlers.
        interrupt::install_default_end_handlers();
        crash::install_handlers();
    }
    Ok(result)
}

static UNRAISABLE: Original = Original::new();

/// Replaces `sys.unraisablehook`. CPython passes a KeyboardInterrupt in a destructor or in the callback of a weak
/// reference to this hook, and the cell would go on: CPython's interrupt flag is set again, so that the cell is
/// interrupted after it. Outside a cell, in a handler of `atexit` for example, CPython's own hook prints it.
pub(super) fn hook_unraisable(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    let hooked = UNRAISABLE.replace(sys, "__unraisablehook__", &wrap_pyfunction!(unraisable, py)?)?;
    sys.setattr("unraisablehook", hooked)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn unraisable<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let py = args.py();
    let is_interrupt =
        || args.get_item(0)?.getattr("exc_type").map(|kind| kind.is(py.get_type::<PyKeyboardInterrupt>()));
    let is_for_cell = interrupt::is_main_thread() && globals::is_running() && !fork::in_child();
    if is_for_cell && interrupt::has_delivered() && is_interrupt().unwrap_or(false) {
        set_flag();
        return Ok(py.None().into_bound(py));
    }
    UNRAISABLE.call(args, options)
}
