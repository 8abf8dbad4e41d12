//! Patched functions: functions of the engine in the place of CPython's own.
//!
//! A patched function has the type, module, name, documentation and signature of the one that it replaces. So `repr`
//! and `help` show the same, and pickle stores it by its name: a process that unpickles it gets its own function of
//! that name.

#![expect(unsafe_code, reason = "C functions are made and looked into through CPython's C API")]

use crate::plain::messages::function_doc;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use std::ffi::{CString, c_int};

/// CPython's own function that a patched one has replaced. Its methods need the GIL.
pub(crate) struct Original(PyOnceLock<Py<PyAny>>);

impl Original {
    /// None is replaced yet.
    pub(crate) const fn new() -> Original {
        Original(PyOnceLock::new())
    }

    /// Replaces `module.name` by the code of `ours`. Gives the new function, for other modules that have the original
    /// under a name of their own. Raises if the module has no function of that name. Call it once for each `Original`.
    pub(crate) fn replace<'py>(
        &'static self,
        module: &Bound<'py, PyAny>,
        name: &str,
        ours: &Bound<'py, PyCFunction>,
    ) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: it is a C function, made by pyo3, whose code lives as long as the process and fits its flags.
        let (code, flags) = unsafe {
            let ours = ours.as_ptr();
            (ffi::PyCFunction_GetFunction(ours), ffi::PyCFunction_GetFlags(ours))
        };
        let code = code.ok_or_else(|| PyRuntimeError::new_err("a function without code"))?;
        // SAFETY: code and flags belong together, and pyo3's functions do not use their `self`.
        unsafe { self.replace_by(module, name, ffi::PyMethodDefPointer { PyCFunction: code }, flags) }
    }

    /// Replaces `module.name` by a C function, as [`Original::replace`] does.
    ///
    /// # Safety
    /// The signature of `code` is the one that `flags` (`METH_…`) state, and the code lives as long as the process.
    pub(crate) unsafe fn replace_by<'py>(
        &'static self,
        module: &Bound<'py, PyAny>,
        name: &str,
        code: ffi::PyMethodDefPointer,
        flags: c_int,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = module.py();
        let original = module.getattr(name)?;
        let own_name = original.getattr("__name__")?.extract::<String>()?;
        let definition = Box::new(ffi::PyMethodDef {
            ml_name: CString::new(own_name.as_str())?.into_raw(),
            ml_meth: code,
            ml_flags: flags,
            ml_doc: doc_of(&original, &own_name)?.map_or(std::ptr::null(), |doc| doc.into_raw()),
        });
        let (home, module_name) = (original.getattr("__self__")?, original.getattr("__module__")?);
        // SAFETY: the definition and its texts live for ever; the objects are live.
        let function = unsafe {
            let function = ffi::PyCFunction_NewEx(Box::leak(definition), home.as_ptr(), module_name.as_ptr());
            Bound::from_owned_ptr_or_err(py, function)?
        };
        let _ = self.0.set(py, original.unbind());
        module.setattr(name, &function)?;
        Ok(function)
    }

    /// CPython's own function. Raises `RuntimeError` if none was replaced yet.
    pub(crate) fn get<'a, 'py>(&'a self, py: Python<'py>) -> PyResult<&'a Bound<'py, PyAny>> {
        self.0.get(py).map(|original| original.bind(py)).ok_or_else(|| PyRuntimeError::new_err("not prepared"))
    }

    /// Calls CPython's own function. Raises what it raises.
    pub(crate) fn call<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.get(args.py())?.call(args, options)
    }
}

/// The `ml_doc` of a function: the text from which CPython takes its signature and documentation. None without either.
fn doc_of(function: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<CString>> {
    let doc: Option<String> = function.getattr("__doc__")?.extract()?;
    let signature: Option<String> = function.getattr("__text_signature__")?.extract()?;
    Ok(function_doc(name, signature.as_deref(), doc.as_deref()).map(CString::new).transpose()?)
}
