//! Redirected standard output and error: user code has replaced raw fd 1 or 2 (`os.dup2`), and the streams write to it.
//!
//! Otherwise the streams write to the session and do not use the descriptors. A program that redirects them, to a file
//! for example, expects the output of Python there too. Meanwhile the streams use the methods of their base classes,
//! which write to the descriptor: text is line buffered, as on a terminal, and errors are CPython's own. What takes a
//! `Python` needs the GIL.

use super::streams;
use crate::runtime::patched_function::Original;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use worker_protocol::Stream;

/// The streams whose descriptor is redirected, a bit for each.
static REDIRECTED: AtomicU8 = AtomicU8::new(0);
/// The files that the descriptors referred to at the start.
static SESSIONS: PyOnceLock<[Option<Identity>; 2]> = PyOnceLock::new();
static DUP2: Original = Original::new();

/// Device and inode.
type Identity = (u64, u64);

/// Replaces `os.dup2`. A descriptor that is replaced in another way, by C code or by `close` and `open`, goes
/// unnoticed.
pub(super) fn hook(py: Python<'_>) -> PyResult<()> {
    let _ = SESSIONS.set(py, [identity(py, 1), identity(py, 2)]);
    let hooked = DUP2.replace(py.import("posix")?.as_any(), "dup2", &wrap_pyfunction!(dup2, py)?)?;
    py.import("os")?.setattr("dup2", hooked)
}

fn identity(py: Python<'_>, fd: i32) -> Option<Identity> {
    let stat = py.import("posix").and_then(|posix| posix.call_method1("fstat", (fd,))).ok()?;
    Some((stat.getattr("st_dev").ok()?.extract().ok()?, stat.getattr("st_ino").ok()?.extract().ok()?))
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn dup2<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let py = args.py();
    let new_fd = DUP2.call(args, options)?;
    let stream = match new_fd.extract() {
        Ok(1) => Stream::Stdout,
        Ok(2) => Stream::Stderr,
        _ => return Ok(new_fd),
    };
    let bit = 1 << stream as u8;
    let is_sessions = |known: &[Option<Identity>; 2]| identity(py, stream as i32 + 1) == known[stream as usize];
    if !SESSIONS.get(py).is_none_or(is_sessions) {
        REDIRECTED.fetch_or(bit, Relaxed);
    } else if REDIRECTED.load(Relaxed) & bit != 0 {
        // As with CPython's streams, what was not flushed before is written to the new file.
        let flushed = flush(py, stream);
        REDIRECTED.fetch_and(!bit, Relaxed);
        flushed?;
    }
    Ok(new_fd)
}

/// Whether the stream's descriptor is redirected. Any thread.
pub(super) fn is_redirected(stream: Stream) -> bool {
    REDIRECTED.load(Relaxed) & (1 << stream as u8) != 0
}

/// Whether a file object's descriptor is one of the session's own two files.
pub(super) fn leads_to_session(file: &Bound<'_, PyAny>) -> bool {
    let py = file.py();
    let fd = file.call_method0("fileno").and_then(|fd| fd.extract()).ok();
    let found = fd.and_then(|fd| identity(py, fd));
    found.is_some() && SESSIONS.get(py).is_some_and(|known| known.contains(&found))
}

/// Writes text by `TextIOWrapper.write`, which calls `write` of the stream's buffer with the encoded text. Raises what
/// those raise.
pub(super) fn write_text(py: Python<'_>, stream: Stream, text: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(own) = streams::own(py, stream) else { return Ok(()) };
    py.import("_io")?.getattr("TextIOWrapper")?.call_method1("write", (own, text))?;
    let has_line = || text.contains("\n").unwrap_or(true);
    if stream == Stream::Stderr || is_unbuffered() || has_line() { flush_buffer(py, stream) } else { Ok(()) }
}

/// Writes bytes by `BufferedWriter.write`. Raises what that raises.
pub(super) fn write_bytes(py: Python<'_>, stream: Stream, bytes: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(own) = streams::own(py, stream) else { return Ok(()) };
    py.import("_io")?.getattr("BufferedWriter")?.call_method1("write", (own.getattr("buffer")?, bytes))?;
    if is_unbuffered() { flush_buffer(py, stream) } else { Ok(()) }
}

/// Whether every write is flushed (`PYTHONUNBUFFERED`).
fn is_unbuffered() -> bool {
    static IS_SO: OnceLock<bool> = OnceLock::new();
    *IS_SO.get_or_init(|| std::env::var_os("PYTHONUNBUFFERED").is_some_and(|value| !value.is_empty()))
}

/// Flushes the stream's buffer to its descriptor, if that is redirected. Raises what `BufferedWriter.flush` raises.
pub(super) fn flush(py: Python<'_>, stream: Stream) -> PyResult<()> {
    if is_redirected(stream) && !worker_core::process::fork::in_child() { flush_buffer(py, stream) } else { Ok(()) }
}

fn flush_buffer(py: Python<'_>, stream: Stream) -> PyResult<()> {
    let Some(own) = streams::own(py, stream) else { return Ok(()) };
    py.import("_io")?.getattr("BufferedWriter")?.call_method1("flush", (own.getattr("buffer")?,)).map(drop)
}
