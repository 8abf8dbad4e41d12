//! The messages that a supervisor and a worker exchange, one enum per direction.
//!
//! `docs/protocol.md` shows an example of each; `tests/protocol.rs` holds golden lines that fail until that
//! document moves with this file. Field order here is the order on the wire.

use serde::{Deserialize, Serialize};
use serde_json::Value;
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
/// So many bytes of an error's name, of its message and of its traceback are told in `ready`; what is printed is whole.
pub const MAX_ERROR: usize = 16 << 10;
/// The grace of a shutdown that names none, in milliseconds.
pub const DEFAULT_GRACE_MS: u64 = 2000;
/// The requests that the core answers by itself; an engine adds its own.
pub const CORE_REQUESTS: [&str; 3] = ["status", "interrupt", "shutdown"];

/// What an error response says, with its JSON-RPC code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The line is not JSON.
    Parse = -32700,
    /// JSON, but no message of this protocol, or a batch that routing refuses.
    Invalid = -32600,
    /// No such method.
    UnknownMethod = -32601,
    /// The method's parameters are wrong.
    BadParams = -32602,
    /// The worker failed inside.
    Internal = -32001,
    /// The interpreter is busy, or an interrupt cancelled the request.
    Busy = -32002,
    /// The session is ending.
    Ending = -32003,
    /// The line was longer than [`MAX_LINE`].
    LineTooLong = -32004,
    /// The queue is full.
    QueueFull = -32005,
}

/// A message from the supervisor, its fields checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// `input_batch`.
    Input(InputBatch),
    /// `interrupt`.
    Interrupt {
        /// The cell to stop; without it whatever runs, and the queue.
        id: Option<String>,
    },
    /// `shutdown`.
    Shutdown {
        /// How long queued and running cells may take, in milliseconds.
        grace_ms: Option<u64>,
    },
    /// A JSON-RPC 2.0 request.
    Request(Rpc),
}

/// `input_batch`: one complete cell, or standard input.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct InputBatch {
    /// The text.
    pub input: String,
    /// Where it goes; absent, the session's state decides.
    #[serde(default)]
    pub to: Option<To>,
    /// The cell's name, or the cell whose standard input this is.
    #[serde(default)]
    pub id: Option<String>,
    /// Interrupt the cell after so much wall-clock time from its start.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Standard input of the cell ends after this batch.
    #[serde(default)]
    pub eof: Option<bool>,
    /// The wait that this answers.
    #[serde(default)]
    pub reader: Option<u64>,
}

/// Where a batch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum To {
    /// A cell, always.
    Cell,
    /// Standard input, always.
    Stdin,
}

/// A JSON-RPC 2.0 request.
#[derive(Debug, Clone, PartialEq)]
pub struct Rpc {
    /// A string, a number or null, echoed in the response.
    pub id: Value,
    /// The method's name.
    pub method: String,
    /// The parameters; an empty object when absent.
    pub params: Value,
}

/// Why a line was refused: what to answer, and to whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The JSON-RPC code.
    pub code: Code,
    /// What is wrong and what to do about it.
    pub message: String,
    /// The request's id where one could be read.
    pub rpc_id: Value,
    /// The `id` of the refused batch, echoed in `error.data.id`.
    pub batch_id: Option<String>,
}

impl Refusal {
    /// A refusal that answers no request by id.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Refusal { code, message: message.into(), rpc_id: Value::Null, batch_id: None }
    }

    /// The same, naming the batch that it refuses.
    pub fn of_batch(mut self, id: Option<String>) -> Self {
        self.batch_id = id;
        self
    }
}

impl Incoming {
    /// Reads one line, which holds one JSON object. Unknown fields are ignored.
    pub fn parse(line: &[u8]) -> Result<Self, Refusal> {
        // The common message is read straight into its fields, without building a tree first.
        #[derive(Deserialize)]
        struct Probe<'a> {
            #[serde(rename = "type", borrow, default)]
            kind: Option<std::borrow::Cow<'a, str>>,
        }
        if let Ok(Probe { kind: Some(kind) }) = serde_json::from_slice::<Probe>(line)
            && kind == "input_batch"
            && let Ok(batch) = serde_json::from_slice::<InputBatch>(line)
        {
            return batch.checked();
        }
        Self::parse_slowly(line)
    }

    fn parse_slowly(line: &[u8]) -> Result<Self, Refusal> {
        let value: Value = serde_json::from_slice(line)
            .map_err(|e| Refusal::new(Code::Parse, format!("the line is not JSON: {e}")))?;
        let Value::Object(object) = &value else {
            return Err(Refusal::new(Code::Invalid, "a message is a JSON object"));
        };
        let kind = match object.get("type") {
            None if object.contains_key("jsonrpc") || object.contains_key("method") => {
                return Rpc::from_object(object).map(Incoming::Request);
            }
            None => {
                return Err(Refusal::new(
                    Code::Invalid,
                    "no `type`: send `input_batch`, `interrupt`, `shutdown` or a JSON-RPC 2.0 request",
                ));
            }
            Some(Value::String(kind)) => kind.as_str(),
            Some(_) => return Err(Refusal::new(Code::Invalid, "`type` is a string")),
        };
        let id = match object.get("id") {
            Some(Value::String(id)) => Some(id.clone()),
            _ => None,
        };
        fn fields<T: serde::de::DeserializeOwned>(value: Value, id: Option<String>) -> Result<T, Refusal> {
            serde_json::from_value(value)
                .map_err(|e| Refusal::new(Code::Invalid, format!("a field of the wrong kind: {e}")).of_batch(id))
        }
        #[derive(Deserialize)]
        struct InterruptFields {
            #[serde(default)]
            id: Option<String>,
        }
        #[derive(Deserialize)]
        struct ShutdownFields {
            #[serde(default)]
            grace_ms: Option<u64>,
        }
        match kind {
            "input_batch" => fields::<InputBatch>(value.clone(), id)?.checked(),
            "interrupt" => {
                let InterruptFields { id } = fields(value.clone(), id)?;
                Ok(Incoming::Interrupt { id })
            }
            "shutdown" => {
                let ShutdownFields { grace_ms } = fields(value.clone(), id)?;
                Ok(Incoming::Shutdown { grace_ms })
            }
            other => Err(Refusal::new(
                Code::Invalid,
                format!(
                    "unknown `type` {other:?}: send `input_batch`, `interrupt`, `shutdown` or a JSON-RPC 2.0 request"
                ),
            )
            .of_batch(id)),
        }
    }
}

impl InputBatch {
    /// Refuses combinations that can mean nothing.
    fn checked(self) -> Result<Incoming, Refusal> {
        let wrong = match self.to {
            Some(To::Stdin) if self.timeout_ms.is_some() => Some("`timeout_ms` belongs to a cell, not to stdin"),
            Some(To::Cell) if self.eof == Some(true) => Some("`eof` belongs to stdin, not to a cell"),
            Some(To::Cell) | None if self.reader.is_some() => Some("`reader` goes with `to: \"stdin\"`"),
            _ => None,
        };
        match wrong {
            Some(why) => Err(Refusal::new(Code::Invalid, why).of_batch(self.id)),
            None => Ok(Incoming::Input(self)),
        }
    }
}

impl Rpc {
    fn from_object(object: &serde_json::Map<String, Value>) -> Result<Self, Refusal> {
        let id = match object.get("id") {
            Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
            _ => Value::Null,
        };
        let refuse = |message: &str| Err(Refusal { rpc_id: id.clone(), ..Refusal::new(Code::Invalid, message) });
        if object.get("jsonrpc") != Some(&Value::String("2.0".into())) {
            return refuse("a request says `\"jsonrpc\": \"2.0\"`");
        }
        if id.is_null() {
            return refuse("a request has an `id`, a string or a number");
        }
        let Some(Value::String(method)) = object.get("method") else {
            return refuse("a request has a `method`, a string");
        };
        let params = object.get("params").cloned().unwrap_or_else(|| Value::Object(Default::default()));
        Ok(Rpc { id, method: method.clone(), params })
    }
}

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
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub executable: Option<String>,
    /// R's home directory.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub home: Option<String>,
    /// Python's `sys.prefix`, or R's home again.
    pub prefix: String,
}

/// A message to the supervisor, all but `output_text`, which the emitter writes by hand for speed.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event<'a> {
    /// The first message of a session.
    WorkerReady {
        /// Name and version of the protocol.
        protocol: ProtocolInfo,
        /// Name and version of the program.
        worker: WorkerInfo,
        /// The session's name.
        session_id: &'a str,
        /// The language.
        lang: &'a str,
        /// The worker's process id.
        pid: u32,
        /// What this worker can do.
        capabilities: &'a Capabilities,
    },
    /// The worker can take a cell.
    Ready(Ready<'a>),
    /// Something reads standard input and there is none.
    InputWait {
        /// What the reader asked with; empty if nothing.
        prompt: &'a str,
        /// A password is asked for.
        #[serde(skip_serializing_if = "is_false")]
        hidden: bool,
        /// The wait's own number.
        reader: u64,
        /// The cell that started the reader.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    },
    /// Input was delivered.
    InputLine {
        /// What the reader asked with.
        prompt: &'a str,
        /// What it got, without a line end; absent for a hidden read.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
        /// A password was asked for.
        #[serde(skip_serializing_if = "is_false")]
        hidden: bool,
        /// The wait's own number.
        reader: u64,
        /// The cell that started the reader.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    },
    /// A picture.
    OutputImage {
        /// Its type, such as `image/png`.
        mime_type: &'a str,
        /// Its bytes in base64.
        data_b64: &'a str,
        /// What it is a picture of: the same for updates of one figure.
        source: Option<&'a str>,
        /// It replaces the last picture of the same source.
        is_update: bool,
        /// Width in pixels where known.
        #[serde(skip_serializing_if = "Option::is_none")]
        width: Option<u32>,
        /// Height in pixels where known.
        #[serde(skip_serializing_if = "Option::is_none")]
        height: Option<u32>,
        /// The cell that was running.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    },
    /// A rich representation.
    OutputDisplay {
        /// Mime type to text or JSON.
        data: &'a Value,
        /// What the author of the representation says of it.
        metadata: &'a Value,
        /// The same for updates of one display.
        source: Option<&'a str>,
        /// It replaces the last display of the same source.
        is_update: bool,
        /// The cell that was running.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    },
    /// The last message of a session.
    SessionEnd(SessionEnd),
}

/// Name and version of the protocol.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ProtocolInfo {
    /// [`NAME`].
    pub name: &'static str,
    /// [`VERSION`].
    pub version: u32,
}

/// Name and version of the program.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct WorkerInfo {
    /// `worker`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// This program, as both dialects name it.
pub const WORKER: WorkerInfo = WorkerInfo { name: "worker", version: env!("CARGO_PKG_VERSION") };

/// What a worker can do.
#[derive(Debug, Clone, Serialize, Default)]
pub struct Capabilities {
    /// It says `output_image`.
    pub images: bool,
    /// It says `output_display`.
    pub displays: bool,
    /// The methods that it answers.
    pub requests: Vec<&'static str>,
    /// The limits in force; absent when none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Value>,
}

/// `ready`: at the start with `runtime`, after a cell with `outcome`, bare after an interrupt while idle.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Ready<'a> {
    /// The cell that ended, if it had a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<f64>,
    /// How much standard input it left unread, when it left any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discarded_stdin_bytes: Option<usize>,
    /// Its `timeout_ms` ran out.
    #[serde(skip_serializing_if = "is_false")]
    pub timed_out: bool,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a ErrorInfo>,
    /// The runtime, in the first `ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<&'a RuntimeInfo>,
    /// How long the start took, in the first `ready`, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_ms: Option<f64>,
}

/// `session_end`.
#[derive(Debug, Clone, Serialize)]
pub struct SessionEnd {
    /// Why.
    pub reason: EndReason,
    /// More about it, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The number that the user's code asked for, or the status of a failed start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// The name of the signal of a crash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

impl SessionEnd {
    /// An end with nothing but its reason.
    pub fn new(reason: EndReason) -> Self {
        SessionEnd { reason, message: None, exit_code: None, signal: None }
    }

    /// The process's exit status after this end.
    pub fn exit_status(&self) -> i32 {
        match (self.reason, self.exit_code) {
            (EndReason::RuntimeExit, Some(code)) => code.rem_euclid(256) as i32,
            (EndReason::Shutdown, _) => 0,
            _ => 1,
        }
    }

    /// The same with a message.
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

/// A JSON-RPC 2.0 response.
#[derive(Debug, Serialize)]
pub struct Response<'a> {
    jsonrpc: &'static str,
    id: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ResponseError<'a>>,
}

#[derive(Debug, Serialize)]
struct ResponseError<'a> {
    code: i32,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<ResponseErrorData<'a>>,
}

#[derive(Debug, Serialize)]
struct ResponseErrorData<'a> {
    id: &'a str,
}

impl<'a> Response<'a> {
    /// The answer of a request that succeeded.
    pub fn result(id: &'a Value, result: &'a Value) -> Self {
        Response { jsonrpc: "2.0", id, result: Some(result), error: None }
    }

    /// The answer to what was refused.
    pub fn refusal(refusal: &'a Refusal) -> Self {
        let data = refusal.batch_id.as_deref().map(|id| ResponseErrorData { id });
        let error = ResponseError { code: refusal.code as i32, message: &refusal.message, data };
        Response { jsonrpc: "2.0", id: &refusal.rpc_id, result: None, error: Some(error) }
    }
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

fn is_false(value: &bool) -> bool {
    !value
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
