//! From source to code objects, and running them: with CPython's own `compile`, whatever the user has made of the name.

#![expect(unsafe_code, reason = "evaluating a code object has no safe wrapper")]

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// The flag of `compile` that asks for the tree alone.
pub(crate) const ONLY_AST: i32 = 0x400;

/// Kept from the start: user code may delete or replace the name.
static COMPILE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Takes hold of what is needed before user code can touch it.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    let _ = COMPILE.set(py, py.import("builtins")?.getattr("compile")?.unbind());
    Ok(())
}

/// Compiles source or a tree.
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

/// Compiles one of the engine's own parts.
pub(crate) fn plain<'py>(py: Python<'py>, source: &str, file: &str) -> PyResult<Bound<'py, PyAny>> {
    compile(&source.into_pyobject(py)?.into_any(), file, "exec", 0)
}

/// Runs a code object in a namespace.
pub(crate) fn evaluate<'py>(
    py: Python<'py>,
    code: &Bound<'py, PyAny>,
    namespace: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    evaluate_in(py, code, namespace, namespace)
}

/// The same with local names of its own.
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
