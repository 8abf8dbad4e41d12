//! `sys.stdout` and `sys.stderr`: text streams whose writes go to the session.
//!
//! Both are instances of `io.TextIOWrapper`, so that they have all of its methods. Their types are subclasses in whose
//! dictionaries `write` and `flush` are plain C functions: such a function is no descriptor, so a call makes no bound
//! method.

#![expect(unsafe_code, reason = "C functions as Python callables, without pyo3's argument parsing")]

use super::method::Method;
use super::reconfigure::Reconfigure;
use super::redirected;
use super::streams::{closefd_false, is_ours, keep, subtype};
use super::write::{write_bytes, write_text};
use crate::runtime::globals::sys;
use crate::runtime::wait::flush_session;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use worker_protocol::Stream;

/// `write` of the session's own stdout.
static WRITE_OUT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Flushes `sys.stdout` and `sys.stderr`, then replaces them. Needs the GIL.
pub(super) fn install(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    for (name, stream) in [("stdout", Stream::Stdout), ("stderr", Stream::Stderr)] {
        if let Ok(old) = sys.getattr(name)
            && !old.is_none()
        {
            // An error here, of a closed stream for example, is CPython's at its start and no reason to end the
            // session.
            let _ = old.call_method0("flush");
        }
        let new = make(py, stream)?;
        sys.setattr(name, &new)?;
        sys.setattr(format!("__{name}__"), &new)?;
        keep(py, stream, new);
    }
    Ok(())
}

/// Whether `print` writes to the session: `sys.stdout` is the session's own, and so are its `write` and its descriptor.
/// Needs the GIL.
pub(super) fn writes_to_session(py: Python<'_>) -> bool {
    if redirected::is_redirected(Stream::Stdout) {
        return false;
    }
    let is_so = || -> PyResult<bool> {
        let stdout = sys(py)?.dict().get_item(intern!(py, "stdout"))?;
        let Some(stdout) = stdout.filter(|stdout| is_ours(py, Stream::Stdout, stdout)) else { return Ok(false) };
        let write = stdout.getattr(intern!(py, "write"))?;
        Ok(WRITE_OUT.get(py).is_some_and(|own| own.is(&write)))
    };
    is_so().unwrap_or(false)
}

/// Makes one stream, with its buffer.
fn make<'py>(py: Python<'py>, stream: Stream) -> PyResult<Bound<'py, PyAny>> {
    let io = py.import("_io")?;
    let (fd, name, methods) = match stream {
        Stream::Stdout => (1, "<stdout>", &METHODS_OUT),
        Stream::Stderr => (2, "<stderr>", &METHODS_ERR),
    };
    let raw = io.getattr("FileIO")?.call((fd, "w"), Some(&closefd_false(py)?))?;
    raw.setattr("name", name)?;
    let functions = |first: usize| -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for method in &methods.0[first..first + 2] {
            let object = method.object(py)?;
            if std::ptr::eq(method, &METHODS_OUT.0[0]) {
                let _ = WRITE_OUT.set(py, object.clone().unbind());
            }
            dict.set_item(method.name(), object)?;
        }
        Ok(dict)
    };
    let buffer_type = subtype(py, &io.getattr("BufferedWriter")?, "BufferedWriter", functions(2)?)?;
    let buffer = buffer_type.call1((raw,))?;
    let text_type = subtype(py, &io.getattr("TextIOWrapper")?, "TextIOWrapper", functions(0)?)?;
    let options = PyDict::new(py);
    options.set_item("encoding", "utf-8")?;
    options.set_item("errors", if fd == 1 { "surrogateescape" } else { "backslashreplace" })?;
    options.set_item("newline", "\n")?;
    options.set_item("write_through", true)?;
    options.set_item("line_buffering", fd == 2)?;
    let text = text_type.call((buffer,), Some(&options))?;
    text.setattr("mode", "w")?;
    let reconfigure = Reconfigure { text_type: text_type.clone().unbind(), text: text.clone().unbind(), stream };
    text_type.setattr("reconfigure", Bound::new(py, reconfigure)?)?;
    Ok(text)
}

/// The methods of one stream: `write` and `flush` of the text, `write` and `flush` of its buffer.
struct StreamMethods([Method; 4]);

static METHODS_OUT: StreamMethods = StreamMethods([
    Method::one(c"write", write_out),
    Method::none(c"flush", flush_out),
    Method::one(c"write", write_bytes_out),
    Method::none(c"flush", flush_out),
]);
static METHODS_ERR: StreamMethods = StreamMethods([
    Method::one(c"write", write_err),
    Method::none(c"flush", flush_err),
    Method::one(c"write", write_bytes_err),
    Method::none(c"flush", flush_err),
]);

unsafe extern "C" fn write_out(_self: *mut ffi::PyObject, text: *mut ffi::PyObject) -> *mut ffi::PyObject {
    called(text, |py, text| write_text(py, Stream::Stdout, text))
}

unsafe extern "C" fn write_err(_self: *mut ffi::PyObject, text: *mut ffi::PyObject) -> *mut ffi::PyObject {
    called(text, |py, text| write_text(py, Stream::Stderr, text))
}

unsafe extern "C" fn write_bytes_out(_self: *mut ffi::PyObject, bytes: *mut ffi::PyObject) -> *mut ffi::PyObject {
    called(bytes, |py, bytes| write_bytes(py, Stream::Stdout, bytes))
}

unsafe extern "C" fn write_bytes_err(_self: *mut ffi::PyObject, bytes: *mut ffi::PyObject) -> *mut ffi::PyObject {
    called(bytes, |py, bytes| write_bytes(py, Stream::Stderr, bytes))
}

unsafe extern "C" fn flush_out(_self: *mut ffi::PyObject, _none: *mut ffi::PyObject) -> *mut ffi::PyObject {
    flushed(Stream::Stdout)
}

unsafe extern "C" fn flush_err(_self: *mut ffi::PyObject, _none: *mut ffi::PyObject) -> *mut ffi::PyObject {
    flushed(Stream::Stderr)
}

/// The body of `flush`.
fn flushed(stream: Stream) -> *mut ffi::PyObject {
    // SAFETY: Python calls its functions with the GIL held; None is immortal or counted by Py_NewRef.
    unsafe {
        let py = Python::assume_attached();
        match redirected::flush(py, stream).and_then(|()| flush_session(py)) {
            Ok(()) => ffi::Py_NewRef(ffi::Py_None()),
            Err(error) => {
                error.restore(py);
                std::ptr::null_mut()
            }
        }
    }
}

/// Calls the body of a function of one argument. Panics end the process (`panic = "abort"`), so none unwinds into C.
fn called(
    argument: *mut ffi::PyObject,
    body: impl FnOnce(Python<'_>, &Bound<'_, PyAny>) -> PyResult<ffi::Py_ssize_t>,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls its functions with the GIL held and a borrowed argument that lives across the call.
    unsafe {
        let py = Python::assume_attached();
        let argument = std::mem::ManuallyDrop::new(Bound::from_owned_ptr(py, argument));
        match body(py, &argument) {
            Ok(count) => ffi::PyLong_FromSsize_t(count),
            Err(error) => {
                error.restore(py);
                std::ptr::null_mut()
            }
        }
    }
}
