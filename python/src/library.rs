//! The few parts of the engine that are written in Python, compiled when they are first needed.
//!
//! A bare session imports none of them, so they cost nothing at the start. Their frames carry file names that begin with
//! [`FILE_PREFIX`], by which `errors.rs` leaves them out of what users see.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// How the file names of our own Python code begin.
pub(crate) const FILE_PREFIX: &str = "<worker ";

/// One of the parts.
pub(crate) struct Part {
    file: &'static str,
    source: &'static str,
    namespace: PyOnceLock<Py<PyDict>>,
}

impl Part {
    const fn new(file: &'static str, source: &'static str) -> Part {
        Part { file, source, namespace: PyOnceLock::new() }
    }

    /// A function or class of the part, by name.
    pub(crate) fn get<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let namespace = match self.namespace.get(py) {
            Some(namespace) => namespace.bind(py).clone(),
            None => {
                let namespace = PyDict::new(py);
                namespace.set_item("__builtins__", py.import("builtins")?)?;
                namespace.set_item("__name__", self.file)?;
                let code = crate::compile::plain(py, self.source, self.file)?;
                crate::compile::evaluate(py, &code, &namespace)?;
                let _ = self.namespace.set(py, namespace.clone().unbind());
                namespace
            }
        };
        namespace.get_item(name)?.ok_or_else(|| pyo3::exceptions::PyNameError::new_err(name.to_owned()))
    }
}

/// Top-level `await`.
pub(crate) static AIO: Part = Part::new("<worker aio>", include_str!("aio.py"));
/// What is done to `getpass`, `select` and `matplotlib` when they are imported.
pub(crate) static PATCHES: Part = Part::new("<worker patches>", include_str!("patches.py"));
/// `is_complete`, `complete`, `inspect` and `variables`.
pub(crate) static REQUESTS: Part = Part::new("<worker requests>", include_str!("requests.py"));
/// The matplotlib backend.
pub(crate) static FIGURES: Part = Part::new("<worker figures>", include_str!("figures.py"));
/// Who holds a figure.
pub(crate) static HOLDERS: Part = Part::new("<worker holders>", include_str!("holders.py"));
