//! The sources of cells in `linecache`, where tracebacks, `inspect` and debuggers find them.
//!
//! Until `linecache` is imported they are stored here, so that a bare session does not import it. All functions need
//! the GIL.

use crate::plain::source::lines;
use crate::runtime::globals::sys;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Sources by file name.
type Sources = BTreeMap<String, String>;

/// The sources of cells that ran before `linecache` is imported.
static PENDING: Mutex<Sources> = Mutex::new(Sources::new());

fn pending() -> std::sync::MutexGuard<'static, Sources> {
    // A panic ends the process (`panic = "abort"`), so the lock is never poisoned.
    PENDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// `linecache.cache`, if the module is imported.
fn cache<'py>(py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let modules = sys(py)?.getattr(pyo3::intern!(py, "modules"))?;
    let modules = modules.cast::<PyDict>()?;
    match modules.get_item(pyo3::intern!(py, "linecache"))? {
        // A module that is still being imported, or a user's own of that name, may have no such dictionary.
        Some(module) => Ok(module.getattr("cache").ok().and_then(|cache| cache.cast_into::<PyDict>().ok())),
        None => Ok(None),
    }
}

/// Stores a cell's source under its file name. Raises if `sys.modules` or the cache is no dictionary any more.
pub(crate) fn insert(py: Python<'_>, file: &str, source: &str) -> PyResult<()> {
    match cache(py)? {
        Some(cache) => put(py, &cache, file, source),
        None => {
            pending().insert(file.to_owned(), source.to_owned());
            Ok(())
        }
    }
}

/// Removes the source of a cell whose code nothing refers to any more. Raises as [`insert`] does.
pub(crate) fn remove(py: Python<'_>, file: &str) -> PyResult<()> {
    pending().remove(file);
    if let Some(cache) = cache(py)?
        && cache.contains(file)?
    {
        cache.del_item(file)?;
    }
    Ok(())
}

/// Moves the sources that are stored here to `linecache`, which was just imported.
pub(crate) fn fill(py: Python<'_>, module: &Bound<'_, PyAny>) -> PyResult<()> {
    let Ok(cache) = module.getattr("cache")?.cast_into::<PyDict>() else { return Ok(()) };
    for (file, source) in std::mem::take(&mut *pending()) {
        put(py, &cache, &file, &source)?;
    }
    Ok(())
}

/// Adds an entry to the cache: size, modification time, lines, full name. Without a modification time
/// `linecache.checkcache` does not look for the file.
fn put(py: Python<'_>, cache: &Bound<'_, PyDict>, file: &str, source: &str) -> PyResult<()> {
    let lines = PyList::new(py, lines(source))?;
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
