//! The session's own `sys.stdout` and `sys.stderr`, for whoever asks whether a stream is one of them; how their types
//! are made.

use pyo3::PyTypeInfo;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use worker::protocol::Stream;

static STDOUT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static STDERR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The user chose what becomes of characters that UTF-8 has no bytes for, by stream.
static HAS_USERS_ERRORS: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

fn slot(stream: Stream) -> &'static PyOnceLock<Py<PyAny>> {
    if stream == Stream::Stdout { &STDOUT } else { &STDERR }
}

/// Keeps the session's own stream.
pub(super) fn keep(py: Python<'_>, stream: Stream, own: Bound<'_, PyAny>) {
    // Set once, when the session takes over.
    let _ = slot(stream).set(py, own.unbind());
}

/// The session's own stream.
pub(super) fn own<'py>(py: Python<'py>, stream: Stream) -> Option<Bound<'py, PyAny>> {
    slot(stream).get(py).map(|own| own.bind(py).clone())
}

/// Whether `object` is the session's own stream.
pub(crate) fn is_ours(py: Python<'_>, stream: Stream, object: &Bound<'_, PyAny>) -> bool {
    own(py, stream).is_some_and(|own| own.is(object))
}

/// Whether the user chose what becomes of characters that UTF-8 has no bytes for.
pub(super) fn has_users_errors(stream: Stream) -> bool {
    HAS_USERS_ERRORS[stream as usize].load(Relaxed)
}

/// Notes that the user did.
pub(super) fn note_users_errors(stream: Stream) {
    HAS_USERS_ERRORS[stream as usize].store(true, Relaxed);
}

/// The options of a file object that leaves its descriptor open.
pub(super) fn closefd_false(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let options = PyDict::new(py);
    options.set_item("closefd", false)?;
    Ok(options)
}

/// A subclass with the name and module of its base and some attributes of its own.
pub(super) fn subtype<'py>(
    py: Python<'py>,
    base: &Bound<'py, PyAny>,
    name: &str,
    dict: Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    dict.set_item("__module__", "_io")?;
    pyo3::types::PyType::type_object(py).call1((name, PyTuple::new(py, [base])?, dict))
}
