//! The cell loop: takes a turn from the session, runs it in `__main__`, and says how it ended.

use super::compile::{self, Compiled};
use super::{errors, sources};
use crate::figures::backend;
use crate::requests::answer::answer;
use crate::runtime::code;
use crate::runtime::embedded::Part;
use crate::runtime::globals::{main_namespace, set_running, sys};
use crate::runtime::session::{config, session};
use crate::runtime::signals::{set_flag, swallow_signals};
use crate::stdio::write::{InRole, flush_replaced};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::OnceLock;
use worker::engine::{Cell, Turn};
use worker::protocol::{ErrorInfo, Outcome, Role, RuntimeInfo, SessionEnd};
use worker::{child, interrupt};

static RUNTIME: OnceLock<RuntimeInfo> = OnceLock::new();
/// Top-level `await`.
static AIO: Part = Part::new("<worker aio>", include_str!("aio.py"), &[]);

/// How the code of a cell ended.
enum Ended {
    Ok,
    Failed(Outcome, ErrorInfo),
    /// The user's code ended the runtime.
    Exit(SessionEnd),
}

/// Takes hold of what the loop needs before user code can touch it.
pub(crate) fn prepare(py: Python<'_>, runtime: RuntimeInfo) -> PyResult<()> {
    errors::prepare(py)?;
    let _ = RUNTIME.set(runtime);
    Ok(())
}

/// Runs the session to its end: the reason if the user's code gave one.
pub(crate) fn run(py: Python<'_>) -> Option<SessionEnd> {
    let engine = session();
    if let Some(end) = run_startup_file(py) {
        return Some(end);
    }
    if let Some(runtime) = RUNTIME.get() {
        engine.started(runtime);
    }
    loop {
        interrupt::forbid();
        swallow_signals(py);
        match py.detach(|| engine.next(&mut [], None)) {
            Turn::Cell(cell) => {
                let ended = run_cell(py, &cell);
                if child::in_child() {
                    return finish_child(ended);
                }
                match ended {
                    Ended::Ok => engine.finish_cell(Outcome::Ok, None),
                    Ended::Failed(outcome, error) => {
                        engine.finish_cell(outcome, (outcome == Outcome::Error).then_some(&error));
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

/// A forked child that comes to the end of its cell ends: with 0, or with 1 after an error.
fn finish_child(ended: Ended) -> Option<SessionEnd> {
    child::flush_print();
    let status = match ended {
        Ended::Ok => 0,
        Ended::Failed(..) => 1,
        Ended::Exit(end) => return Some(end),
    };
    Some(errors::exit_end(status, None))
}

/// Tasks of top-level `await` that are left are cancelled before the runtime finalises.
fn close_loop(py: Python<'_>) {
    let is_used =
        sys(py).and_then(|sys| sys.getattr("modules")).and_then(|modules| modules.contains("asyncio")).unwrap_or(false);
    if is_used {
        interrupt::allow();
        // What tasks do when they are cancelled is their own affair.
        let _ = AIO.get(py, "close").and_then(|close| close.call0());
        interrupt::forbid();
    }
}

/// `PYTHONSTARTUP`, when `--startup` asks for it.
fn run_startup_file(py: Python<'_>) -> Option<SessionEnd> {
    if !config().and_then(|config| config.python.as_ref()).is_some_and(|python| python.startup) {
        return None;
    }
    let path = std::env::var_os("PYTHONSTARTUP").filter(|path| !path.is_empty())?;
    let file = path.to_string_lossy().into_owned();
    interrupt::allow();
    let result = std::fs::read_to_string(&path).map_err(PyErr::from).and_then(|source| {
        let compiled = code::plain(py, &source, &file)?;
        code::evaluate(py, &compiled, &main_namespace(py)?).map(drop)
    });
    let ended = match result {
        Ok(()) => Ended::Ok,
        Err(error) => failed(py, error),
    };
    interrupt::forbid();
    match ended {
        Ended::Exit(end) => Some(end),
        _ => None,
    }
}

fn run_cell(py: Python<'_>, cell: &Cell) -> Ended {
    let file = format!("<cell {}>", cell.cell.number);
    let source = if cell.code.contains('\r') { cell.code.replace("\r\n", "\n") } else { cell.code.clone() };
    interrupt::install_before_current(set_flag);
    // Nothing that can fail here is worth more than a traceback without source lines.
    let _ = sources::remember(py, &file, &source);
    let mut defines = false;
    let result = compile::cell(py, &source, &file).and_then(|compiled| {
        let codes = [&compiled.body, &compiled.last];
        defines = codes.into_iter().flatten().any(|code| compile::defines(code).unwrap_or(true));
        let namespace = main_namespace(py)?;
        set_running(true);
        interrupt::allow();
        let value = evaluate(py, &compiled, &namespace)?;
        if compiled.last.is_some() {
            display(py, &value).map_err(|error| compile::raise_at_last(py, error, &source, &file, &namespace))?;
        }
        // An interrupt that came with the last instruction is this cell's.
        py.check_signals()
    });
    let ended = match result {
        Ok(()) => Ended::Ok,
        Err(error) => {
            let _ = errors::add_source_line(py, &error, &file, &source);
            // Printing an error runs user code too, and can be interrupted.
            interrupt::allow();
            failed(py, error)
        }
    };
    let ended = show_figures(py, cell, ended);
    set_running(false);
    if !child::in_child() {
        flush_replaced(py);
    }
    interrupt::forbid();
    if !defines {
        // Nothing refers to the source any more, but for the traceback of the last error.
        let unused = if matches!(ended, Ended::Failed(..)) { errors::keep_until_next(file) } else { Some(file) };
        if let Some(file) = unused {
            let _ = sources::forget(py, &file);
        }
    }
    ended
}

/// Shows what the cell has drawn, also when it failed. A figure that cannot be drawn is an error of a cell that had
/// none.
fn show_figures(py: Python<'_>, cell: &Cell, ended: Ended) -> Ended {
    let Err(error) = backend::finish_cell(py, cell.cell.number) else { return ended };
    if matches!(ended, Ended::Ok) {
        return failed(py, error);
    }
    if !error.is_instance_of::<PyKeyboardInterrupt>(py) {
        // The cell's own error is the one that is told; this one is printed too.
        let _ = errors::print(py, error);
    }
    ended
}

/// Runs a cell's code and gives the value of its last expression. With an `await` anywhere all of it runs on the loop.
fn evaluate<'py>(
    py: Python<'py>,
    compiled: &Compiled<'py>,
    namespace: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let codes: Vec<_> = [&compiled.body, &compiled.last].into_iter().flatten().collect();
    for code in &codes {
        if compile::is_coroutine(code)? {
            let held = interrupt::hold();
            py.check_signals()?;
            let task = AIO.get(py, "begin")?.call1((codes, namespace))?;
            drop(held);
            let renew = wrap_pyfunction!(renew, py)?;
            let result = AIO.get(py, "run")?.call1((&task, renew));
            if result.is_err() {
                // An interrupt at the very beginning leaves it to be run by a later cell.
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

/// Has the cell's interrupt come again.
#[pyfunction]
fn renew() {
    interrupt::renew();
}

/// Shows a value as the prompt does.
fn display(py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let hook =
        sys(py)?.getattr(intern!(py, "displayhook")).map_err(|_| PyRuntimeError::new_err("lost sys.displayhook"))?;
    let _role = InRole::enter(Role::Result);
    let shown = hook.call1((value,)).map(drop);
    if !child::in_child() {
        // What a stream of the user's own holds back is the result too.
        flush_replaced(py);
    }
    shown
}

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
