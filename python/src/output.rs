//! `sys.stdout` and `sys.stderr`: text wrappers as the prompt has them, whose writes are the session's output.
//!
//! Both stay instances of `io.TextIOWrapper`, so that everything a library may ask of them is there. Their types are
//! subclasses in whose dictionaries `write` and `flush` are plain C functions: such a function is no descriptor, so a
//! call binds nothing and allocates nothing.

#![expect(unsafe_code, reason = "C functions as Python callables, without pyo3's argument parsing")]

mod method;
mod reconfigure;

use crate::runtime::globals::sys;
use crate::runtime::session::session;
use crate::runtime::wait::{flush_session, wait_detached};
use crate::{elsewhere, prompted};
use method::Method;
use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use reconfigure::Reconfigure;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use worker::interrupt;
use worker::protocol::{Role, Stream};

/// What the main thread's text is at the moment: 0 plain, 1 a result, 2 a traceback.
static ROLE: AtomicU8 = AtomicU8::new(0);

/// The user chose what becomes of characters that UTF-8 has no bytes for, by stream.
static HAS_USERS_ERRORS: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

static STDOUT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static STDERR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
/// `write` of stdout as the session has it.
static WRITE_OUT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Text that the main thread writes is of this role until the result is dropped.
pub(crate) struct InRole(());

impl InRole {
    pub(crate) fn enter(role: Role) -> InRole {
        ROLE.store(if role == Role::Result { 1 } else { 2 }, Relaxed);
        InRole(())
    }
}

impl Drop for InRole {
    fn drop(&mut self) {
        ROLE.store(0, Relaxed);
    }
}

/// What text on this stream is; a warning while a result is printed is no result.
fn role(stream: Stream) -> Option<Role> {
    match ROLE.load(Relaxed) {
        0 => None,
        _ if !interrupt::is_main_thread() => None,
        1 => (stream == Stream::Stdout).then_some(Role::Result),
        _ => Some(Role::Traceback),
    }
}

/// Replaces `sys.stdout` and `sys.stderr`, after what Python's own still hold has been passed on.
pub(crate) fn install(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    for (name, stream, slot) in [("stdout", Stream::Stdout, &STDOUT), ("stderr", Stream::Stderr, &STDERR)] {
        if let Ok(old) = sys.getattr(name)
            && !old.is_none()
        {
            // A broken stream has nothing to pass on.
            let _ = old.call_method0("flush");
        }
        let new = make(py, stream)?;
        sys.setattr(name, &new)?;
        sys.setattr(format!("__{name}__"), &new)?;
        let _ = slot.set(py, new.unbind());
    }
    Ok(())
}

/// Whether `object` is the session's own stream.
pub(crate) fn is_ours(py: Python<'_>, stream: Stream, object: &Bound<'_, PyAny>) -> bool {
    own(py, stream).is_some_and(|own| own.is(object))
}

/// The session's own stream.
pub(crate) fn own<'py>(py: Python<'py>, stream: Stream) -> Option<Bound<'py, PyAny>> {
    let slot = if stream == Stream::Stdout { &STDOUT } else { &STDERR };
    slot.get(py).map(|own| own.bind(py).clone())
}

/// Whether `print` goes to the session: `sys.stdout` is the session's own, and so are its `write` and its descriptor.
pub(crate) fn writes_to_session(py: Python<'_>) -> bool {
    if elsewhere::is_elsewhere(Stream::Stdout) {
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

pub(crate) fn closefd_false(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let options = PyDict::new(py);
    options.set_item("closefd", false)?;
    Ok(options)
}

/// A subclass with the name and module of its base and some attributes of its own.
pub(crate) fn subtype<'py>(
    py: Python<'py>,
    base: &Bound<'py, PyAny>,
    name: &str,
    dict: Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    dict.set_item("__module__", "_io")?;
    pyo3::types::PyType::type_object(py).call1((name, PyTuple::new(py, [base])?, dict))
}

/// The methods of one stream: write and flush of the text, write and flush of its buffer.
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

fn flushed(stream: Stream) -> *mut ffi::PyObject {
    // SAFETY: Python calls its functions with the GIL held; None is immortal or counted by Py_NewRef.
    unsafe {
        let py = Python::assume_attached();
        match elsewhere::flush(py, stream).and_then(|()| flush_session(py)) {
            Ok(()) => ffi::Py_NewRef(ffi::Py_None()),
            Err(error) => {
                error.restore(py);
                std::ptr::null_mut()
            }
        }
    }
}

/// What every such function does around its body. Panics end the process (`panic = "abort"`), so none crosses C.
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

pub(crate) fn write_text(py: Python<'_>, stream: Stream, text: &Bound<'_, PyAny>) -> PyResult<ffi::Py_ssize_t> {
    let Ok(text) = text.cast::<PyString>() else {
        let kind = text.get_type().name()?;
        return Err(PyTypeError::new_err(format!("write() argument must be str, not {kind}")));
    };
    // SAFETY: the object is a str.
    let length = unsafe { ffi::PyUnicode_GetLength(text.as_ptr()) };
    match text.to_str() {
        _ if goes_elsewhere(stream) => elsewhere::write_text(py, stream, text)?,
        Ok(utf8) => put_text(py, stream, utf8)?,
        Err(_) => {
            let bytes = encode_surrogates(text, stream)?;
            write_bytes(py, stream, &bytes)?;
        }
    }
    Ok(length)
}

/// Text with lone surrogates: those that stand for bytes become these bytes, others are spelled out.
fn encode_surrogates<'py>(text: &Bound<'py, PyString>, stream: Stream) -> PyResult<Bound<'py, PyAny>> {
    if HAS_USERS_ERRORS[stream as usize].load(Relaxed)
        && let Some(own) = own(text.py(), stream)
    {
        return text.call_method1("encode", ("utf-8", own.getattr("errors")?));
    }
    match text.call_method1("encode", ("utf-8", "surrogateescape")) {
        Err(error) if error.is_instance_of::<PyUnicodeEncodeError>(text.py()) => {
            text.call_method1("encode", ("utf-8", "backslashreplace"))
        }
        other => other,
    }
}

/// Whether text goes where user code has pointed the descriptor.
fn goes_elsewhere(stream: Stream) -> bool {
    elsewhere::is_elsewhere(stream) && !worker::child::in_child()
}

/// Writes text as the session's output.
pub(crate) fn put_text(py: Python<'_>, stream: Stream, text: &str) -> PyResult<()> {
    if worker::child::in_child() {
        worker::child::print(stream, text.as_bytes());
        return Ok(());
    }
    if goes_elsewhere(stream) {
        return elsewhere::write_text(py, stream, &PyString::new(py, text));
    }
    if prompted::absorbs(py, stream, text.as_bytes())? {
        return Ok(());
    }
    let role = role(stream);
    let mut done = session().offer(stream, role, text, false);
    if done < text.len() {
        wait_detached(py, move || {
            loop {
                let taken = session().offer(stream, role, &text[done..], done > 0);
                if taken >= text.len() - done {
                    return Ok(());
                }
                done += taken;
                session().wait_for_room()?;
            }
        })?;
    }
    if session().flushes_writes() { flush_session(py) } else { Ok(()) }
}

fn write_bytes(py: Python<'_>, stream: Stream, bytes: &Bound<'_, PyAny>) -> PyResult<ffi::Py_ssize_t> {
    let bytes = match bytes.cast::<PyBytes>() {
        Ok(bytes) => bytes.clone(),
        Err(_) if bytes.is_instance_of::<PyString>() => {
            return Err(PyTypeError::new_err("a bytes-like object is required, not 'str'"));
        }
        Err(_) => {
            let view = py.import("builtins")?.getattr("memoryview")?.call1((bytes,))?;
            view.call_method0("tobytes")?.cast_into::<PyBytes>()?
        }
    };
    let data = bytes.as_bytes();
    if goes_elsewhere(stream) {
        elsewhere::write_bytes(py, stream, &bytes)?;
        return Ok(data.len() as ffi::Py_ssize_t);
    }
    if !prompted::absorbs(py, stream, data)? {
        put_bytes(py, stream, data)?;
    }
    Ok(data.len() as ffi::Py_ssize_t)
}

/// Writes bytes as the session's output.
pub(crate) fn put_bytes(py: Python<'_>, stream: Stream, data: &[u8]) -> PyResult<()> {
    if worker::child::in_child() {
        worker::child::print(stream, data);
        return Ok(());
    }
    let role = role(stream);
    let mut done = session().offer_bytes(stream, role, data);
    if done < data.len() {
        wait_detached(py, move || {
            loop {
                let taken = session().offer_bytes(stream, role, &data[done..]);
                if taken >= data.len() - done {
                    return Ok(());
                }
                done += taken;
                session().wait_for_room()?;
            }
        })?;
    }
    if session().flushes_writes() { flush_session(py) } else { Ok(()) }
}

/// Flushes what user code has put in the place of our streams or their descriptors, as the prompt does.
pub(crate) fn flush_replaced(py: Python<'_>) {
    let Ok(sys) = sys(py) else { return };
    for (name, stream) in [("stderr", Stream::Stderr), ("stdout", Stream::Stdout)] {
        // The prompt ignores a stream that cannot be flushed.
        let _ = elsewhere::flush(py, stream);
        if let Ok(object) = sys.getattr(name)
            && !object.is_none()
            && !is_ours(py, stream, &object)
        {
            let _ = object.call_method0("flush");
        }
    }
}
