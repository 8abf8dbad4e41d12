//! The functions that read standard input: `input`, `sys.stdin` and its layers, `open(0)` and `os.read(0, …)`.
//!
//! All of them read from the session's queue as long as raw fd 0 is the empty pipe that the session has put there. No
//! buffer of Python's has a part of the input, so one function finds what another one has left, and the session can
//! drop what a cell leaves. Reads take no lock of Python's streams, so that two threads can wait at the same time.

use super::layers::{self, OPEN, text};
use super::output::writes_to_session;
use super::prompt;
use super::read::{is_sessions, read};
use super::write::{flush_replaced, put_text};
use crate::plain::stdin::{is_binary, is_stdin_path, is_utf8, up_to, without_line_end};
use crate::runtime::patched_function::Original;
use pyo3::exceptions::{PyEOFError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyInt, PyString, PyTuple};
use worker_core::Want;
use worker_core::process::fork;
use worker_protocol::Stream;

static INPUT: Original = Original::new();
static OS_READ: Original = Original::new();

/// The types of a file object over fd 0, and the session's own `sys.stdin`.
struct Originals {
    text_type: Py<PyAny>,
    buffer_type: Py<PyAny>,
    raw_type: Py<PyAny>,
    stdin: Py<PyAny>,
}

static ORIGINALS: PyOnceLock<Originals> = PyOnceLock::new();

fn originals(py: Python<'_>) -> PyResult<&Originals> {
    ORIGINALS.get(py).ok_or_else(|| PyValueError::new_err("standard input is not set up"))
}

/// Replaces `sys.stdin` and the functions that read fd 0. Needs the GIL.
pub(super) fn install(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    let io = py.import("_io")?;
    let posix = py.import("posix")?;
    let builtins = py.import("builtins")?;
    let [raw_type, buffer_type, text_type] = layers::types(py, &io)?;
    let stdin = layers::stack(py, &raw_type, Some(&buffer_type), Some(&text_type), None)?;
    sys.setattr("stdin", &stdin)?;
    sys.setattr("__stdin__", &stdin)?;
    let originals = Originals {
        text_type: text_type.unbind(),
        buffer_type: buffer_type.unbind(),
        raw_type: raw_type.unbind(),
        stdin: stdin.unbind(),
    };
    let _ = ORIGINALS.set(py, originals);
    INPUT.replace(&builtins, "input", &wrap_pyfunction!(input, py)?)?;
    let open = OPEN.replace(&io, "open", &wrap_pyfunction!(open, py)?)?;
    builtins.setattr("open", &open)?;
    py.import("io")?.setattr("open", &open)?;
    let read = OS_READ.replace(&posix, "read", &wrap_pyfunction!(os_read, py)?)?;
    py.import("os")?.setattr("read", read)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn input<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let py = args.py();
    let sys = py.import("sys")?;
    let originals = originals(py)?;
    let stdin = sys.getattr("stdin")?;
    if args.len() > 1 || options.is_some() || !stdin.is(&originals.stdin) || !is_sessions() {
        return INPUT.call(args, options);
    }
    let asked = args.iter().next().map(|prompt| prompt.str()).transpose()?;
    let empty = PyString::new(py, "");
    sys.getattr("audit")?.call1(("builtins.input", asked.as_ref().unwrap_or(&empty)))?;
    flush_replaced(py);
    let mut asked_text = asked.as_ref().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    let stdout = sys.getattr("stdout")?;
    if let Some(asked) = asked
        && !asked_text.is_empty()
        && !stdout.is_none()
        && !writes_to_session(py)
        // As with CPython's own `input`, a replaced or redirected stdout gets the prompt.
        && !prompt::write(&stdout, &asked, &asked_text)?
    {
        asked_text.clear();
    }
    if fork::in_child() {
        // A forked child makes no request for input that could contain it.
        put_text(py, Stream::Stdout, &asked_text)?;
    }
    let line = read(py, &asked_text, false, Want::Line)?;
    let line_text = text(py, without_line_end(&line))?;
    sys.getattr("audit")?.call1(("builtins.input/result", &line_text))?;
    if line.is_empty() {
        return Err(PyEOFError::new_err("EOF when reading a line"));
    }
    Ok(line_text)
}

#[pyfunction]
#[pyo3(name = "read", signature = (*args, **options))]
fn os_read<'py>(
    py: Python<'py>,
    args: &Bound<'py, PyTuple>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    if args.len() == 2
        && options.is_none()
        && args.get_item(0)?.extract::<i32>().is_ok_and(|fd| fd == 0)
        && is_sessions()
    {
        let size = usize::try_from(args.get_item(1)?.extract::<i64>()?)
            .map_err(|_| pyo3::exceptions::PyOSError::new_err((libc::EINVAL, "Invalid argument")))?;
        return Ok(PyBytes::new(py, &read(py, "", false, up_to(size))?).into_any());
    }
    OS_READ.call(args, options)
}

/// Whether the first argument of `open` is fd 0, as a number or as a path.
fn names_stdin(file: &Bound<'_, PyAny>) -> bool {
    match file.cast_exact::<PyString>() {
        Ok(path) => path.to_str().is_ok_and(is_stdin_path),
        Err(_) => file.is_exact_instance_of::<PyInt>() && file.extract::<i64>().is_ok_and(|fd| fd == 0),
    }
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn open<'py>(
    py: Python<'py>,
    args: &Bound<'py, PyTuple>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let originals = originals(py)?;
    if !args.get_item(0).is_ok_and(|file| names_stdin(&file)) || !is_sessions() {
        return OPEN.call(args, options);
    }
    let option = |at: usize, name: &str| -> PyResult<Option<Bound<'py, PyAny>>> {
        match args.get_item(at) {
            Ok(value) => Ok(Some(value)),
            Err(_) => options.map_or(Ok(None), |options| options.get_item(name)),
        }
    };
    let mode: String = option(1, "mode")?.map_or(Ok("r".into()), |mode| mode.extract()).unwrap_or_default();
    let Some(is_binary) = is_binary(&mode) else { return OPEN.call(args, options) };
    let buffering: i64 = option(2, "buffering")?.map_or(Ok(-1), |buffering| buffering.extract())?;
    let raw_type = originals.raw_type.bind(py);
    let buffer_type = originals.buffer_type.bind(py);
    if is_binary {
        return layers::stack(py, raw_type, (buffering != 0).then_some(buffer_type), None, None);
    }
    if buffering == 0 {
        return Err(PyValueError::new_err("can't have unbuffered text I/O"));
    }
    let is_plain_utf8 = match option(3, "encoding")? {
        None => true,
        Some(encoding) if encoding.is_none() => true,
        Some(encoding) => {
            let name: String = encoding
                .extract()
                .map_err(|_| PyTypeError::new_err("open() argument 'encoding' must be str or None"))?;
            is_utf8(&name)
        }
    };
    if is_plain_utf8 {
        return layers::stack(py, raw_type, Some(buffer_type), Some(originals.text_type.bind(py)), None);
    }
    let text_options = PyDict::new(py);
    for (at, name) in [(3, "encoding"), (4, "errors"), (5, "newline")] {
        if let Some(value) = option(at, name)? {
            text_options.set_item(name, value)?;
        }
    }
    let wrapper = py.import("_io")?.getattr("TextIOWrapper")?;
    layers::stack(py, raw_type, Some(buffer_type), Some(&wrapper), Some(&text_options))
}
