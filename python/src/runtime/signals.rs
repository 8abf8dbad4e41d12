//! CPython's own flag of an interrupt: setting it, and emptying it where no cell runs.

#![expect(unsafe_code, reason = "the flag is set through CPython's C API")]

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::ffi;
use pyo3::prelude::*;

/// Sets CPython's own interrupt flag, from any thread.
pub(crate) extern "C" fn set_flag() {
    // SAFETY: safe to call in any thread and in signal context, without the GIL.
    unsafe { ffi::PyErr_SetInterruptEx(libc::SIGINT) };
}

/// Runs Python's signal checks where no cell runs: a KeyboardInterrupt is forgotten, what else a user's handler raises is printed.
pub(crate) fn swallow_signals(py: Python<'_>) {
    while let Err(error) = py.check_signals() {
        if !error.is_instance_of::<PyKeyboardInterrupt>(py) {
            error.print(py);
        }
    }
}
