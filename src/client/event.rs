//! What a worker says, as owned values: one type per event, unknown fields and unknown events let through.

use base64::Engine as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::borrow::Cow;
use worker_protocol::{EndReason, ErrorInfo, Outcome, Role, RuntimeInfo, Stream};

/// One message of a worker.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The first message: who speaks.
    WorkerReady(WorkerReady),
    /// The worker can take a cell; for every cell that ended there is one with its outcome.
    Ready(Ready),
    /// Something reads standard input and there is none.
    InputWait(InputWait),
    /// Input was delivered to a reader.
    InputLine(InputLine),
    /// A piece of output.
    OutputText(OutputText),
    /// A picture.
    OutputImage(OutputImage),
    /// A rich representation, such as an HTML table.
    OutputDisplay(OutputDisplay),
    /// The last message.
    SessionEnd(SessionEnd),
    /// The answer of a request, or the refusal of a line.
    Response(Response),
    /// A message that this version does not know; pass over it.
    Unknown(Value),
    /// A line that is no JSON at all, which no worker sends.
    Malformed(String),
}

impl Event {
    /// Reads one line.
    pub fn parse(line: &[u8]) -> Event {
        /// The only field that is wanted before the type is known.
        #[derive(Deserialize)]
        struct Probe<'a> {
            #[serde(rename = "type", borrow, default)]
            kind: Option<Cow<'a, str>>,
            #[serde(borrow, default)]
            jsonrpc: Option<Cow<'a, str>>,
        }
        let known = match serde_json::from_slice::<Probe<'_>>(line) {
            Ok(Probe { kind: Some(kind), .. }) => match kind.as_ref() {
                "worker_ready" => fields(line, Event::WorkerReady),
                "ready" => fields(line, Event::Ready),
                "input_wait" => fields(line, Event::InputWait),
                "input_line" => fields(line, Event::InputLine),
                "output_text" => fields(line, Event::OutputText),
                "output_image" => fields(line, Event::OutputImage),
                "output_display" => fields(line, Event::OutputDisplay),
                "session_end" => fields(line, Event::SessionEnd),
                _ => None,
            },
            Ok(Probe { jsonrpc: Some(_), .. }) => fields(line, Event::Response),
            _ => None,
        };
        known.unwrap_or_else(|| match serde_json::from_slice(line) {
            Ok(value) => Event::Unknown(value),
            Err(_) => Event::Malformed(String::from_utf8_lossy(line).into_owned()),
        })
    }

    /// The cell that this event belongs to, where it names one.
    pub fn cell(&self) -> Option<&str> {
        match self {
            Event::Ready(event) => event.id.as_deref(),
            Event::InputWait(event) => event.id.as_deref(),
            Event::InputLine(event) => event.id.as_deref(),
            Event::OutputText(event) => event.id.as_deref(),
            Event::OutputImage(event) => event.id.as_deref(),
            Event::OutputDisplay(event) => event.id.as_deref(),
            _ => None,
        }
    }
}

fn fields<T: DeserializeOwned>(line: &[u8], wrap: fn(T) -> Event) -> Option<Event> {
    serde_json::from_slice(line).ok().map(wrap)
}

/// A name and a version, of the protocol or of the program.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The version: a number for the protocol, text for the program.
    pub version: Value,
}

/// What a worker can do.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Capabilities {
    /// It says `output_image`.
    #[serde(default)]
    pub images: bool,
    /// It says `output_display`.
    #[serde(default)]
    pub displays: bool,
    /// The methods that it answers.
    #[serde(default)]
    pub requests: Vec<String>,
    /// The limits in force, where some were asked for.
    pub limits: Option<Value>,
}

/// `worker_ready`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WorkerReady {
    /// Name and version of the protocol.
    pub protocol: Named,
    /// Name and version of the program.
    pub worker: Named,
    /// The session's name.
    pub session_id: Option<String>,
    /// `python` or `r`.
    pub lang: Option<String>,
    /// The process id.
    pub pid: Option<u32>,
    /// What it can do.
    #[serde(default)]
    pub capabilities: Capabilities,
}

/// `ready`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Ready {
    /// The cell that ended, if it had a name.
    pub id: Option<String>,
    /// How it ended; none in the first `ready` and in the answer of an interrupt while idle.
    pub outcome: Option<Outcome>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: Option<f64>,
    /// How much standard input it left unread.
    pub discarded_stdin_bytes: Option<u64>,
    /// Its `timeout_ms` ran out.
    #[serde(default)]
    pub timed_out: bool,
    /// What went wrong.
    pub error: Option<ErrorInfo>,
    /// The runtime, in the first `ready`.
    pub runtime: Option<RuntimeInfo>,
    /// How long the start took, in the first `ready`, in milliseconds.
    pub startup_ms: Option<f64>,
}

/// `input_wait`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct InputWait {
    /// What the reader asks with; empty if nothing.
    #[serde(default)]
    pub prompt: String,
    /// A password: do not echo it.
    #[serde(default)]
    pub hidden: bool,
    /// The wait's own number.
    pub reader: u64,
    /// The cell that started the reader.
    pub id: Option<String>,
}

/// `input_line`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct InputLine {
    /// What the reader asked with.
    #[serde(default)]
    pub prompt: String,
    /// What it got, without a line end; none for a password.
    pub text: Option<String>,
    /// It was a password.
    #[serde(default)]
    pub hidden: bool,
    /// The wait's own number.
    pub reader: u64,
    /// The cell that started the reader.
    pub id: Option<String>,
}

/// `output_text`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct OutputText {
    /// Which stream.
    pub stream: Stream,
    /// The text, unless it is bytes.
    pub text: Option<String>,
    /// Bytes that are not UTF-8, in base64.
    pub data_b64: Option<String>,
    /// It continues the write of the message before.
    #[serde(default)]
    pub is_continuation: bool,
    /// `fd` when it came from the process's raw descriptors 1 or 2.
    pub origin: Option<String>,
    /// A result or a traceback.
    pub role: Option<Role>,
    /// The cell that was running.
    pub id: Option<String>,
}

impl OutputText {
    /// The bytes that were written; none when the base64 is broken.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match (&self.text, &self.data_b64) {
            (Some(text), _) => Cow::Borrowed(text.as_bytes()),
            (None, Some(data)) => Cow::Owned(decode(data)),
            (None, None) => Cow::Borrowed(&[]),
        }
    }
}

/// `output_image`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct OutputImage {
    /// Its type, such as `image/png`.
    pub mime_type: String,
    /// Its bytes in base64.
    pub data_b64: String,
    /// What it is a picture of: the same for updates of one figure.
    pub source: Option<String>,
    /// It replaces the last picture of the same source.
    #[serde(default)]
    pub is_update: bool,
    /// Width in pixels where known.
    pub width: Option<u32>,
    /// Height in pixels where known.
    pub height: Option<u32>,
    /// The cell that was running.
    pub id: Option<String>,
}

impl OutputImage {
    /// The picture itself; empty when the base64 is broken.
    pub fn bytes(&self) -> Vec<u8> {
        decode(&self.data_b64)
    }
}

fn decode(data: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(data).unwrap_or_default()
}

/// `output_display`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct OutputDisplay {
    /// Mime type to text or JSON.
    pub data: Value,
    /// What its author says of it.
    #[serde(default)]
    pub metadata: Value,
    /// The same for updates of one display.
    pub source: Option<String>,
    /// It replaces the last display of the same source.
    #[serde(default)]
    pub is_update: bool,
    /// The cell that was running.
    pub id: Option<String>,
}

/// `session_end`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SessionEnd {
    /// Why the session ended.
    pub reason: EndReason,
    /// More about it, for a person.
    pub message: Option<String>,
    /// The number that the user's code asked for.
    pub exit_code: Option<i64>,
    /// The name of the signal of a crash.
    pub signal: Option<String>,
}

/// A JSON-RPC 2.0 response.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Response {
    /// The request's `id`; null where the worker could read none.
    #[serde(default)]
    pub id: Value,
    /// What was asked for.
    pub result: Option<Value>,
    /// Why there is no result.
    pub error: Option<RpcError>,
}

/// The error of a response.
#[derive(Debug, Clone, PartialEq, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// The JSON-RPC code; the protocol lists them.
    pub code: i64,
    /// What is wrong.
    pub message: String,
    /// `{"id": …}` for a refused batch that had one.
    pub data: Option<Value>,
}

impl RpcError {
    /// The `id` of the batch that was refused.
    pub fn batch_id(&self) -> Option<&str> {
        self.data.as_ref()?.get("id")?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_events_are_typed_and_unknown_fields_pass() {
        let line = br#"{"type":"ready","id":"a","outcome":"error","elapsed_ms":1.5,"new":{"x":1},"error":{"name":"E","message":"m","traceback":["t"]}}"#;
        let Event::Ready(ready) = Event::parse(line) else { panic!("not a ready") };
        assert_eq!(ready.id.as_deref(), Some("a"));
        assert_eq!(ready.outcome, Some(Outcome::Error));
        assert_eq!(ready.error.unwrap().traceback, ["t"]);
    }

    #[test]
    fn unknown_events_and_broken_lines_are_kept() {
        assert!(matches!(Event::parse(br#"{"type":"news","x":1}"#), Event::Unknown(_)));
        assert!(matches!(Event::parse(br#"{"x":1}"#), Event::Unknown(_)));
        assert!(matches!(Event::parse(br#"{"type":"input_wait"}"#), Event::Unknown(_)));
        assert_eq!(Event::parse(b"{oops"), Event::Malformed("{oops".into()));
    }

    #[test]
    fn output_gives_its_bytes_either_way() {
        let text = Event::parse(br#"{"type":"output_text","stream":"stdout","text":"a\u00e9"}"#);
        let bytes = Event::parse(br#"{"type":"output_text","stream":"stderr","data_b64":"/wA="}"#);
        let (Event::OutputText(text), Event::OutputText(bytes)) = (text, bytes) else { panic!() };
        assert_eq!(&*text.bytes(), "aé".as_bytes());
        assert_eq!(&*bytes.bytes(), &[0xff, 0]);
    }

    #[test]
    fn a_refusal_names_its_batch() {
        let line = br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no","data":{"id":"b"}}}"#;
        let Event::Response(response) = Event::parse(line) else { panic!() };
        assert_eq!(response.id, Value::Null);
        assert_eq!(response.error.unwrap().batch_id(), Some("b"));
    }
}
