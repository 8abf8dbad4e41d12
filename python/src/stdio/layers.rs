//! The layers of `sys.stdin`: text, buffer and raw file. Each reads from the session by itself.
//!
//! All functions need the GIL. A read raises what [`read`] raises.

use super::read::{is_sessions, read};
use super::streams::{closefd_false, subtype};
use crate::plain::stdin::{line_of_bytes, line_of_chars, up_to};
use crate::runtime::patched_function::Original;
use pyo3::exceptions::{PyStopIteration, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyString};
use worker_core::Want;

/// CPython's own `open`.
pub(super) static OPEN: Original = Original::new();
/// A text file of CPython's own over fd 0, made once user code has replaced that descriptor.
static PLAIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The types of the three layers: `FileIO`, `BufferedReader` and `TextIOWrapper`. Each call makes new ones.
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

/// A file object over fd 0 with these layers; without a `buffer_type` a raw one. `text_options`: the keyword arguments
/// of `TextIOWrapper`. Closing it leaves the descriptor open, so that a script may read again.
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

/// A `str` of UTF-8 bytes. Bytes that are not UTF-8 become lone surrogates (`surrogateescape`).
pub(super) fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text).into_any()),
        // Invalid input, or the rest of a character whose first bytes a binary read has taken.
        Err(_) => PyBytes::new(py, bytes).call_method1("decode", ("utf-8", "surrogateescape")),
    }
}

/// Calls a method of CPython's own file over fd 0, which user code has replaced. `layer`: the attributes that lead to
/// the layer.
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

/// The size that a read was called with; none for None and negative numbers: without a limit.
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
        Some(size) => text(py, &line_of_chars(size, |want| read(py, "", false, want))?),
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
        Some(size) => line_of_bytes(size, |want| read(py, "", false, want))?,
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
    // CPython's `read(n)` waits until it has n bytes. Here it gives what there is as soon as there is any: a supervisor
    // sends whole lines, and n bytes may never come.
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
    Ok(PyBytes::new(py, &read(py, "", false, up_to(size))?).into_any())
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
    Ok(PyBytes::new(py, &read(py, "", false, size.map_or(Want::All, up_to))?).into_any())
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

/// Reads into a writable buffer; gives the number of bytes.
fn into(py: Python<'_>, target: &Bound<'_, PyAny>) -> PyResult<usize> {
    let view = py.import("builtins")?.getattr("memoryview")?.call1((target,))?.call_method1("cast", ("B",))?;
    let data = read(py, "", false, up_to(view.len()?))?;
    let slice = pyo3::types::PySlice::new(py, 0, data.len() as isize, 1);
    view.set_item(slice, PyByteArray::new(py, &data))?;
    Ok(data.len())
}
