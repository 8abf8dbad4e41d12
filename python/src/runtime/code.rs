//! Compiling source to code objects and evaluating them, by CPython's own `compile` also where user code has replaced
//! the name.
//!
//! All functions need the GIL. What they raise is what CPython raises.

#![expect(unsafe_code, reason = "evaluating a code object has no safe wrapper")]

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// `PyCF_ONLY_AST`: `compile` gives the syntax tree and no code object.
pub(crate) const ONLY_AST: i32 = 0x400;

/// `builtins.compile`, from the start of the session.
static COMPILE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Stores `builtins.compile`. Call it once, before user code runs.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    let _ = COMPILE.set(py, py.import("builtins")?.getattr("compile")?.unbind());
    Ok(())
}

/// Compiles `source`, a `str` or a syntax tree: what `compile(source, file, mode, flags, dont_inherit=True)` gives.
/// Raises `SyntaxError` and whatever else `compile` raises.
pub(crate) fn compile<'py>(
    source: &Bound<'py, PyAny>,
    file: &str,
    mode: &str,
    flags: i32,
) -> PyResult<Bound<'py, PyAny>> {
    let py = source.py();
    let Some(compile) = COMPILE.get(py) else { return Err(pyo3::exceptions::PyRuntimeError::new_err("not prepared")) };
    compile.bind(py).call1((source, file, mode, flags, true))
}

/// Compiles a module's source without flags, to a code object.
pub(crate) fn plain<'py>(py: Python<'py>, source: &str, file: &str) -> PyResult<Bound<'py, PyAny>> {
    compile(&source.into_pyobject(py)?.into_any(), file, "exec", 0)
}

/// Evaluates a code object with one dictionary as its globals and locals; gives the value of an expression, else None.
pub(crate) fn evaluate<'py>(
    py: Python<'py>,
    code: &Bound<'py, PyAny>,
    namespace: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    evaluate_in(py, code, namespace, namespace)
}

/// Evaluates a code object with a dictionary of its own for local names.
pub(crate) fn evaluate_in<'py>(
    py: Python<'py>,
    code: &Bound<'py, PyAny>,
    globals: &Bound<'py, PyDict>,
    locals: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the code is one that [`compile`] gave; the call returns a new reference or sets an error.
    unsafe {
        let result = ffi::PyEval_EvalCode(code.as_ptr(), globals.as_ptr(), locals.as_ptr());
        Bound::from_owned_ptr_or_err(py, result)
    }
}
