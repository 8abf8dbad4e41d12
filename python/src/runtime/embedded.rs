//! The few parts of the engine that are written in Python, compiled when they are first needed.
//!
//! Each room declares its own. A bare session imports none of them, so they cost nothing at the start. Their frames carry
//! file names that begin with [`FILE_PREFIX`], by which they are left out of what users see.

use super::code;
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
    /// A part of this file name and source.
    pub(crate) const fn new(file: &'static str, source: &'static str, uses: &'static [&'static Part]) -> Part {
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
        let compiled = code::plain(py, self.source, self.file)?;
        code::evaluate(py, &compiled, &namespace)?;
        let _ = self.namespace.set(py, namespace.clone().unbind());
        Ok(namespace)
    }
}
