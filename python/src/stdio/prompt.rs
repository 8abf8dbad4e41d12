//! The prompt of `input()` where user code has replaced `sys.stdout`: it is written there, and reaches the supervisor
//! once.
//!
//! CPython writes the prompt to `sys.stdout`. An object of the user's may store it, or pass it on to the session: then
//! it would be both output and the prompt of the request for input. So what the thread prints meanwhile is compared
//! with the prompt. If it is the prompt and nothing else, it is not printed, and the request contains it; otherwise it
//! is printed, and the request has no prompt.

use super::redirected;
use super::write::put_arrived;
use crate::plain::prompt_watch::{self, Watch};
use pyo3::prelude::*;

/// Writes a prompt to a replaced `sys.stdout`. Gives whether the request for input is to contain it. Raises what
/// `write` and `flush` of that object raise. Needs the GIL, any thread.
pub(super) fn write(stdout: &Bound<'_, PyAny>, prompt: &Bound<'_, PyAny>, text: &str) -> PyResult<bool> {
    let py = stdout.py();
    // This prompt is written while another one is: what has arrived of that one is printed.
    put_arrived(py, prompt_watch::take_arrived())?;
    let watch = Watch::begin(text);
    let written = stdout.call_method1("write", (prompt,)).and_then(|_| stdout.call_method0("flush"));
    let Some(mut prompt) = watch.end() else { return written.map(|_| true) };
    if written.is_err() || !prompt.is_whole() {
        put_arrived(py, prompt.take_arrived())?;
    }
    written.map(|_| !(prompt.is_printed() || prompt.is_missing() && is_file_of_session(stdout)))
}

/// Whether this is a plain text file (no subclass) on one of the session's own descriptors.
fn is_file_of_session(stdout: &Bound<'_, PyAny>) -> bool {
    let is_plain = || -> PyResult<bool> {
        let io = stdout.py().import("_io")?;
        let is_text = stdout.get_type().is(io.getattr("TextIOWrapper")?);
        Ok(is_text && stdout.getattr("buffer")?.get_type().is(io.getattr("BufferedWriter")?))
    };
    is_plain().unwrap_or(false) && redirected::leads_to_session(stdout)
}
