//! Writes of text and bytes to the session: which role they have, whether they go to a redirected descriptor or to the
//! session, and the wait while the channel is full. All functions need the GIL; any thread may call them.

#![expect(unsafe_code, reason = "the length of a str, as the methods of a stream give it back")]

use super::redirected;
use super::streams::{has_users_errors, is_ours, own};
use crate::plain::prompt_watch::{self, Arrived};
use crate::runtime::globals::sys;
use crate::runtime::session::session;
use crate::runtime::wait::{flush_session, wait_detached};
use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use worker_core::signals::interrupt;
use worker_protocol::{Role, Stream};

/// The role of what the main thread writes at the moment: 0 none, 1 a result, 2 a traceback.
static ROLE: AtomicU8 = AtomicU8::new(0);

/// While this value lives, what the main thread writes has a role.
pub(crate) struct InRole(());

impl InRole {
    /// Sets the role. Main thread; such values do not nest.
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

/// The role of what the calling thread writes to this stream. While a result is shown, stderr has none: it gets
/// warnings.
fn role(stream: Stream) -> Option<Role> {
    match ROLE.load(Relaxed) {
        0 => None,
        _ if !interrupt::is_main_thread() => None,
        1 => (stream == Stream::Stdout).then_some(Role::Result),
        _ => Some(Role::Traceback),
    }
}

/// Writes a `str`, as `write` of a text stream does, and gives the number of its characters. Raises `TypeError` for
/// another object, and what a write raises (see [`put_text`]).
pub(super) fn write_text(py: Python<'_>, stream: Stream, text: &Bound<'_, PyAny>) -> PyResult<ffi::Py_ssize_t> {
    let Ok(text) = text.cast::<PyString>() else {
        let kind = text.get_type().name()?;
        return Err(PyTypeError::new_err(format!("write() argument must be str, not {kind}")));
    };
    // SAFETY: the object is a str.
    let length = unsafe { ffi::PyUnicode_GetLength(text.as_ptr()) };
    match text.to_str() {
        _ if goes_to_descriptor(stream) => redirected::write_text(py, stream, text)?,
        Ok(utf8) => put_text(py, stream, utf8)?,
        Err(_) => {
            let bytes = encode_surrogates(text, stream)?;
            write_bytes(py, stream, &bytes)?;
        }
    }
    Ok(length)
}

/// Encodes text with lone surrogates: by the error handler that the user has set, else by `surrogateescape`, or by
/// `backslashreplace` if that fails.
fn encode_surrogates<'py>(text: &Bound<'py, PyString>, stream: Stream) -> PyResult<Bound<'py, PyAny>> {
    if has_users_errors(stream)
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

/// Whether the stream writes to its descriptor, which user code has redirected.
fn goes_to_descriptor(stream: Stream) -> bool {
    redirected::is_redirected(stream) && !worker_core::process::fork::in_child()
}

/// Whether the bytes belong to a prompt and are not to be printed. If they do not, what has arrived of the prompt is
/// printed here.
fn is_absorbed(py: Python<'_>, stream: Stream, bytes: &[u8]) -> PyResult<bool> {
    let verdict = prompt_watch::judge(stream, bytes);
    put_arrived(py, verdict.first)?;
    Ok(verdict.absorb)
}

/// Prints what has arrived of a prompt. Raises as [`put_text`] does.
pub(super) fn put_arrived(py: Python<'_>, arrived: Option<Arrived>) -> PyResult<()> {
    arrived.map_or(Ok(()), |arrived| put_bytes(py, arrived.stream, &arrived.text))
}

/// Writes text to the stream: to the session, to the descriptor if that is redirected, or in a forked child to its fd.
/// While the channel is full it waits, and then raises KeyboardInterrupt or what a signal handler raises.
pub(crate) fn put_text(py: Python<'_>, stream: Stream, text: &str) -> PyResult<()> {
    if worker_core::process::fork::in_child() {
        worker_core::process::fork::print(stream, text.as_bytes());
        return Ok(());
    }
    if goes_to_descriptor(stream) {
        return redirected::write_text(py, stream, &PyString::new(py, text));
    }
    if is_absorbed(py, stream, text.as_bytes())? {
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

/// Writes a bytes-like object, as `write` of the buffer does, and gives the number of its bytes. Raises `TypeError` for
/// another object, and what a write raises.
pub(super) fn write_bytes(py: Python<'_>, stream: Stream, bytes: &Bound<'_, PyAny>) -> PyResult<ffi::Py_ssize_t> {
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
    if goes_to_descriptor(stream) {
        redirected::write_bytes(py, stream, &bytes)?;
        return Ok(data.len() as ffi::Py_ssize_t);
    }
    if !is_absorbed(py, stream, data)? {
        put_bytes(py, stream, data)?;
    }
    Ok(data.len() as ffi::Py_ssize_t)
}

/// Writes bytes to the session, or in a forked child to its fd.
fn put_bytes(py: Python<'_>, stream: Stream, data: &[u8]) -> PyResult<()> {
    if worker_core::process::fork::in_child() {
        worker_core::process::fork::print(stream, data);
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

/// Flushes `sys.stdout` and `sys.stderr` where user code has replaced them or redirected their descriptors, as the
/// interactive prompt does. Errors are ignored.
pub(crate) fn flush_replaced(py: Python<'_>) {
    let Ok(sys) = sys(py) else { return };
    for (name, stream) in [("stderr", Stream::Stderr), ("stdout", Stream::Stdout)] {
        // The interactive prompt ignores a stream that cannot be flushed.
        let _ = redirected::flush(py, stream);
        if let Ok(object) = sys.getattr(name)
            && !object.is_none()
            && !is_ours(py, stream, &object)
        {
            let _ = object.call_method0("flush");
        }
    }
}
