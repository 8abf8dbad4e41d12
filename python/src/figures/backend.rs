//! Pictures: the Rust side of `figures.py`, and the import of it as matplotlib's backend.
//!
//! Nothing of this is loaded unless user code imports matplotlib and pyplot uses the default backend.

use crate::runtime::embedded::Part;
use crate::runtime::session::session;
use crate::runtime::wait::flush_session;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use worker_core::engine::Image;
use worker_core::process::fork;

/// The name of the module that matplotlib imports as its backend.
pub(crate) const MODULE: &str = "_worker_figures";

/// The matplotlib backend.
static FIGURES: Part = Part::new("<worker figures>", include_str!("figures.py"), &[&FIGURE_REFS]);
/// Whether user code refers to a figure.
static FIGURE_REFS: Part = Part::new("<worker figure_refs>", include_str!("figure_refs.py"), &[]);

/// The backend was imported, so there may be figures to show.
static IS_LOADED: AtomicBool = AtomicBool::new(false);

/// Shows the figures that the cell of this number made or changed. Main thread, with the GIL and SIGINT unblocked.
/// Raises the first error of a figure that cannot be drawn, or KeyboardInterrupt.
pub(crate) fn finish_cell(py: Python<'_>, cell: u64) -> PyResult<()> {
    if !IS_LOADED.load(Relaxed) || fork::in_child() {
        return Ok(());
    }
    FIGURES.get(py, "finish_cell")?.call1((cell,)).map(drop)
}

/// The import system's spec of [`MODULE`]. Needs the GIL.
pub(crate) fn spec(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("importlib.machinery")?.getattr("ModuleSpec")?.call1((MODULE, Bound::new(py, Loader)?))
}

/// Loads the backend's module.
#[pyclass(frozen, module = "_worker")]
struct Loader;

#[pymethods]
impl Loader {
    fn create_module<'py>(&self, spec: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
        spec.py().None().into_bound(spec.py())
    }

    fn exec_module(&self, module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        let parts = FIGURES.get(py, "backend")?.call1((Bound::new(py, Pictures)?,))?;
        module.dict().update(parts.cast::<PyDict>()?.as_mapping())?;
        IS_LOADED.store(true, Relaxed);
        Ok(())
    }
}

/// What `figures.py` may call of the session.
#[pyclass(frozen, module = "_worker")]
struct Pictures;

#[pymethods]
impl Pictures {
    /// The number of the cell that the calling thread belongs to; none in a forked child.
    fn cell(&self) -> Option<u64> {
        if fork::in_child() { None } else { session().current_cell().map(|cell| cell.number) }
    }

    /// Sends a PNG, after everything printed so far. `source`: the figure's name in the event; `size`: width and height
    /// in pixels. Raises KeyboardInterrupt while the channel is full.
    fn image(&self, py: Python<'_>, png: &[u8], source: &str, is_update: bool, size: (u32, u32)) -> PyResult<()> {
        // If the channel is full, this call waits for room, and an interrupt can end it. The call below cannot be
        // interrupted.
        flush_session(py)?;
        let image = Image { mime_type: "image/png", bytes: png, source: Some(source), is_update, size: Some(size) };
        py.detach(|| session().image(&image));
        Ok(())
    }
}
