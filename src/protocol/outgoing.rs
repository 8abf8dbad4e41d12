//! What a worker says: its events, and the answers of requests.

use super::{EndReason, ErrorInfo, Outcome, Refusal, RuntimeInfo};
use serde::Serialize;
use serde_json::Value;

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
    /// [`NAME`](super::NAME).
    pub name: &'static str,
    /// [`VERSION`](super::VERSION).
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

fn is_false(value: &bool) -> bool {
    !value
}
