//! The parts of the engine that are written in Python, compiled and run when a function of theirs is first needed.
//!
//! Each folder declares its own. A session in which no cell needs one compiles none. The code objects have file names
//! that begin with `PART_PREFIX` of `plain::frames`, by which their frames are left out of tracebacks.

use super::code;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// One part: Python source that is run once, in a namespace of its own that is no module.
pub(crate) struct Part {
    file: &'static str,
    source: &'static str,
    /// Parts whose names are copied to its namespace before it runs.
    uses: &'static [&'static Part],
    namespace: PyOnceLock<Py<PyDict>>,
}

impl Part {
    /// A part that is not compiled yet. `file` begins with `PART_PREFIX`.
    pub(crate) const fn new(file: &'static str, source: &'static str, uses: &'static [&'static Part]) -> Part {
        Part { file, source, uses, namespace: PyOnceLock::new() }
    }

    /// A function or class of the part, by name. Needs the GIL; the first call compiles and runs the part and raises
    /// what that raises, and a later call tries again then. An unknown name raises `NameError`.
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
