//! Patched functions: ours in the place of CPython's own, which are CPython's own to whoever looks.
//!
//! Such a function has the module, name, documentation and signature of the one that it replaces. So it shows, is explained
//! and is pickled in the same way, and a process that unpickles it finds its own.

#![expect(unsafe_code, reason = "C functions are made and looked into through CPython's C API")]

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use std::ffi::{CString, c_int};

/// CPython's own function behind a patched one.
pub(crate) struct Original(PyOnceLock<Py<PyAny>>);

impl Original {
    pub(crate) const fn new() -> Original {
        Original(PyOnceLock::new())
    }

    /// Puts `ours` in the place of `module.name`, with its looks. Gives what it put there, for other modules that know it.
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
        // SAFETY: code and flags belong together, and pyo3's functions do not look at what they are bound to.
        unsafe { self.replace_by(module, name, ffi::PyMethodDefPointer { PyCFunction: code }, flags) }
    }

    /// The same for a plain C function.
    ///
    /// # Safety
    /// The code is what the flags say.
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

    /// The function itself.
    pub(crate) fn get<'a, 'py>(&'a self, py: Python<'py>) -> PyResult<&'a Bound<'py, PyAny>> {
        self.0.get(py).map(|original| original.bind(py)).ok_or_else(|| PyRuntimeError::new_err("not prepared"))
    }

    /// Calls it.
    pub(crate) fn call<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.get(args.py())?.call(args, options)
    }
}

/// The text from which CPython reads a function's signature and documentation.
fn doc_of(function: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<CString>> {
    let doc: Option<String> = function.getattr("__doc__")?.extract()?;
    let signature: Option<String> = function.getattr("__text_signature__")?.extract()?;
    let text = match (signature, doc) {
        (Some(signature), doc) => format!("{name}{signature}\n--\n\n{}", doc.unwrap_or_default()),
        (None, Some(doc)) => doc,
        (None, None) => return Ok(None),
    };
    Ok(Some(CString::new(text)?))
}
