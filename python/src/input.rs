//! Standard input as Python reads it: `input`, `sys.stdin` and its layers, `open(0)` and `os.read(0, …)`.
//!
//! All of them read from the session's queue as long as raw fd 0 is the empty pipe that the session put there. Nothing is
//! kept in buffers of Python's own, so what one reader leaves the next one finds, and what a cell leaves is dropped whole.
//! Each read waits by itself, without Python's stream locks, so that two threads have a wait each.

use crate::output::{self, closefd_false, subtype};
use crate::{requests, session};
use pyo3::exceptions::{PyEOFError, PyStopIteration, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyInt, PyString, PyTuple};
use std::time::{Duration, Instant};
use worker::engine::Engine;
use worker::protocol::Stream;
use worker::reader::{Ask, Got, Reader};
use worker::{Want, child, interrupt};

/// Python's own functions and types behind the ones that replace them.
struct Originals {
    input: Py<PyAny>,
    open: Py<PyAny>,
    os_read: Py<PyAny>,
    text_type: Py<PyAny>,
    buffer_type: Py<PyAny>,
    raw_type: Py<PyAny>,
    stdin: Py<PyAny>,
}

static ORIGINALS: PyOnceLock<Originals> = PyOnceLock::new();
/// Reads fd 0 as Python does by itself, once user code has put something else there.
static PLAIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

fn originals(py: Python<'_>) -> PyResult<&Originals> {
    ORIGINALS.get(py).ok_or_else(|| PyValueError::new_err("standard input is not set up"))
}

/// Replaces `sys.stdin` and the functions that read fd 0.
pub(crate) fn install(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    let io = py.import("_io")?;
    let posix = py.import("posix")?;
    let builtins = py.import("builtins")?;
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
    let stdin = layers(py, &raw_type, Some(&buffer_type), Some(&text_type), None)?;
    sys.setattr("stdin", &stdin)?;
    sys.setattr("__stdin__", &stdin)?;
    let originals = Originals {
        input: builtins.getattr("input")?.unbind(),
        open: io.getattr("open")?.unbind(),
        os_read: posix.getattr("read")?.unbind(),
        text_type: text_type.unbind(),
        buffer_type: buffer_type.unbind(),
        raw_type: raw_type.unbind(),
        stdin: stdin.unbind(),
    };
    let _ = ORIGINALS.set(py, originals);
    let open = wrap_pyfunction!(open, py)?;
    builtins.setattr("input", wrap_pyfunction!(input, py)?)?;
    builtins.setattr("open", &open)?;
    io.setattr("open", &open)?;
    py.import("io")?.setattr("open", &open)?;
    let read = wrap_pyfunction!(os_read, py)?;
    posix.setattr("read", &read)?;
    py.import("os")?.setattr("read", &read)
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
fn layers<'py>(
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

/// Reads from the session; empty at the end of file. On the main thread requests are answered while it waits.
fn read(py: Python<'_>, prompt: &str, hidden: bool, want: Want) -> PyResult<Vec<u8>> {
    if child::in_child() {
        return Ok(Vec::new());
    }
    let mut reader = session().reader(Ask { prompt, hidden, want });
    if let Some(data) = reader.try_take() {
        return Ok(data);
    }
    loop {
        match wait(py, &mut reader, &mut [], None)? {
            Got::Data(data) => return Ok(data),
            Got::Signal | Got::Poll => {}
            Got::Request(request) => requests::answer(py, session(), &request),
        }
    }
}

/// One wait, detached from the GIL. On the main thread signals are held between Python's check and the wait; handlers of the
/// user's run with signals open, as they would anywhere else.
fn wait(py: Python<'_>, reader: &mut Reader, also: &mut [libc::pollfd], timeout: Option<Duration>) -> PyResult<Got> {
    if !interrupt::is_main_thread() {
        return Ok(py.detach(|| reader.wait(also, timeout)));
    }
    py.check_signals()?;
    let held = interrupt::hold();
    py.check_signals()?;
    let got = py.detach(|| reader.wait(also, timeout));
    drop(held);
    Ok(got)
}

/// Whether reads of fd 0 are the session's; a forked child's find the end of file.
fn is_sessions() -> bool {
    child::in_child() || session().owns_stdin()
}

/// The same for hooks: whether `select` on fd 0 asks the session.
pub(crate) fn owns_stdin(engine: &Engine) -> bool {
    engine.owns_stdin()
}

fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
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
        let made = originals(py)?.open.bind(py).call((0,), Some(&closefd_false(py)?))?;
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

/// Read a string from standard input. The trailing newline is stripped.
///
/// The prompt string, if given, is printed without a trailing newline before reading input. At the end of file raises EOFError.
#[pyfunction]
#[pyo3(signature = (prompt=None, /), text_signature = "(prompt='', /)")]
fn input<'py>(py: Python<'py>, prompt: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let sys = py.import("sys")?;
    let originals = originals(py)?;
    let stdin = sys.getattr("stdin")?;
    if !stdin.is(&originals.stdin) || !is_sessions() {
        let input = originals.input.bind(py);
        return match prompt {
            Some(prompt) => input.call1((prompt,)),
            None => input.call0(),
        };
    }
    let asked = prompt.map(|prompt| prompt.str()).transpose()?;
    let empty = PyString::new(py, "");
    sys.getattr("audit")?.call1(("builtins.input", asked.as_ref().unwrap_or(&empty)))?;
    output::flush_replaced(py);
    let asked_text = asked.as_ref().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    let stdout = sys.getattr("stdout")?;
    if !asked_text.is_empty() && !stdout.is_none() && !output::is_ours(py, Stream::Stdout, &stdout) {
        // Redirected output gets the prompt as it would at the prompt; the wait says it all the same.
        stdout.call_method1("write", (&asked,))?;
        stdout.call_method0("flush")?;
    }
    let line = read(py, &asked_text, false, Want::Line)?;
    sys.getattr("audit")?.call1(("builtins.input/result", text(py, line.strip_suffix(b"\n").unwrap_or(&line))?))?;
    if line.is_empty() {
        return Err(PyEOFError::new_err("EOF when reading a line"));
    }
    text(py, line.strip_suffix(b"\n").unwrap_or(&line))
}

/// Reads a password for `getpass`: hidden, and never echoed.
pub(crate) fn read_hidden(py: Python<'_>, prompt: &str) -> PyResult<Option<String>> {
    let line = read(py, prompt, true, Want::Line)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned()))
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

fn upto(size: usize) -> Want {
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

/// Read from a file descriptor. Returns a bytes object.
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
        return Ok(PyBytes::new(py, &read(py, "", false, upto(size))?).into_any());
    }
    originals(py)?.os_read.bind(py).call(args, options)
}

/// Open file and return a stream. Raise OSError upon failure.
#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn open<'py>(
    py: Python<'py>,
    args: &Bound<'py, PyTuple>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let originals = originals(py)?;
    let plain = originals.open.bind(py);
    let is_zero = match args.get_item(0) {
        Ok(file) => file.is_exact_instance_of::<PyInt>() && file.extract::<i64>().is_ok_and(|fd| fd == 0),
        Err(_) => false,
    };
    if !is_zero || !is_sessions() {
        return plain.call(args, options);
    }
    let option = |at: usize, name: &str| -> PyResult<Option<Bound<'py, PyAny>>> {
        match args.get_item(at) {
            Ok(value) => Ok(Some(value)),
            Err(_) => options.map_or(Ok(None), |options| options.get_item(name)),
        }
    };
    let mode: String = option(1, "mode")?.map_or(Ok("r".into()), |mode| mode.extract())?;
    if mode.contains(['w', 'a', 'x', '+']) {
        return plain.call(args, options);
    }
    let buffering: i64 = option(2, "buffering")?.map_or(Ok(-1), |buffering| buffering.extract())?;
    let raw_type = originals.raw_type.bind(py);
    let buffer_type = originals.buffer_type.bind(py);
    if mode.contains('b') {
        return layers(py, raw_type, (buffering != 0).then_some(buffer_type), None, None);
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
            matches!(name.to_ascii_lowercase().replace('_', "-").as_str(), "utf-8" | "utf8")
        }
    };
    if is_plain_utf8 {
        return layers(py, raw_type, Some(buffer_type), Some(originals.text_type.bind(py)), None);
    }
    let text_options = PyDict::new(py);
    for (at, name) in [(3, "encoding"), (4, "errors"), (5, "newline")] {
        if let Some(value) = option(at, name)? {
            text_options.set_item(name, value)?;
        }
    }
    let wrapper = py.import("_io")?.getattr("TextIOWrapper")?;
    layers(py, raw_type, Some(buffer_type), Some(&wrapper), Some(&text_options))
}

/// Waits until there is input, or the end of file, for `select`; true when there is. `timeout`: seconds, none for ever.
pub(crate) fn wait_readable(py: Python<'_>, timeout: Option<f64>, also: &mut [libc::pollfd]) -> PyResult<bool> {
    let mut reader = session().reader(Ask { prompt: "", hidden: false, want: Want::Any });
    if reader.try_take().is_some() {
        return Ok(true);
    }
    if timeout.is_some_and(|timeout| timeout <= 0.0) {
        return Ok(false);
    }
    let end = timeout.and_then(|timeout| Duration::try_from_secs_f64(timeout).ok().map(|limit| Instant::now() + limit));
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        match wait(py, &mut reader, also, left)? {
            Got::Data(_) => return Ok(true),
            Got::Poll => return Ok(false),
            Got::Signal => {}
            Got::Request(request) => requests::answer(py, session(), &request),
        }
    }
}
