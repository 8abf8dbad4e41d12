//! `signal.signal` and the hook of errors that nobody catches: an interrupt still reaches the cell that it is for.

use crate::runtime::globals;
use crate::runtime::patched_function::Original;
use crate::runtime::signals::set_flag;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use worker_core::process::fork;
use worker_core::signals::{crash, interrupt};

/// Whoever sets a handler of SIGINT takes our filter away: it is put in front of the new one.
pub(super) fn hook_signal(py: Python<'_>) -> PyResult<()> {
    let module = py.import("_signal")?;
    let original = module.getattr("signal")?;
    // What Python found at its start were our handlers; a user who asks is to see the default, and may set it back.
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
        // The default that is set back is what the session does by default.
        interrupt::install_default_end_handlers();
        crash::install_handlers();
    }
    Ok(result)
}

static UNRAISABLE: Original = Original::new();

/// An interrupt that strikes in a destructor or in a weak reference's callback is dropped by CPython, and the cell would go
/// on: it is raised again where it can be. In a handler at the runtime's exit it has done its work: the next one runs.
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
