//! `print`: CPython's own, but what it prints to the session's own stdout goes there as one write.
//!
//! CPython writes each value, each separator and the end by itself, and each write must look at the raw pipes, or the
//! order of the program would be lost. Here a line is looked up, checked and written once, and no other thread's text
//! comes between. Whatever is unusual (another `file`, a replaced `sys.stdout` or `write`, odd arguments) is left to
//! CPython's own function.

#![expect(unsafe_code, reason = "a C function as a Python callable, without pyo3's argument parsing")]

use super::output::writes_to_session;
use super::write::{put_text, write_text};
use crate::runtime::patched_function::Original;
use crate::runtime::session::session;
use crate::runtime::wait::flush_session;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};
use std::cell::Cell;
use worker::protocol::Stream;

/// Longer values are written as they are, not copied.
const LONG: usize = 4 << 10;

static PRINT: Original = Original::new();

thread_local! {
    /// Room for a line, kept from one call to the next.
    static ROOM: Cell<String> = const { Cell::new(String::new()) };
}

/// Replaces the function in `builtins`; not in the second dialect, where each write is a message.
pub(super) fn hook(py: Python<'_>) -> PyResult<()> {
    if session().flushes_writes() {
        return Ok(());
    }
    let code = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: print };
    // SAFETY: the flags say what kind of function it is.
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

/// What was asked for by name.
struct Options<'a> {
    separator: &'a str,
    end: &'a str,
    flush: bool,
}

impl<'a> Options<'a> {
    /// None where something unusual is asked for, or something wrong.
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
    let mut line = Line { py, text: ROOM.try_with(Cell::take).unwrap_or_default() };
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            line.push(options.separator)?;
        }
        line.push_value(value)?;
    }
    line.push(options.end)?;
    line.write()?;
    // A thread that ends may print after its own storage is gone.
    let _ = ROOM.try_with(|room| room.set(line.text));
    if options.flush { flush_session(py) } else { Ok(()) }
}

/// What is to be written together.
struct Line<'py> {
    py: Python<'py>,
    text: String,
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
            // Its `__str__` may print.
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
            // Lone surrogates.
            Err(_) => {
                self.write()?;
                write_text(self.py, Stream::Stdout, string).map(drop)
            }
        }
    }

    fn push(&mut self, text: &str) -> PyResult<()> {
        if self.text.len() + text.len() > LONG {
            self.write()?;
        }
        if text.len() > LONG {
            return put_text(self.py, Stream::Stdout, text);
        }
        self.text.push_str(text);
        Ok(())
    }

    /// Writes what is there.
    fn write(&mut self) -> PyResult<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        let written = put_text(self.py, Stream::Stdout, &self.text);
        self.text.clear();
        written
    }
}
