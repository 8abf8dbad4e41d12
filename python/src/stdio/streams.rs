//! The session's own `sys.stdout` and `sys.stderr`: whether an object is one of them, and how their types are made.
//!
//! What takes a `Python` needs the GIL.

use pyo3::PyTypeInfo;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use worker_protocol::Stream;

static STDOUT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static STDERR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The user has set the stream's error handler, for characters that UTF-8 cannot encode. By stream.
static HAS_USERS_ERRORS: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

fn slot(stream: Stream) -> &'static PyOnceLock<Py<PyAny>> {
    if stream == Stream::Stdout { &STDOUT } else { &STDERR }
}

/// Stores the session's own stream. Call it once for each.
pub(super) fn keep(py: Python<'_>, stream: Stream, own: Bound<'_, PyAny>) {
    // Set once, when the session takes over.
    let _ = slot(stream).set(py, own.unbind());
}

/// The session's own stream; none before [`keep`].
pub(super) fn own<'py>(py: Python<'py>, stream: Stream) -> Option<Bound<'py, PyAny>> {
    slot(stream).get(py).map(|own| own.bind(py).clone())
}

/// Whether `object` is the session's own stream.
pub(crate) fn is_ours(py: Python<'_>, stream: Stream, object: &Bound<'_, PyAny>) -> bool {
    own(py, stream).is_some_and(|own| own.is(object))
}

/// Whether the user has set the stream's error handler by `reconfigure`. Any thread.
pub(super) fn has_users_errors(stream: Stream) -> bool {
    HAS_USERS_ERRORS[stream as usize].load(Relaxed)
}

/// Records that the user has set the stream's error handler. Any thread.
pub(super) fn note_users_errors(stream: Stream) {
    HAS_USERS_ERRORS[stream as usize].store(true, Relaxed);
}

/// The keyword argument of a file object that leaves its descriptor open.
pub(super) fn closefd_false(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let options = PyDict::new(py);
    options.set_item("closefd", false)?;
    Ok(options)
}

/// A subclass of `base` named `name`, in the module `_io` as its base, with the attributes in `dict`.
pub(super) fn subtype<'py>(
    py: Python<'py>,
    base: &Bound<'py, PyAny>,
    name: &str,
    dict: Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    dict.set_item("__module__", "_io")?;
    pyo3::types::PyType::type_object(py).call1((name, PyTuple::new(py, [base])?, dict))
}
