//! What a supervisor says: lines read into checked messages, and why a line is refused.

use serde::Deserialize;
use serde_json::Value;

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
    /// The line was longer than [`MAX_LINE`](super::MAX_LINE).
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
    pub to: Option<To>,
    /// The cell's name, or the cell whose standard input this is.
    pub id: Option<String>,
    /// Interrupt the cell after so much wall-clock time from its start.
    pub timeout_ms: Option<u64>,
    /// Standard input of the cell ends after this batch.
    pub eof: Option<bool>,
    /// The wait that this answers.
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
            id: Option<String>,
        }
        #[derive(Deserialize)]
        struct ShutdownFields {
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
