//! What `patches.py` may call of the session, and the C functions that replace those of `select`.

use crate::runtime::patched_function::Original;
use crate::stdio::read;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

static SELECT: Original = Original::new();
static POLL: Original = Original::new();
/// The functions of `patches.py` that those of the module `select` call.
static PATCHED_SELECT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static PATCHED_POLL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// What `patches.py` may call of the session.
#[pyclass(frozen, module = "_worker")]
pub(super) struct Bridge;

#[pymethods]
impl Bridge {
    /// Whether fd 0 is the session's standard input. False in a forked child.
    fn owns_stdin(&self) -> bool {
        read::owns_stdin()
    }

    /// Replaces `select.select` and `select.poll` by functions that call these.
    fn replace_select(&self, module: &Bound<'_, PyAny>, select: Py<PyAny>, poll: Py<PyAny>) -> PyResult<()> {
        let py = module.py();
        SELECT.replace(module, "select", &wrap_pyfunction!(self::select, py)?)?;
        POLL.replace(module, "poll", &wrap_pyfunction!(self::poll, py)?)?;
        let _ = (PATCHED_SELECT.set(py, select), PATCHED_POLL.set(py, poll));
        Ok(())
    }

    /// The same, but true in a forked child too, whose standard input is at its end.
    fn keeps_stdin(&self) -> bool {
        read::is_sessions()
    }

    /// Reads a password; None at the end of file.
    fn read_hidden(&self, py: Python<'_>, prompt: &str) -> PyResult<Option<String>> {
        read::read_hidden(py, prompt)
    }

    /// Waits until standard input is readable (true), one of `fds` is ready, or the time is over (false). `timeout`:
    /// seconds, None without a limit; `fds`: descriptor and events as for poll(2).
    fn wait_readable(&self, py: Python<'_>, timeout: Option<f64>, fds: Vec<(i32, i16)>) -> PyResult<bool> {
        let mut fds: Vec<_> = fds.into_iter().map(|(fd, events)| libc::pollfd { fd, events, revents: 0 }).collect();
        read::wait_readable(py, timeout, &mut fds)
    }
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn select<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    patched(&SELECT, &PATCHED_SELECT, args, options)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn poll<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    patched(&POLL, &PATCHED_POLL, args, options)
}

fn patched<'py>(
    original: &'static Original,
    patch: &PyOnceLock<Py<PyAny>>,
    args: &Bound<'py, PyTuple>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    match patch.get(args.py()) {
        Some(patch) => patch.bind(args.py()).call(args, options),
        None => original.call(args, options),
    }
}
