//! Reads of standard input from the session's queue. A read waits detached from the GIL, an interrupt ends it, and on
//! the main thread it answers requests.

use crate::plain::stdin::{deadline, without_line_end};
use crate::requests::answer::answer;
use crate::runtime::session::session;
use crate::runtime::wait::wait_detached;
use pyo3::prelude::*;
use std::time::Instant;
use worker_core::Want;
use worker_core::engine::reader::{Ask, Got};
use worker_core::process::fork;

/// Reads what `want` says; empty at the end of file and in a forked child. `prompt` goes into the request for input, as
/// does `hidden`: whether the input is not to be shown. Raises KeyboardInterrupt, or what a signal handler raises.
/// Needs the GIL, any thread.
pub(super) fn read(py: Python<'_>, prompt: &str, hidden: bool, want: Want) -> PyResult<Vec<u8>> {
    if fork::in_child() {
        return Ok(Vec::new());
    }
    let mut reader = session().reader(Ask { prompt, hidden, want });
    if let Some(data) = reader.try_take() {
        return Ok(data);
    }
    loop {
        match wait_detached(py, || reader.wait(&mut [], None))? {
            Got::Data(data) => return Ok(data),
            Got::Poll => {}
            Got::Request(request) => answer(py, session(), &request),
        }
    }
}

/// Whether fd 0 is still the session's pipe, so that reads of it go to the session. True in a forked child too, where
/// they find the end of file. Any thread.
pub(crate) fn is_sessions() -> bool {
    session().keeps_stdin()
}

/// The same, but false in a forked child: whether `select` on fd 0 waits for the session's input.
pub(crate) fn owns_stdin() -> bool {
    session().owns_stdin()
}

/// Reads a line that is not shown, for `getpass`; none at the end of file. Invalid UTF-8 is replaced. The rules of
/// [`read`].
pub(crate) fn read_hidden(py: Python<'_>, prompt: &str) -> PyResult<Option<String>> {
    let line = read(py, prompt, true, Want::Line)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(without_line_end(&line)).into_owned()))
}

/// Waits, for `select`, until there is input or the end of file (true), or until one of `also` is ready or the time is
/// over (false). `timeout`: in seconds, none without a limit. The rules of [`read`].
pub(crate) fn wait_readable(py: Python<'_>, timeout: Option<f64>, also: &mut [libc::pollfd]) -> PyResult<bool> {
    if fork::in_child() {
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
    let end = deadline(Instant::now(), timeout);
    loop {
        let left = || end.map(|end| end.saturating_duration_since(Instant::now()));
        match wait_detached(py, || reader.wait(also, left()))? {
            Got::Data(_) => return Ok(true),
            Got::Poll => return Ok(false),
            Got::Request(request) => answer(py, session(), &request),
        }
    }
}
