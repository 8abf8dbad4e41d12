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
    /// Parts whose names it uses.
    uses: &'static [&'static Part],
    namespace: PyOnceLock<Py<PyDict>>,
}

impl Part {
    const fn new(file: &'static str, source: &'static str, uses: &'static [&'static Part]) -> Part {
        Part { file, source, uses, namespace: PyOnceLock::new() }
    }

    /// A function or class of the part, by name.
    pub(crate) fn get<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.load(py)?.get_item(name)?.ok_or_else(|| pyo3::exceptions::PyNameError::new_err(name.to_owned()))
    }

    fn load<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        if let Some(namespace) = self.namespace.get(py) {
            return Ok(namespace.bind(py).clone());
        }
        let namespace = PyDict::new(py);
        for part in self.uses {
            namespace.update(part.load(py)?.as_mapping())?;
        }
        namespace.set_item("__builtins__", py.import("builtins")?)?;
        namespace.set_item("__name__", self.file)?;
        let code = crate::compile::plain(py, self.source, self.file)?;
        crate::compile::evaluate(py, &code, &namespace)?;
        let _ = self.namespace.set(py, namespace.clone().unbind());
        Ok(namespace)
    }
}

/// Top-level `await`.
pub(crate) static AIO: Part = Part::new("<worker aio>", include_str!("aio.py"), &[]);
/// What is done to `getpass`, `select` and `matplotlib` when they are imported.
pub(crate) static PATCHES: Part = Part::new("<worker patches>", include_str!("patches.py"), &[]);
/// `is_complete`.
pub(crate) static REQUESTS: Part = Part::new("<worker requests>", include_str!("requests.py"), &[]);
/// `inspect` and `variables`.
pub(crate) static INTROSPECT: Part =
    Part::new("<worker introspect>", include_str!("introspect.py"), &[&OBJECTS, &SOURCE]);
/// The matplotlib backend.
pub(crate) static FIGURES: Part = Part::new("<worker figures>", include_str!("figures.py"), &[&HOLDERS]);
/// Who holds a figure.
static HOLDERS: Part = Part::new("<worker holders>", include_str!("holders.py"), &[]);
/// Looking at objects without running their code.
static OBJECTS: Part = Part::new("<worker objects>", include_str!("objects.py"), &[]);
/// Reading unfinished source.
static SOURCE: Part = Part::new("<worker source>", include_str!("source.py"), &[&OBJECTS]);
/// `complete`.
pub(crate) static COMPLETE: Part =
    Part::new("<worker complete>", include_str!("complete.py"), &[&INTROSPECT, &OBJECTS, &SOURCE]);
