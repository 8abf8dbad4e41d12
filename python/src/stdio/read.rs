//! One read of standard input: from the session's queue, with a wait that an interrupt ends and that answers requests.

use crate::requests::answer::answer;
use crate::runtime::session::session;
use pyo3::prelude::*;
use std::time::{Duration, Instant};
use worker::reader::{Ask, Got, Reader};
use worker::{Want, child, interrupt};

/// Reads from the session; empty at the end of file. On the main thread requests are answered while it waits.
pub(super) fn read(py: Python<'_>, prompt: &str, hidden: bool, want: Want) -> PyResult<Vec<u8>> {
    if child::in_child() {
        return Ok(Vec::new());
    }
    let mut reader = session().reader(Ask { prompt, hidden, want });
    if let Some(data) = reader.try_take() {
        return Ok(data);
    }
    loop {
        match wait(py, &mut reader, &mut [], None)? {
            Got::Data(data) => return Ok(data),
            Got::Signal | Got::Poll => {}
            Got::Request(request) => answer(py, session(), &request),
        }
    }
}

/// One wait, detached from the GIL. On the main thread signals are held between Python's check and the wait; handlers
/// of the user's run with signals open, as they would anywhere else.
fn wait(py: Python<'_>, reader: &mut Reader, also: &mut [libc::pollfd], timeout: Option<Duration>) -> PyResult<Got> {
    if !interrupt::is_main_thread() {
        return Ok(py.detach(|| reader.wait(also, timeout)));
    }
    py.check_signals()?;
    let held = interrupt::hold();
    py.check_signals()?;
    let got = py.detach(|| reader.wait(also, timeout));
    drop(held);
    Ok(got)
}

/// Whether reads of fd 0 are the session's; a forked child's find the end of file, unless it has a stdin of its own.
pub(crate) fn is_sessions() -> bool {
    session().keeps_stdin()
}

/// The same for hooks: whether `select` on fd 0 asks the session.
pub(crate) fn owns_stdin() -> bool {
    session().owns_stdin()
}

/// Reads a password for `getpass`: hidden, and never echoed.
pub(crate) fn read_hidden(py: Python<'_>, prompt: &str) -> PyResult<Option<String>> {
    let line = read(py, prompt, true, Want::Line)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned()))
}

/// Waits until there is input, or the end of file, for `select`; true when there is. `timeout`: seconds, none for ever.
pub(crate) fn wait_readable(py: Python<'_>, timeout: Option<f64>, also: &mut [libc::pollfd]) -> PyResult<bool> {
    if child::in_child() {
        // The end of file.
        return Ok(true);
    }
    let mut reader = session().reader(Ask { prompt: "", hidden: false, want: Want::Any });
    if reader.try_take().is_some() {
        return Ok(true);
    }
    if timeout.is_some_and(|timeout| timeout <= 0.0) {
        return Ok(false);
    }
    let end = timeout.and_then(|timeout| Duration::try_from_secs_f64(timeout).ok().map(|limit| Instant::now() + limit));
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        match wait(py, &mut reader, also, left)? {
            Got::Data(_) => return Ok(true),
            Got::Poll => return Ok(false),
            Got::Signal => {}
            Got::Request(request) => answer(py, session(), &request),
        }
    }
}
