//! The sources of cells, where tracebacks, `inspect` and debuggers find them: in `linecache`, once that is imported.

use crate::runtime::globals::sys;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// File name to source, until `linecache` is imported.
type Sources = BTreeMap<String, String>;

static WAITING: Mutex<Sources> = Mutex::new(Sources::new());

fn waiting() -> std::sync::MutexGuard<'static, Sources> {
    // A panic ends the process, so nobody ever finds the lock poisoned.
    WAITING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn cache<'py>(py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let modules = sys(py)?.getattr(pyo3::intern!(py, "modules"))?;
    let modules = modules.cast::<PyDict>()?;
    match modules.get_item(pyo3::intern!(py, "linecache"))? {
        // A module that is still being imported, or was replaced by a user's own, may have no cache.
        Some(module) => Ok(module.getattr("cache").ok().and_then(|cache| cache.cast_into::<PyDict>().ok())),
        None => Ok(None),
    }
}

/// Remembers a cell's source.
pub(crate) fn remember(py: Python<'_>, file: &str, source: &str) -> PyResult<()> {
    match cache(py)? {
        Some(cache) => put(py, &cache, file, source),
        None => {
            waiting().insert(file.to_owned(), source.to_owned());
            Ok(())
        }
    }
}

/// Forgets a source that nothing refers to any more.
pub(crate) fn forget(py: Python<'_>, file: &str) -> PyResult<()> {
    waiting().remove(file);
    if let Some(cache) = cache(py)?
        && cache.contains(file)?
    {
        cache.del_item(file)?;
    }
    Ok(())
}

/// `linecache` has been imported: gives it what was remembered so far.
pub(crate) fn fill(py: Python<'_>, module: &Bound<'_, PyAny>) -> PyResult<()> {
    let Ok(cache) = module.getattr("cache")?.cast_into::<PyDict>() else { return Ok(()) };
    for (file, source) in std::mem::take(&mut *waiting()) {
        put(py, &cache, &file, &source)?;
    }
    Ok(())
}

/// An entry without a modification time is one that `linecache.checkcache` leaves alone.
fn put(py: Python<'_>, cache: &Bound<'_, PyDict>, file: &str, source: &str) -> PyResult<()> {
    let lines = PyList::new(py, source.split_inclusive('\n'))?;
    if !source.ends_with('\n')
        && let Some(last) = lines.len().checked_sub(1)
    {
        let line = lines.get_item(last)?.add(PyString::new(py, "\n"))?;
        lines.set_item(last, line)?;
    }
    let entry = PyTuple::new(
        py,
        [
            source.len().into_pyobject(py)?.into_any(),
            py.None().into_bound(py),
            lines.into_any(),
            PyString::new(py, file).into_any(),
        ],
    )?;
    cache.set_item(file, entry)
}
