//! C functions as Python callables, without an argument parser: the methods of the session's streams.

#![expect(unsafe_code, reason = "C functions as Python callables, without pyo3's argument parsing")]

use pyo3::ffi;
use pyo3::prelude::*;

/// The definition of a C function that Python can call.
pub(super) struct Method(ffi::PyMethodDef);

// SAFETY: the definition is constant data: C strings and functions that live as long as the process.
unsafe impl Sync for Method {}

impl Method {
    /// A function of one argument.
    pub(super) const fn one(name: &'static std::ffi::CStr, function: ffi::PyCFunction) -> Method {
        Method::new(name, function, ffi::METH_O)
    }

    /// A function without arguments.
    pub(super) const fn none(name: &'static std::ffi::CStr, function: ffi::PyCFunction) -> Method {
        Method::new(name, function, ffi::METH_NOARGS)
    }

    const fn new(name: &'static std::ffi::CStr, function: ffi::PyCFunction, flags: std::ffi::c_int) -> Method {
        Method(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
            ml_flags: flags,
            ml_doc: std::ptr::null(),
        })
    }

    /// The function's name.
    pub(super) fn name(&self) -> &str {
        // SAFETY: the name was made from a static C string.
        unsafe { std::ffi::CStr::from_ptr(self.0.ml_name) }.to_str().unwrap_or_default()
    }

    /// A new Python object for the function. Needs the GIL.
    pub(super) fn object<'py>(&'static self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the definition lives for ever; C does not write to it.
        unsafe {
            let definition = std::ptr::from_ref(&self.0).cast_mut();
            let object = ffi::PyCFunction_NewEx(definition, std::ptr::null_mut(), std::ptr::null_mut());
            Bound::from_owned_ptr_or_err(py, object)
        }
    }
}
