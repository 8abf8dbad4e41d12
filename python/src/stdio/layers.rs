//! The layers of `sys.stdin`, text over bytes over the descriptor: each reads from the session by itself.

use super::read::{is_sessions, read};
use super::streams::{closefd_false, subtype};
use crate::runtime::patched_function::Original;
use pyo3::exceptions::{PyStopIteration, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyString};
use worker_core::Want;

/// Python's own `open`.
pub(super) static OPEN: Original = Original::new();
/// Reads fd 0 as Python does by itself, once user code has put something else there.
static PLAIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The types of the three layers: of the descriptor, of bytes, of text.
pub(super) fn types<'py>(py: Python<'py>, io: &Bound<'py, PyModule>) -> PyResult<[Bound<'py, PyAny>; 3]> {
    let raw_type = subtype(
        py,
        &io.getattr("FileIO")?,
        "FileIO",
        functions(
            py,
            &[
                ("read", wrap_pyfunction!(raw_read, py)?),
                ("readall", wrap_pyfunction!(raw_readall, py)?),
                ("readinto", wrap_pyfunction!(raw_readinto, py)?),
            ],
        )?,
    )?;
    let buffer_type = subtype(
        py,
        &io.getattr("BufferedReader")?,
        "BufferedReader",
        functions(
            py,
            &[
                ("read", wrap_pyfunction!(bytes_read, py)?),
                ("read1", wrap_pyfunction!(bytes_read1, py)?),
                ("readinto", wrap_pyfunction!(bytes_readinto, py)?),
                ("readinto1", wrap_pyfunction!(raw_readinto, py)?),
                ("readline", wrap_pyfunction!(bytes_readline, py)?),
                ("peek", wrap_pyfunction!(bytes_peek, py)?),
                ("__next__", wrap_pyfunction!(bytes_next, py)?),
            ],
        )?,
    )?;
    let text_type = subtype(
        py,
        &io.getattr("TextIOWrapper")?,
        "TextIOWrapper",
        functions(
            py,
            &[
                ("read", wrap_pyfunction!(text_read, py)?),
                ("readline", wrap_pyfunction!(text_readline, py)?),
                ("__next__", wrap_pyfunction!(text_next, py)?),
            ],
        )?,
    )?;
    Ok([raw_type, buffer_type, text_type])
}

fn functions<'py>(
    py: Python<'py>,
    list: &[(&str, Bound<'py, pyo3::types::PyCFunction>)],
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, function) in list {
        dict.set_item(name, function)?;
    }
    Ok(dict)
}

/// Stacks the layers of a file object over fd 0. The descriptor outlives them: a script that closes one may read again.
pub(super) fn stack<'py>(
    py: Python<'py>,
    raw_type: &Bound<'py, PyAny>,
    buffer_type: Option<&Bound<'py, PyAny>>,
    text_type: Option<&Bound<'py, PyAny>>,
    text_options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let raw = raw_type.call((0, "r"), Some(&closefd_false(py)?))?;
    raw.setattr("name", "<stdin>")?;
    let Some(buffer_type) = buffer_type else { return Ok(raw) };
    let buffer = buffer_type.call1((raw,))?;
    let Some(text_type) = text_type else { return Ok(buffer) };
    let utf8 = PyDict::new(py);
    utf8.set_item("encoding", "utf-8")?;
    utf8.set_item("errors", "surrogateescape")?;
    let text = text_type.call((buffer,), Some(text_options.unwrap_or(&utf8)))?;
    text.setattr("mode", "r")?;
    Ok(text)
}

pub(super) fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text).into_any()),
        // A byte reader took the beginning of a character.
        Err(_) => PyBytes::new(py, bytes).call_method1("decode", ("utf-8", "surrogateescape")),
    }
}

/// Calls a method of a plain reader of fd 0: user code has put something of its own there.
fn plain<'py>(
    py: Python<'py>,
    layer: &str,
    method: &str,
    args: impl pyo3::call::PyCallArgs<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    if PLAIN.get(py).is_none() {
        let made = OPEN.get(py)?.call((0,), Some(&closefd_false(py)?))?;
        let _ = PLAIN.set(py, made.unbind());
    }
    let Some(object) = PLAIN.get(py) else { return Err(PyValueError::new_err("standard input is not set up")) };
    let mut object = object.bind(py).clone();
    for name in layer.split('.').filter(|name| !name.is_empty()) {
        object = object.getattr(name)?;
    }
    object.call_method1(method, args)
}

fn size_of(size: Option<&Bound<'_, PyAny>>) -> PyResult<Option<usize>> {
    match size {
        None => Ok(None),
        Some(size) if size.is_none() => Ok(None),
        Some(size) => Ok(usize::try_from(size.extract::<i64>()?).ok()),
    }
}

#[pyfunction]
#[pyo3(name = "readline", signature = (size=None, /))]
fn text_readline<'py>(py: Python<'py>, size: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    if !is_sessions() {
        return plain(py, "", "readline", (size_of(size)?.map_or(-1, |size| size as i64),));
    }
    match size_of(size)? {
        // A part of a line is whole characters up to the line end.
        Some(size) => {
            let mut line = Vec::new();
            for _ in 0..size {
                let next = read(py, "", false, Want::Chars(1))?;
                line.extend_from_slice(&next);
                if next.is_empty() || next == b"\n" {
                    break;
                }
            }
            text(py, &line)
        }
        None => text(py, &read(py, "", false, Want::Line)?),
    }
}

#[pyfunction]
#[pyo3(name = "read", signature = (size=None, /))]
fn text_read<'py>(py: Python<'py>, size: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let size = size_of(size)?;
    if !is_sessions() {
        return plain(py, "", "read", (size.map_or(-1, |size| size as i64),));
    }
    text(py, &read(py, "", false, size.map_or(Want::All, Want::Chars))?)
}

#[pyfunction]
#[pyo3(name = "__next__")]
fn text_next(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let line = text_readline(py, None)?;
    if line.is_truthy()? { Ok(line) } else { Err(PyStopIteration::new_err(())) }
}

#[pyfunction]
#[pyo3(name = "readline", signature = (size=None, /))]
fn bytes_readline<'py>(py: Python<'py>, size: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let size = size_of(size)?;
    if !is_sessions() {
        return plain(py, "buffer", "readline", (size.map_or(-1, |size| size as i64),));
    }
    let line = match size {
        None => read(py, "", false, Want::Line)?,
        Some(size) => {
            let mut line = Vec::new();
            while line.len() < size && !line.ends_with(b"\n") {
                let next = read(py, "", false, Want::Bytes(1))?;
                if next.is_empty() {
                    break;
                }
                line.extend_from_slice(&next);
            }
            line
        }
    };
    Ok(PyBytes::new(py, &line).into_any())
}

#[pyfunction]
#[pyo3(name = "__next__")]
fn bytes_next(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let line = bytes_readline(py, None)?;
    if line.is_truthy()? { Ok(line) } else { Err(PyStopIteration::new_err(())) }
}

#[pyfunction]
#[pyo3(name = "read", signature = (size=None, /))]
fn bytes_read<'py>(py: Python<'py>, size: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let size = size_of(size)?;
    if !is_sessions() {
        return plain(py, "buffer", "read", (size.map_or(-1, |size| size as i64),));
    }
    // A buffered reader of a pipe that has something gives what was asked for, and waits for the rest; what a byte
    // reader of a session gets is what there is, so that it never waits for what nobody will send.
    let want = size.map_or(Want::All, |size| if size == 0 { Want::Bytes(0) } else { Want::Upto(size) });
    Ok(PyBytes::new(py, &read(py, "", false, want)?).into_any())
}

#[pyfunction]
#[pyo3(name = "read1", signature = (size=None, /))]
fn bytes_read1<'py>(py: Python<'py>, size: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let size = size_of(size)?.unwrap_or(8192);
    if !is_sessions() {
        return plain(py, "buffer", "read1", (size,));
    }
    Ok(PyBytes::new(py, &read(py, "", false, upto(size))?).into_any())
}

#[pyfunction]
#[pyo3(name = "peek", signature = (_size=None, /))]
fn bytes_peek<'py>(py: Python<'py>, _size: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    if !is_sessions() {
        return plain(py, "buffer", "peek", (8192,));
    }
    Ok(PyBytes::new(py, &read(py, "", false, Want::Peek(8192))?).into_any())
}

#[pyfunction]
#[pyo3(name = "readinto", signature = (target, /))]
fn bytes_readinto(py: Python<'_>, target: &Bound<'_, PyAny>) -> PyResult<usize> {
    if !is_sessions() {
        return plain(py, "buffer", "readinto", (target,))?.extract();
    }
    into(py, target)
}

#[pyfunction]
#[pyo3(name = "read", signature = (size=None, /))]
fn raw_read<'py>(py: Python<'py>, size: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let size = size_of(size)?;
    if !is_sessions() {
        return plain(py, "buffer.raw", "read", (size.map_or(-1, |size| size as i64),));
    }
    Ok(PyBytes::new(py, &read(py, "", false, size.map_or(Want::All, upto))?).into_any())
}

#[pyfunction]
#[pyo3(name = "readall")]
fn raw_readall(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    raw_read(py, None)
}

#[pyfunction]
#[pyo3(name = "readinto", signature = (target, /))]
fn raw_readinto(py: Python<'_>, target: &Bound<'_, PyAny>) -> PyResult<usize> {
    if !is_sessions() {
        return plain(py, "buffer.raw", "readinto", (target,))?.extract();
    }
    into(py, target)
}

pub(super) fn upto(size: usize) -> Want {
    if size == 0 { Want::Bytes(0) } else { Want::Upto(size) }
}

/// Fills a writable buffer with what there is.
fn into(py: Python<'_>, target: &Bound<'_, PyAny>) -> PyResult<usize> {
    let view = py.import("builtins")?.getattr("memoryview")?.call1((target,))?.call_method1("cast", ("B",))?;
    let data = read(py, "", false, upto(view.len()?))?;
    let slice = pyo3::types::PySlice::new(py, 0, data.len() as isize, 1);
    view.set_item(slice, PyByteArray::new(py, &data))?;
    Ok(data.len())
}
