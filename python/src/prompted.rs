//! The prompt of `input()` where `sys.stdout` was replaced: whoever was put there gets it, but it is not said twice.
//!
//! Plain Python writes the prompt to `sys.stdout`. A replaced one may keep it, or pass it on to the session, where it would
//! be output besides being the prompt of the wait. So what reaches the session meanwhile is compared with the prompt: if it is
//! that and nothing else it is not printed, and the wait says it; if it is anything else it is printed, and the wait says none.

use crate::{elsewhere, output};
use pyo3::prelude::*;
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use worker::protocol::Stream;

/// How many threads write a prompt at the moment: the writers' quick look.
static WRITERS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PROMPT: RefCell<Option<Prompt>> = const { RefCell::new(None) };
}

/// A prompt on its way.
struct Prompt {
    text: String,
    /// How much of it has arrived, and has not been printed.
    arrived: usize,
    stream: Stream,
    /// It was printed.
    is_printed: bool,
}

/// Writes a prompt to a replaced `sys.stdout`; whether the wait is to say it.
pub(crate) fn write(stdout: &Bound<'_, PyAny>, prompt: &Bound<'_, PyAny>, text: &str) -> PyResult<bool> {
    let py = stdout.py();
    let prompted = Prompt { text: text.to_owned(), arrived: 0, stream: Stream::Stdout, is_printed: false };
    // A prompt within a prompt: the outer one is printed as far as it has come.
    let mut outer = PROMPT.take();
    if let Some(outer) = &mut outer {
        outer.print(py)?;
    }
    PROMPT.set(Some(prompted));
    WRITERS.fetch_add(1, Relaxed);
    let written = stdout.call_method1("write", (prompt,)).and_then(|_| stdout.call_method0("flush"));
    let prompted = PROMPT.replace(outer);
    WRITERS.fetch_sub(1, Relaxed);
    let Some(mut prompted) = prompted else { return written.map(|_| true) };
    if written.is_err() || prompted.arrived < prompted.text.len() {
        prompted.print(py)?;
    }
    written.map(|_| !(prompted.is_printed || prompted.arrived == 0 && is_file_of_session(stdout)))
}

/// Whether a file, and nothing more than that, writes to the session's own descriptors.
fn is_file_of_session(stdout: &Bound<'_, PyAny>) -> bool {
    let is_plain = || -> PyResult<bool> {
        let io = stdout.py().import("_io")?;
        let is_text = stdout.get_type().is(io.getattr("TextIOWrapper")?);
        Ok(is_text && stdout.getattr("buffer")?.get_type().is(io.getattr("BufferedWriter")?))
    };
    is_plain().unwrap_or(false) && elsewhere::leads_to_session(stdout)
}

/// Whether what is about to be printed is a prompt that the wait will say instead. Anything else is to be printed, after
/// what this has printed.
pub(crate) fn absorbs(py: Python<'_>, stream: Stream, bytes: &[u8]) -> PyResult<bool> {
    if WRITERS.load(Relaxed) == 0 {
        return Ok(false);
    }
    // A thread that ends may print after its own storage is gone.
    let Ok(Some(mut prompted)) = PROMPT.try_with(RefCell::take) else { return Ok(false) };
    let rest = &prompted.text.as_bytes()[prompted.arrived..];
    let is_prompt =
        !prompted.is_printed && rest.starts_with(bytes) && (prompted.arrived == 0 || stream == prompted.stream);
    let printed = if is_prompt {
        prompted.arrived += bytes.len();
        prompted.stream = stream;
        Ok(())
    } else {
        // While the prompt itself is away nothing is absorbed.
        let printed = prompted.print(py);
        prompted.is_printed |= !bytes.is_empty();
        printed
    };
    PROMPT.set(Some(prompted));
    printed.map(|()| is_prompt)
}

impl Prompt {
    /// Prints what has arrived.
    fn print(&mut self, py: Python<'_>) -> PyResult<()> {
        let arrived = std::mem::take(&mut self.arrived);
        if arrived == 0 {
            return Ok(());
        }
        self.is_printed = true;
        output::put_bytes(py, self.stream, &self.text.as_bytes()[..arrived])
    }
}
