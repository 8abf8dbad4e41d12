//! The messages that a supervisor and a worker exchange, one enum per direction.
//!
//! `docs/protocol.md` shows an example of each; `tests/protocol.rs` holds golden lines that fail until that
//! document moves with this file. Field order here is the order on the wire.

pub mod config;
pub mod framing;
mod incoming;
pub mod line_writer;
mod outgoing;
pub mod questions;

pub use incoming::{Code, Incoming, InputBatch, Refusal, Rpc, To};
pub use outgoing::{Capabilities, Event, ProtocolInfo, Ready, Response, SessionEnd, WORKER, WorkerInfo};

use serde::{Deserialize, Serialize};

/// The protocol's name, as `worker_ready` says it.
pub const NAME: &str = "interpreter-worker";
/// The protocol's version.
pub const VERSION: u32 = 1;
/// The longest line that a supervisor may send, in bytes without its line end.
pub const MAX_LINE: usize = 64 << 20;
/// The most text that one `output_text` carries, in bytes.
pub const MAX_TEXT: usize = 64 << 10;
/// The most cells that wait in the queue.
pub const MAX_QUEUED_CELLS: usize = 10_000;
/// The most bytes of cells and standard input that wait in the queue.
pub const MAX_QUEUED_BYTES: usize = 256 << 20;
/// So many bytes of an error's name, of its message and of its traceback are told in `ready`; what is printed is whole.
pub const MAX_ERROR: usize = 16 << 10;
/// The grace of a shutdown that names none, in milliseconds.
pub const DEFAULT_GRACE_MS: u64 = 2000;
/// The requests that the core answers by itself; an engine adds its own.
pub const CORE_REQUESTS: [&str; 3] = ["status", "interrupt", "shutdown"];

/// A stream of the session's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a piece of output is, beyond its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The printed value of a cell's last expression.
    Result,
    /// A printed error.
    Traceback,
}

/// How a cell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It ran to its end.
    Ok,
    /// It raised.
    Error,
    /// It was interrupted, or raised the interrupt itself.
    Interrupted,
    /// It never ran.
    Discarded,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// A `shutdown`, the end of the request side, or a signal that means it.
    Shutdown,
    /// The user's code ended the runtime.
    RuntimeExit,
    /// The runtime could not be started.
    StartupFailed,
    /// The process is about to die by a signal.
    Crash,
    /// The peer broke the protocol (second dialect only).
    ProtocolError,
}

/// What a failed cell says of its error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ErrorInfo {
    /// The exception's class, or the condition's.
    pub name: String,
    /// Its message.
    pub message: String,
    /// The lines that were printed, or R's calls.
    pub traceback: Vec<String>,
}

impl ErrorInfo {
    /// Cuts what is longer than [`MAX_ERROR`]: of a name or a message the beginning stays, of a traceback the end, where the
    /// error is.
    pub fn shorten(&mut self) {
        for text in [&mut self.name, &mut self.message] {
            text.truncate(text.floor_char_boundary(MAX_ERROR));
        }
        let mut room = MAX_ERROR;
        let mut kept = self.traceback.len();
        while kept > 0 && self.traceback[kept - 1].len() < room {
            // A line's end counts.
            room -= self.traceback[kept - 1].len() + 1;
            kept -= 1;
        }
        if kept > 0 {
            let line = &mut self.traceback[kept - 1];
            line.drain(..line.ceil_char_boundary(line.len().saturating_sub(room.saturating_sub(1))));
            if !line.is_empty() {
                kept -= 1;
            }
        }
        self.traceback.drain(..kept);
    }
}

/// The runtime that the session hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeInfo {
    /// `CPython` or `R`.
    pub name: String,
    /// Its version, such as `3.11.7`.
    pub version: String,
    /// Python's executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// R's home directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// Python's `sys.prefix`, or R's home again.
    pub prefix: String,
}

/// Encodes a message as one line, its line end included.
pub fn line(message: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    // Every message is made of strings, numbers and trees of those, which always serialise.
    if serde_json::to_writer(&mut bytes, message).is_err() {
        bytes.clear();
    }
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_by_the_end_of_its_traceback() {
        let lines = |traceback: &[String]| {
            let mut error = ErrorInfo { traceback: traceback.to_vec(), ..ErrorInfo::default() };
            error.shorten();
            error.traceback
        };
        let short = ["a".to_owned(), String::new(), "b".to_owned()];
        assert_eq!(lines(&short), short);
        let half = "é".repeat(MAX_ERROR / 4);
        let kept = lines(&[half.clone(), "x".into(), half.clone(), "end".into()]);
        assert_eq!(&kept[1..], ["x", &half, "end"]);
        assert!(half.ends_with(&kept[0]) && kept.iter().map(|line| line.len() + 1).sum::<usize>() <= MAX_ERROR);
        assert_eq!(lines(&["y".repeat(MAX_ERROR * 3)]), ["y".repeat(MAX_ERROR - 1)]);
        assert_eq!(lines(&["first".into(), "y".repeat(MAX_ERROR - 1)]).len(), 1);
    }

    #[test]
    fn an_error_is_told_by_the_beginning_of_its_message() {
        let mut error = ErrorInfo { name: "n".into(), message: "é".repeat(MAX_ERROR), traceback: Vec::new() };
        error.shorten();
        assert_eq!((error.name.as_str(), error.message), ("n", "é".repeat(MAX_ERROR / 2)));
    }
}
