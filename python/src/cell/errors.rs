//! Errors: printing them as the interactive prompt does, with the user's frames alone. All functions need the GIL.

use crate::plain::{frames, source};
use crate::runtime::globals::sys;
use crate::stdio::streams::is_ours;
use crate::stdio::write::{InRole, put_text};
use pyo3::exceptions::{PyBaseException, PySyntaxError, PySystemExit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTraceback, PyTuple};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use worker_protocol::{EndReason, ErrorInfo, Role, SessionEnd, Stream};

/// No more causes, contexts and members of groups than this have the engine's frames removed.
const MOST_RELATED: usize = 1000;
/// A traceback is read up to this number of frames.
const MOST_FRAMES: usize = 100_000;

/// `sys.__excepthook__`, from the start of the session.
static EXCEPTHOOK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The file name of the last cell that raised, whose source `pdb.pm()` shows.
static LAST_FAILED: Mutex<Option<String>> = Mutex::new(None);

/// Records the file name of a cell that raised; gives the one before, whose source is not needed any more.
pub(super) fn replace_last_failed(file: String) -> Option<String> {
    LAST_FAILED.lock().unwrap_or_else(PoisonError::into_inner).replace(file)
}

/// Stores CPython's own hook. Call it once, before user code runs.
pub(super) fn prepare(py: Python<'_>) -> PyResult<()> {
    let _ = EXCEPTHOOK.set(py, py.import("sys")?.getattr("__excepthook__")?.unbind());
    Ok(())
}

/// The end of the session that a `SystemExit` asks for; none for other exceptions. Prints the text of
/// `SystemExit('text')` to stderr.
pub(super) fn exit_of(py: Python<'_>, error: &PyErr) -> Option<SessionEnd> {
    if !error.is_instance_of::<PySystemExit>(py) {
        return None;
    }
    let code = error.value(py).getattr("code").ok()?;
    if code.is_none() {
        return Some(exit_end(0, None));
    }
    if let Ok(code) = code.extract::<i64>() {
        return Some(exit_end(code, None));
    }
    let text = code.str().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    print_text(py, &format!("{text}\n"));
    Some(exit_end(1, Some(text)))
}

/// The end of a session whose runtime exits with this code.
pub(super) fn exit_end(code: i64, message: Option<String>) -> SessionEnd {
    SessionEnd { exit_code: Some(code), message, ..SessionEnd::new(EndReason::RuntimeExit) }
}

/// Prints to the user's `sys.stderr`, or to the session's own if that raises.
fn print_text(py: Python<'_>, text: &str) {
    let stderr = sys(py).and_then(|sys| sys.getattr("stderr"));
    let written = match stderr {
        Ok(stderr) if stderr.is_none() => Ok(()),
        Ok(stderr) if is_ours(py, Stream::Stderr, &stderr) => put_text(py, Stream::Stderr, text),
        Ok(stderr) => stderr.call_method1("write", (text,)).map(drop),
        Err(error) => Err(error),
    };
    if written.is_err() {
        let _ = put_text(py, Stream::Stderr, text);
    }
}

/// Sets the `text` of a cell's `SyntaxError` where it has none: an error in a compilation from the tree has no source.
pub(super) fn add_source_line(py: Python<'_>, error: &PyErr, file: &str, source: &str) -> PyResult<()> {
    let value = error.value(py);
    if !error.is_instance_of::<PySyntaxError>(py)
        || !value.getattr("text")?.is_none()
        || value.getattr("filename")?.extract::<String>()? != file
    {
        return Ok(());
    }
    let number: usize = value.getattr("lineno")?.extract()?;
    source::line(source, number).map_or(Ok(()), |line| value.setattr("text", line))
}

/// Prints an error that ended a cell, by `sys.excepthook`, and gives what the event `ready` has of it. `Err`: the
/// user's own hook has raised `SystemExit`. Main thread, with SIGINT unblocked.
pub(super) fn print(py: Python<'_>, error: PyErr) -> Result<ErrorInfo, SessionEnd> {
    let traceback = user_frames(py, error.traceback(py));
    set_traceback(error.value(py), traceback.as_ref());
    clear_related(error.value(py));
    // If they cannot be set, `pdb.pm()` does not find the error; it is printed all the same.
    let _ = set_last(py, &error, traceback.as_ref());
    let (lines, message) = text_of(py, &error, traceback.as_ref());
    let mut info =
        ErrorInfo { name: name_of(py, &error), message, traceback: lines.lines().map(str::to_owned).collect() };
    info.shorten();
    let _role = InRole::enter(Role::Traceback);
    let hook = sys(py).and_then(|sys| sys.getattr("excepthook"));
    let is_own = match (&hook, EXCEPTHOOK.get(py)) {
        (Ok(hook), Some(own)) => own.is(hook),
        _ => true,
    };
    match hook {
        Ok(hook) if !is_own => {
            let traceback = traceback.map_or_else(|| py.None().into_bound(py), Bound::into_any);
            if let Err(second) = hook.call1((error.get_type(py), error.value(py), traceback)) {
                if let Some(end) = exit_of(py, &second) {
                    return Err(end);
                }
                let of_hook = user_frames(py, second.traceback(py));
                print_text(py, "Error in sys.excepthook:\n");
                print_text(py, &text_of(py, &second, of_hook.as_ref()).0);
                print_text(py, "\nOriginal exception was:\n");
                print_text(py, &lines);
            }
        }
        _ => print_text(py, &lines),
    }
    Ok(info)
}

/// The traceback without the frames that are not the user's ([`frames::are_users`]).
fn user_frames<'py>(py: Python<'py>, traceback: Option<Bound<'py, PyTraceback>>) -> Option<Bound<'py, PyTraceback>> {
    let file_of = |traceback: &Bound<'py, PyAny>| -> PyResult<String> {
        traceback.getattr("tb_frame")?.getattr("f_code")?.getattr("co_filename")?.extract()
    };
    let mut all = Vec::new();
    let mut next = traceback?.into_any();
    while !next.is_none() && all.len() < MOST_FRAMES {
        let following = next.getattr("tb_next").unwrap_or_else(|_| py.None().into_bound(py));
        all.push(next);
        next = following;
    }
    let files: Vec<String> = all.iter().map(|traceback| file_of(traceback).unwrap_or_default()).collect();
    let are_users = all.into_iter().zip(frames::are_users(&files));
    let mut kept: Vec<Bound<'py, PyAny>> =
        are_users.filter_map(|(traceback, is_users)| is_users.then_some(traceback)).collect();
    for pair in (1..kept.len()).rev() {
        let is_linked = kept[pair - 1].getattr("tb_next").is_ok_and(|next| next.is(&kept[pair]));
        if !is_linked {
            // CPython refuses to make a circle; then the frames in between stay.
            let _ = kept[pair - 1].setattr("tb_next", &kept[pair]);
        }
    }
    if let Some(last) = kept.last()
        && last.getattr("tb_next").is_ok_and(|next| !next.is_none())
    {
        let _ = last.setattr("tb_next", py.None());
    }
    kept.drain(..).next().and_then(|first| first.cast_into::<PyTraceback>().ok())
}

fn set_traceback(error: &Bound<'_, PyAny>, traceback: Option<&Bound<'_, PyTraceback>>) {
    // A class of the user's may refuse it; then the exception keeps its traceback.
    let _ = error.setattr("__traceback__", traceback);
}

/// Removes the engine's frames from the errors that are printed with this one: causes, contexts, and members of a
/// group.
fn clear_related(error: &Bound<'_, PyAny>) {
    let related = |error: &Bound<'_, PyAny>| -> Vec<PyErr> {
        let named = ["__cause__", "__context__"].into_iter().filter_map(|name| error.getattr(name).ok());
        let members = error.getattr("exceptions").ok().and_then(|members| members.cast_into::<PyTuple>().ok());
        let members = members.iter().flat_map(|members| members.iter()).collect::<Vec<_>>();
        let all = named.chain(members).filter(|other| other.is_instance_of::<PyBaseException>());
        all.map(PyErr::from_value).collect()
    };
    let py = error.py();
    let mut seen = HashSet::from([error.as_ptr() as usize]);
    let mut left = related(error);
    while let Some(other) = left.pop() {
        let value = other.value(py);
        if seen.len() > MOST_RELATED || !seen.insert(value.as_ptr() as usize) {
            continue;
        }
        if let Some(traceback) = other.traceback(py) {
            set_traceback(value, user_frames(py, Some(traceback)).as_ref());
        }
        left.extend(related(value));
    }
}

/// Sets `sys.last_*`, for `pdb.pm()`.
fn set_last(py: Python<'_>, error: &PyErr, traceback: Option<&Bound<'_, PyTraceback>>) -> PyResult<()> {
    let sys = sys(py)?;
    sys.setattr("last_type", error.get_type(py))?;
    sys.setattr("last_value", error.value(py))?;
    sys.setattr("last_traceback", traceback)?;
    if py.version_info() >= (3, 12) {
        sys.setattr("last_exc", error.value(py))?;
    }
    Ok(())
}

/// The text of an error as `traceback` formats it, and its message. The error's `__str__` is called once.
fn text_of(py: Python<'_>, error: &PyErr, traceback: Option<&Bound<'_, PyTraceback>>) -> (String, String) {
    let format = || -> PyResult<(String, String)> {
        let kind = py.import("traceback")?.getattr("TracebackException")?;
        let formatted = kind.call1((error.get_type(py), error.value(py), traceback))?;
        let mut text = String::new();
        for part in formatted.call_method0("format")?.try_iter()? {
            text.push_str(&part?.str()?.to_string_lossy());
        }
        let message = match formatted.getattr("_str").and_then(|message| message.extract::<String>()) {
            Ok(message) => message,
            Err(_) => message_of(py, error),
        };
        Ok((text, message))
    };
    // Without `traceback` (the recursion limit is reached, user code has changed the module) there is only the name and
    // message.
    format().unwrap_or_else(|_| {
        let message = message_of(py, error);
        (format!("{}: {message}\n", name_of(py, error)), message)
    })
}

/// The name of the error's class, without its module.
fn name_of(py: Python<'_>, error: &PyErr) -> String {
    error.get_type(py).name().map_or_else(|_| "Exception".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn message_of(py: Python<'_>, error: &PyErr) -> String {
    match error.value(py).str() {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => "<exception str() failed>".to_owned(),
    }
}
