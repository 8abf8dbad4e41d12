//! The cell loop: waits for the session's next cell or request, runs a cell in `__main__`, and reports how it ended.
//!
//! All of it runs on the main thread. SIGINT is blocked between cells and unblocked while a cell's code runs.

use super::compile::{self, Compiled};
use super::{errors, sources};
use crate::figures::backend;
use crate::plain::frames::cell_file;
use crate::plain::source::with_unix_line_ends;
use crate::requests::answer::answer;
use crate::runtime::code;
use crate::runtime::embedded::Part;
use crate::runtime::globals::{main_namespace, set_running, sys};
use crate::runtime::session::{config, session};
use crate::runtime::signals::{set_flag, swallow_signals};
use crate::runtime::wait::Interpreter;
use crate::stdio::write::{InRole, flush_replaced};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::OnceLock;
use worker_core::engine::{Cell, Turn};
use worker_core::process::fork;
use worker_core::signals::interrupt;
use worker_protocol::{ErrorInfo, Outcome, Role, RuntimeInfo, SessionEnd};

/// What the first `ready` reports of the interpreter.
static RUNTIME: OnceLock<RuntimeInfo> = OnceLock::new();
/// Top-level `await`.
static AIO: Part = Part::new("<worker aio>", include_str!("aio.py"), &[]);

/// How the code of a cell ended.
enum Ended {
    Ok,
    /// It raised, or was interrupted.
    Failed(Outcome, ErrorInfo),
    /// It raised `SystemExit`.
    Exit(SessionEnd),
}

/// Stores what the loop needs. Call it once, with the GIL, before user code runs.
pub(crate) fn prepare(py: Python<'_>, runtime: RuntimeInfo) -> PyResult<()> {
    errors::prepare(py)?;
    let _ = RUNTIME.set(runtime);
    Ok(())
}

/// Runs the session's cells to the last one. Gives how the user's code ended the session; none if the supervisor did.
/// In a forked child of the user's it returns too, at the end of the cell. Main thread, with the GIL; it detaches while
/// it waits.
pub(crate) fn run(py: Python<'_>) -> Option<SessionEnd> {
    let engine = session();
    if let Some(end) = run_startup_file(py) {
        return Some(end);
    }
    if let Some(runtime) = RUNTIME.get() {
        engine.started(runtime);
    }
    loop {
        interrupt::block_signals();
        swallow_signals(py);
        match py.detach(|| engine.next(&mut [], None)) {
            Turn::Cell(cell) => {
                let ended = run_cell(py, &cell);
                if fork::in_child() {
                    return finish_child(ended);
                }
                match ended {
                    Ended::Ok => engine.finish_cell(&Interpreter(py), Outcome::Ok, None),
                    Ended::Failed(outcome, error) => {
                        let error = (outcome == Outcome::Error).then_some(&error);
                        engine.finish_cell(&Interpreter(py), outcome, error);
                    }
                    Ended::Exit(end) => {
                        engine.begin_exit(&end);
                        close_loop(py);
                        return Some(end);
                    }
                }
            }
            Turn::Request(request) => answer(py, engine, &request),
            Turn::Signal | Turn::Poll => {}
            Turn::End => {
                close_loop(py);
                return None;
            }
        }
    }
}

/// The end of a forked child that has come to the end of its cell: status 0, or 1 after an error.
fn finish_child(ended: Ended) -> Option<SessionEnd> {
    fork::flush_print();
    let status = match ended {
        Ended::Ok => 0,
        Ended::Failed(..) => 1,
        Ended::Exit(end) => return Some(end),
    };
    Some(errors::exit_end(status, None))
}

/// Cancels the tasks of top-level `await` that are left and closes the loop, before CPython finalises.
fn close_loop(py: Python<'_>) {
    let is_used =
        sys(py).and_then(|sys| sys.getattr("modules")).and_then(|modules| modules.contains("asyncio")).unwrap_or(false);
    if is_used {
        interrupt::unblock_signals();
        // There is no cell any more to which an error of a cancelled task could be reported.
        let _ = AIO.get(py, "close").and_then(|close| close.call0());
        interrupt::block_signals();
    }
}

/// Runs the file that `PYTHONSTARTUP` names, if `--startup` was given. Gives the end if it raised `SystemExit`.
fn run_startup_file(py: Python<'_>) -> Option<SessionEnd> {
    if !config().and_then(|config| config.python.as_ref()).is_some_and(|python| python.startup) {
        return None;
    }
    let path = std::env::var_os("PYTHONSTARTUP").filter(|path| !path.is_empty())?;
    let file = path.to_string_lossy().into_owned();
    interrupt::unblock_signals();
    let result = std::fs::read_to_string(&path).map_err(PyErr::from).and_then(|source| {
        let compiled = code::plain(py, &source, &file)?;
        code::evaluate(py, &compiled, &main_namespace(py)?).map(drop)
    });
    let ended = match result {
        Ok(()) => Ended::Ok,
        Err(error) => failed(py, error),
    };
    interrupt::block_signals();
    match ended {
        Ended::Exit(end) => Some(end),
        _ => None,
    }
}

/// Compiles and runs a cell, shows its value, its error and its figures. SIGINT is blocked before and after.
fn run_cell(py: Python<'_>, cell: &Cell) -> Ended {
    let file = cell_file(cell.cell.number);
    let source = with_unix_line_ends(&cell.code);
    interrupt::install_before_current(set_flag);
    // If the source cannot be stored, tracebacks lack its lines.
    let _ = sources::insert(py, &file, &source);
    let mut defines = false;
    let result = compile::cell(py, &source, &file).and_then(|compiled| {
        let codes = [&compiled.body, &compiled.last];
        defines = codes.into_iter().flatten().any(|code| compile::defines(code).unwrap_or(true));
        let namespace = main_namespace(py)?;
        set_running(true);
        interrupt::unblock_signals();
        let value = evaluate(py, &compiled, &namespace)?;
        if compiled.last.is_some() {
            display(py, &value).map_err(|error| compile::raise_at_last(py, error, &source, &file, &namespace))?;
        }
        // An interrupt that came with the last instruction belongs to this cell.
        py.check_signals()
    });
    let ended = match result {
        Ok(()) => Ended::Ok,
        Err(error) => {
            let _ = errors::add_source_line(py, &error, &file, &source);
            // Printing an error runs user code too, and can be interrupted.
            interrupt::unblock_signals();
            failed(py, error)
        }
    };
    let ended = show_figures(py, cell, ended);
    set_running(false);
    if !fork::in_child() {
        flush_replaced(py);
    }
    interrupt::block_signals();
    if !defines {
        // No object has the cell's code any more, except the traceback of the last error.
        let unused = if matches!(ended, Ended::Failed(..)) { errors::replace_last_failed(file) } else { Some(file) };
        if let Some(file) = unused {
            let _ = sources::remove(py, &file);
        }
    }
    ended
}

/// Shows the cell's figures, also after an error. If a figure cannot be drawn and the cell had no error, that is the
/// cell's error.
fn show_figures(py: Python<'_>, cell: &Cell, ended: Ended) -> Ended {
    let Err(error) = backend::finish_cell(py, cell.cell.number) else { return ended };
    if matches!(ended, Ended::Ok) {
        return failed(py, error);
    }
    if !error.is_instance_of::<PyKeyboardInterrupt>(py) {
        // The cell's own error is reported; this one is printed.
        let _ = errors::print(py, error);
    }
    ended
}

/// Runs a cell's code and gives the value of its last expression. With an `await` at the top level all of it runs in
/// the event loop.
fn evaluate<'py>(
    py: Python<'py>,
    compiled: &Compiled<'py>,
    namespace: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let codes: Vec<_> = [&compiled.body, &compiled.last].into_iter().flatten().collect();
    for code in &codes {
        if compile::is_coroutine(code)? {
            let blocked = interrupt::block_sigint();
            py.check_signals()?;
            let task = AIO.get(py, "begin")?.call1((codes, namespace))?;
            drop(blocked);
            let redeliver = wrap_pyfunction!(redeliver, py)?;
            let result = AIO.get(py, "run")?.call1((&task, redeliver));
            if result.is_err() {
                // An interrupt before `run` is in its loop would leave the task to run in a later cell.
                task.call_method0("cancel")?;
            }
            return result;
        }
    }
    let mut value = py.None().into_bound(py);
    for part in codes {
        value = code::evaluate(py, part, namespace)?;
    }
    Ok(value)
}

/// Has the session send the cell's SIGINT again, shortly after.
#[pyfunction]
fn redeliver() {
    interrupt::redeliver();
}

/// Shows a value by `sys.displayhook`. Raises what that raises.
fn display(py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let hook =
        sys(py)?.getattr(intern!(py, "displayhook")).map_err(|_| PyRuntimeError::new_err("lost sys.displayhook"))?;
    let _role = InRole::enter(Role::Result);
    let shown = hook.call1((value,)).map(drop);
    if !fork::in_child() {
        // What a stream of the user's has in its buffer belongs to the result.
        flush_replaced(py);
    }
    shown
}

/// Prints a cell's error, unless it is a `SystemExit`.
fn failed(py: Python<'_>, error: PyErr) -> Ended {
    if let Some(end) = errors::exit_of(py, &error) {
        return Ended::Exit(end);
    }
    let outcome = if error.is_instance_of::<PyKeyboardInterrupt>(py) { Outcome::Interrupted } else { Outcome::Error };
    match errors::print(py, error) {
        Ok(info) => Ended::Failed(outcome, info),
        Err(end) => Ended::Exit(end),
    }
}
