//! Threads: a thread belongs to the cell that started it, and its requests for input name that cell.

use crate::runtime::patched_function::Original;
use crate::runtime::session::session;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use worker_core::process::fork;

static START_THREAD: Original = Original::new();
static START_NEW: Original = Original::new();
static START_JOINABLE: Original = Original::new();

/// Replaces the functions that start a thread. Raises if CPython lacks one that it should have.
pub(super) fn hook(py: Python<'_>, modules: &Bound<'_, PyAny>) -> PyResult<()> {
    let thread = py.import("_thread")?;
    let threading = if modules.contains("threading")? { Some(modules.get_item("threading")?) } else { None };
    for (name, original, ours) in [
        ("start_new_thread", &START_THREAD, wrap_pyfunction!(start_new_thread, py)?),
        ("start_new", &START_NEW, wrap_pyfunction!(start_new, py)?),
        ("start_joinable_thread", &START_JOINABLE, wrap_pyfunction!(start_joinable_thread, py)?),
    ] {
        // Python has `start_joinable_thread` since 3.13.
        if !thread.hasattr(name)? {
            continue;
        }
        let hooked = original.replace(&thread, name, &ours)?;
        // `threading` has stored the original under a name of its own.
        let own = format!("_{name}");
        if let Some(threading) = &threading
            && threading.hasattr(own.as_str())?
        {
            threading.setattr(own.as_str(), &hooked)?;
        }
    }
    Ok(())
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn start_new_thread<'py>(
    args: &Bound<'py, PyTuple>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    start_thread(&START_THREAD, args, options)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn start_new<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    start_thread(&START_NEW, args, options)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn start_joinable_thread<'py>(
    args: &Bound<'py, PyTuple>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    start_thread(&START_JOINABLE, args, options)
}

fn start_thread<'py>(
    original: &'static Original,
    args: &Bound<'py, PyTuple>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = args.py();
    let Ok(function) = args.get_item(0) else { return original.call(args, options) };
    if !function.is_callable() {
        return original.call(args, options);
    }
    let started = Started { function: function.unbind(), cell: current_cell() };
    let mut all = vec![Bound::new(py, started)?.into_any()];
    all.extend(args.iter().skip(1));
    original.call(&PyTuple::new(py, all)?, options)
}

/// The cell of the calling thread; none in a forked child.
fn current_cell() -> Option<std::sync::Arc<worker_core::CellRef>> {
    if fork::in_child() { None } else { session().current_cell() }
}

/// The function of a new thread: records the thread's cell, then calls the user's function.
#[pyclass(frozen, module = "_thread")]
struct Started {
    function: Py<PyAny>,
    cell: Option<std::sync::Arc<worker_core::CellRef>>,
}

#[pymethods]
impl Started {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__(&self, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
        worker_core::engine::reader::adopt_cell(self.cell.clone());
        Ok(self.function.bind(args.py()).call(args, kwargs)?.unbind())
    }
}
