//! CPython's interrupt flag: setting it, and running the Python signal handlers that are due where no cell runs.

#![expect(unsafe_code, reason = "the flag is set through CPython's C API")]

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::ffi;
use pyo3::prelude::*;

/// Sets CPython's interrupt flag: the handler of SIGINT runs at the main thread's next check. Any thread, without the
/// GIL, also in a signal handler.
pub(crate) extern "C" fn set_flag() {
    // SAFETY: safe to call in any thread and in signal context, without the GIL.
    unsafe { ffi::PyErr_SetInterruptEx(libc::SIGINT) };
}

/// Runs the Python handlers of signals that have come, where no cell runs. A KeyboardInterrupt is dropped; other errors
/// of a user's handler are printed. Main thread, with the GIL.
pub(crate) fn swallow_signals(py: Python<'_>) {
    while let Err(error) = py.check_signals() {
        if !error.is_instance_of::<PyKeyboardInterrupt>(py) {
            error.print(py);
        }
    }
}
