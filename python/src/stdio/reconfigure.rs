//! `reconfigure` of `sys.stdout` and `sys.stderr`.

use super::streams::note_users_errors;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use worker_protocol::Stream;

/// `reconfigure` of a text stream: once its encoding is not UTF-8, its text goes the long way, through its buffer.
#[pyclass(frozen, module = "_io", name = "method")]
pub(super) struct Reconfigure {
    pub(super) text_type: Py<PyAny>,
    pub(super) text: Py<PyAny>,
    pub(super) stream: Stream,
}

#[pymethods]
impl Reconfigure {
    #[pyo3(signature = (**options))]
    fn __call__(&self, py: Python<'_>, options: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        let text = self.text.bind(py);
        let base = py.import("_io")?.getattr("TextIOWrapper")?;
        base.call_method("reconfigure", (text,), options)?;
        let encoding: String = text.getattr("encoding")?.extract()?;
        if options.is_some_and(|options| options.contains("errors").unwrap_or(false)) {
            note_users_errors(self.stream);
        }
        let asks_newline = options.is_some_and(|options| options.contains("newline").unwrap_or(false));
        let is_utf8 = matches!(encoding.to_ascii_lowercase().replace('_', "-").as_str(), "utf-8" | "utf8");
        if !is_utf8 || asks_newline {
            // A second call finds nothing to delete.
            let _ = self.text_type.bind(py).delattr("write");
        }
        Ok(())
    }
}
