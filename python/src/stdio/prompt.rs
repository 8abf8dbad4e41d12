//! The prompt of `input()` where `sys.stdout` was replaced: whoever was put there gets it, but it is not said twice.
//!
//! Plain Python writes the prompt to `sys.stdout`. A replaced one may keep it, or pass it on to the session, where it
//! would be output besides being the prompt of the wait. So what reaches the session meanwhile is compared with the
//! prompt: if it is that and nothing else it is not printed, and the wait says it; if it is anything else it is
//! printed, and the wait says none.

use super::prompt_watch::{self, Watch};
use super::redirected;
use super::write::put_arrived;
use pyo3::prelude::*;

/// Writes a prompt to a replaced `sys.stdout`; whether the wait is to say it.
pub(super) fn write(stdout: &Bound<'_, PyAny>, prompt: &Bound<'_, PyAny>, text: &str) -> PyResult<bool> {
    let py = stdout.py();
    // A prompt within a prompt: the outer one is printed as far as it has come.
    put_arrived(py, prompt_watch::take_arrived())?;
    let watch = Watch::begin(text);
    let written = stdout.call_method1("write", (prompt,)).and_then(|_| stdout.call_method0("flush"));
    let Some(mut prompt) = watch.end() else { return written.map(|_| true) };
    if written.is_err() || !prompt.is_whole() {
        put_arrived(py, prompt.take_arrived())?;
    }
    written.map(|_| !(prompt.is_printed() || prompt.is_away() && is_file_of_session(stdout)))
}

/// Whether a file, and nothing more than that, writes to the session's own descriptors.
fn is_file_of_session(stdout: &Bound<'_, PyAny>) -> bool {
    let is_plain = || -> PyResult<bool> {
        let io = stdout.py().import("_io")?;
        let is_text = stdout.get_type().is(io.getattr("TextIOWrapper")?);
        Ok(is_text && stdout.getattr("buffer")?.get_type().is(io.getattr("BufferedWriter")?))
    };
    is_plain().unwrap_or(false) && redirected::leads_to_session(stdout)
}
