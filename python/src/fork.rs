//! `os.fork` and `os.forkpty`: as CPython's own, but without its warning for threads that are the worker's.
//!
//! From 3.12 on CPython warns when a process with more than one thread forks. The worker's own two threads hold no lock
//! across a fork and need nothing in the child, so they do not count; the user's do.

#![expect(unsafe_code, reason = "fork itself, and what CPython wants around it")]

use pyo3::exceptions::PyDeprecationWarning;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::CString;
use std::io;
use worker::interrupt;

/// The main thread, the control thread and the output thread.
const OWN_THREADS: usize = 3;

/// Replaces both functions.
pub(crate) fn hook(py: Python<'_>) -> PyResult<()> {
    let posix = py.import("posix")?;
    let os = py.import("os")?;
    for function in [wrap_pyfunction!(fork, py)?, wrap_pyfunction!(forkpty, py)?] {
        let name = function.getattr("__name__")?.extract::<String>()?;
        posix.setattr(name.as_str(), &function)?;
        os.setattr(name.as_str(), &function)?;
    }
    Ok(())
}

/// Fork a child process.
///
/// Return 0 to child process and PID of child to parent process.
#[pyfunction]
fn fork(py: Python<'_>) -> PyResult<libc::pid_t> {
    // SAFETY: fork is called between CPython's own hooks, with the GIL held.
    around(py, "fork", || unsafe { libc::fork() })
}

/// Fork a new process with a new pseudo-terminal as controlling tty.
///
/// Returns a tuple of (pid, master_fd). Like fork(), return pid of 0 to the child process, and pid of child to the parent process.
#[pyfunction]
fn forkpty(py: Python<'_>) -> PyResult<(libc::pid_t, libc::c_int)> {
    let mut master = -1;
    let nothing = std::ptr::null_mut();
    // SAFETY: the same; forkpty writes one int, and takes null for what is not wanted.
    let pid = around(py, "forkpty", || unsafe { libc::forkpty(&mut master, nothing, nothing.cast(), nothing.cast()) })?;
    if pid != 0 {
        // As CPython's own: the descriptor is not inherited.
        let _ = py.import("os")?.call_method1("set_inheritable", (master, false));
    }
    Ok((pid, master))
}

fn around(py: Python<'_>, name: &str, fork: impl FnOnce() -> libc::pid_t) -> PyResult<libc::pid_t> {
    py.import("sys")?.getattr("audit")?.call1((format!("os.{name}"),))?;
    // An interrupt comes before this or after it: what the hooks around a fork raise is printed and lost.
    py.check_signals()?;
    let held = interrupt::is_main_thread().then(interrupt::hold);
    py.check_signals()?;
    // SAFETY: these three are to be called around a fork, with the GIL held.
    let (pid, error) = unsafe {
        ffi::PyOS_BeforeFork();
        let pid = fork();
        let error = io::Error::last_os_error();
        if pid == 0 {
            ffi::PyOS_AfterFork_Child()
        } else {
            ffi::PyOS_AfterFork_Parent()
        }
        (pid, error)
    };
    drop(held);
    if pid < 0 {
        return Err(error.into());
    }
    if pid > 0 && py.version_info() >= (3, 12) && threads() > OWN_THREADS {
        let me = std::process::id();
        let text =
            format!("This process (pid={me}) is multi-threaded, use of {name}() may lead to deadlocks in the child.");
        let text = CString::new(text).unwrap_or_default();
        PyErr::warn(py, &py.get_type::<PyDeprecationWarning>(), &text, 1)?;
    }
    Ok(pid)
}

/// The number of threads of this process; 0 where it cannot be told.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}
