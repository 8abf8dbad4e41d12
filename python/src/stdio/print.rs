//! `print`: CPython's own, but a call that prints to the session's own stdout writes once.
//!
//! CPython writes each value, each separator and the end by itself. Each write to the session first reads the raw
//! pipes, so that output stays in the program's order. With one write that is done once, and no other thread's text
//! comes between. For anything unusual (another `file`, a replaced `sys.stdout` or `write`, arguments of unexpected
//! types) CPython's own function is called.

#![expect(unsafe_code, reason = "a C function as a Python callable, without pyo3's argument parsing")]

use super::output::writes_to_session;
use super::write::{put_text, write_text};
use crate::plain::line_buffer::LineBuffer;
use crate::runtime::patched_function::Original;
use crate::runtime::session::session;
use crate::runtime::wait::flush_session;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};
use std::cell::Cell;
use worker_protocol::Stream;

static PRINT: Original = Original::new();

thread_local! {
    /// The memory of a line, for the thread's next call.
    static ROOM: Cell<String> = const { Cell::new(String::new()) };
}

/// Replaces the function in `builtins`, unless each write is to be flushed (in the second dialect each is a message).
pub(super) fn hook(py: Python<'_>) -> PyResult<()> {
    if session().flushes_writes() {
        return Ok(());
    }
    let code = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: print };
    // SAFETY: METH_FASTCALL with METH_KEYWORDS is the signature of `print` below.
    unsafe {
        PRINT
            .replace_by(py.import("builtins")?.as_any(), "print", code, ffi::METH_FASTCALL | ffi::METH_KEYWORDS)
            .map(drop)
    }
}

unsafe extern "C" fn print(
    _self: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls its functions with the GIL held, and with `count` values, then one for each of the names;
    // all of them live across the call, and a `Bound` is a pointer to an object.
    let printed = unsafe {
        let py = Python::assume_attached();
        let names = Bound::from_borrowed_ptr_or_opt(py, names).and_then(|names| names.cast_into::<PyTuple>().ok());
        let all = count as usize + names.as_ref().map_or(0, |names| names.len());
        let arguments: &[Bound<'_, PyAny>] =
            if all == 0 { &[] } else { std::slice::from_raw_parts(arguments.cast(), all) };
        let (values, options) = arguments.split_at(count as usize);
        let printed = match Options::of(names.as_ref(), options) {
            Some(options) if writes_to_session(py) => print_line(py, values, &options),
            _ => print_as_cpython(py, values, names.as_ref(), options),
        };
        printed.map_err(|error| error.restore(py))
    };
    // SAFETY: the GIL is held.
    printed.map_or(std::ptr::null_mut(), |()| unsafe { ffi::Py_NewRef(ffi::Py_None()) })
}

/// The keyword arguments.
struct Options<'a> {
    separator: &'a str,
    end: &'a str,
    flush: bool,
}

impl<'a> Options<'a> {
    /// None for an argument that only CPython's own function handles, or that it refuses.
    fn of(names: Option<&Bound<'_, PyTuple>>, values: &'a [Bound<'_, PyAny>]) -> Option<Options<'a>> {
        let mut options = Options { separator: " ", end: "\n", flush: false };
        let Some(names) = names else { return Some(options) };
        for (name, value) in names.iter().zip(values) {
            match name.cast::<PyString>().ok()?.to_str().ok()? {
                "sep" | "end" | "file" if value.is_none() => {}
                "sep" => options.separator = value.cast_exact::<PyString>().ok()?.to_str().ok()?,
                "end" => options.end = value.cast_exact::<PyString>().ok()?.to_str().ok()?,
                "flush" => options.flush = value.cast_exact::<PyBool>().ok()?.is_true(),
                _ => return None,
            }
        }
        Some(options)
    }
}

fn print_as_cpython(
    py: Python<'_>,
    values: &[Bound<'_, PyAny>],
    names: Option<&Bound<'_, PyTuple>>,
    options: &[Bound<'_, PyAny>],
) -> PyResult<()> {
    let named = PyDict::new(py);
    for (name, value) in names.iter().flat_map(|names| names.iter()).zip(options) {
        named.set_item(name, value)?;
    }
    PRINT.call(&PyTuple::new(py, values)?, Some(&named)).map(drop)
}

fn print_line(py: Python<'_>, values: &[Bound<'_, PyAny>], options: &Options<'_>) -> PyResult<()> {
    let mut line = Line { py, buffer: LineBuffer::new(ROOM.try_with(Cell::take).unwrap_or_default()) };
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            line.push(options.separator)?;
        }
        line.push_value(value)?;
    }
    line.push(options.end)?;
    line.write()?;
    // A thread that ends may print after its thread-local storage is destroyed.
    let _ = ROOM.try_with(|room| room.set(line.buffer.into_room()));
    if options.flush { flush_session(py) } else { Ok(()) }
}

/// The texts of one call.
struct Line<'py> {
    py: Python<'py>,
    buffer: LineBuffer,
}

impl Line<'_> {
    fn push_value(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(text) = value.cast_exact::<PyString>() {
            return self.push_string(text);
        }
        let is_plain = value.is_exact_instance_of::<PyInt>()
            || value.is_exact_instance_of::<PyFloat>()
            || value.is_exact_instance_of::<PyBool>()
            || value.is_none();
        if !is_plain {
            // Its `__str__` may print: what comes before it is written first.
            self.write()?;
        }
        match value.str() {
            Ok(text) => self.push_string(&text),
            Err(error) => self.write().and(Err(error)),
        }
    }

    fn push_string(&mut self, string: &Bound<'_, PyString>) -> PyResult<()> {
        match string.to_str() {
            Ok(text) => self.push(text),
            // It has lone surrogates.
            Err(_) => {
                self.write()?;
                write_text(self.py, Stream::Stdout, string).map(drop)
            }
        }
    }

    fn push(&mut self, text: &str) -> PyResult<()> {
        let py = self.py;
        self.buffer.push(text, |text| put_text(py, Stream::Stdout, text))
    }

    /// Writes what is collected.
    fn write(&mut self) -> PyResult<()> {
        let py = self.py;
        self.buffer.write(|text| put_text(py, Stream::Stdout, text))
    }
}
