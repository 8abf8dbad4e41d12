//! The messages that a supervisor and a worker exchange, one enum per direction.
//!
//! `docs/protocol.md` shows an example of each; `tests/protocol.rs` holds golden lines that fail until that
//! document moves with this file. Field order here is the order on the wire.

mod incoming;
mod outgoing;

pub use incoming::{Code, Incoming, InputBatch, Refusal, Rpc, To};
pub use outgoing::{Capabilities, Event, ProtocolInfo, Ready, Response, SessionEnd, WORKER, WorkerInfo};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

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

/// A JSON text that is passed on as it is.
pub type Json = RawValue;
