//! The method `reconfigure` of `sys.stdout` and `sys.stderr`.

use super::streams::note_users_errors;
use crate::plain::stdin::is_utf8;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use worker_protocol::Stream;

/// `reconfigure` of a text stream. With another encoding than UTF-8, or another line end, `TextIOWrapper` encodes the
/// text and writes it to the buffer, which writes it to the session.
#[pyclass(frozen, module = "_io", name = "method")]
pub(super) struct Reconfigure {
    /// The stream's own type, which has the session's `write`.
    pub(super) text_type: Py<PyAny>,
    /// The stream.
    pub(super) text: Py<PyAny>,
    /// Which of the two it is.
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
        if !is_utf8(&encoding) || asks_newline {
            // A second call finds nothing to delete.
            let _ = self.text_type.bind(py).delattr("write");
        }
        Ok(())
    }
}
