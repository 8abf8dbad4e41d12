//! `os.fork` and `os.forkpty`: CPython's own, but without its warning where only the worker's threads run.
//!
//! From 3.12 on CPython warns when a process with more than one thread forks. The worker's own two threads hold no lock
//! across a fork and need nothing in the child, so they do not count; the user's do.

#![expect(unsafe_code, reason = "fork itself, and what CPython wants around it")]

use crate::runtime::patched_function::Original;
use pyo3::exceptions::PyDeprecationWarning;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::ffi::CString;
use std::io;
use worker_core::signals::interrupt;

/// The main thread, the control thread and the output thread.
const OWN_THREADS: usize = 3;

static FORK: Original = Original::new();
static FORKPTY: Original = Original::new();

/// Replaces both functions. Raises if CPython lacks one.
pub(super) fn hook(py: Python<'_>) -> PyResult<()> {
    let posix = py.import("posix")?;
    let os = py.import("os")?;
    os.setattr("fork", FORK.replace(&posix, "fork", &wrap_pyfunction!(fork, py)?)?)?;
    os.setattr("forkpty", FORKPTY.replace(&posix, "forkpty", &wrap_pyfunction!(forkpty, py)?)?)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn fork<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    if !args.is_empty() || options.is_some() {
        // CPython's own function raises the error.
        return FORK.call(args, options);
    }
    // SAFETY: fork is called between CPython's own hooks, with the GIL held.
    let pid = around(args.py(), "fork", || unsafe { libc::fork() })?;
    Ok(pid.into_pyobject(args.py())?.into_any())
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn forkpty<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    if !args.is_empty() || options.is_some() {
        return FORKPTY.call(args, options);
    }
    let py = args.py();
    let mut master = -1;
    let nothing = std::ptr::null_mut();
    // SAFETY: the same; forkpty writes one int, and takes null for what is not wanted.
    let pid = around(py, "forkpty", || unsafe { libc::forkpty(&mut master, nothing, nothing.cast(), nothing.cast()) })?;
    if pid != 0 {
        // As CPython's own: the descriptor is not inherited.
        let _ = py.import("os")?.call_method1("set_inheritable", (master, false));
    }
    Ok((pid, master).into_pyobject(py)?.into_any())
}

/// Calls `fork` as CPython does: after the audit event, between CPython's own hooks, with SIGINT blocked. Gives the
/// pid.
fn around(py: Python<'_>, name: &str, fork: impl FnOnce() -> libc::pid_t) -> PyResult<libc::pid_t> {
    py.import("sys")?.getattr("audit")?.call1((format!("os.{name}"),))?;
    // An interrupt is raised here or after the fork: CPython prints and drops what the hooks around a fork raise.
    py.check_signals()?;
    let blocked = interrupt::is_main_thread().then(interrupt::block_sigint);
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
    drop(blocked);
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

/// The number of threads of this process; 0 where /proc cannot be read.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}
