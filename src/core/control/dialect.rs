//! The two dialects: which messages of ours are said, and in which words.
//!
//! In the second dialect nothing has a name, so the peer takes each `ready` or `input_wait` for the answer to the batch
//! that it sent last. [`Speaker`] counts what the peer waits for, so that each batch has exactly one answer.

use parking_lot::Mutex;
use serde_json::{Value, json};
use worker_protocol::config::Dialect;
use worker_protocol::{EndReason, Event, Incoming, InputBatch, Outcome, SessionEnd, To, WORKER, line};

/// The second dialect's name and version.
const MCP_REPL: (&str, u32) = ("mcp-repl-worker", 6);
/// The grace of a shutdown in the second dialect: its peer kills half a second after it asked.
const MCP_REPL_GRACE_MS: u64 = 100;

/// Puts events into the words of the session's dialect.
#[derive(Debug)]
pub(crate) struct Speaker {
    dialect: Dialect,
    turns: Mutex<Turns>,
}

/// What the second dialect's peer waits for.
#[derive(Debug)]
struct Turns {
    /// Batches that have had neither `ready` nor `input_wait`; the start counts as one.
    unanswered: usize,
    /// An interrupt that has had no `ready`.
    is_interrupted: bool,
}

impl Speaker {
    pub fn new(dialect: Dialect) -> Speaker {
        Speaker { dialect, turns: Mutex::new(Turns { unanswered: 1, is_interrupted: false }) }
    }

    /// Whether this is the second dialect.
    pub fn is_mcp_repl(&self) -> bool {
        self.dialect == Dialect::McpRepl
    }

    /// A batch was taken.
    pub fn note_batch(&self) {
        self.turns.lock().unanswered += 1;
    }

    /// An interrupt was taken.
    pub fn note_interrupt(&self) {
        self.turns.lock().is_interrupted = true;
    }

    /// Whether the peer waits for a `ready` or an `input_wait`.
    pub fn owes_answer(&self) -> bool {
        let turns = self.turns.lock();
        self.is_mcp_repl() && (turns.unanswered > 0 || turns.is_interrupted)
    }

    /// The line that says `event`, or none where the dialect has no words for it or nobody waits for it.
    ///
    /// Called under the state's lock for all that answers a batch, so that answers are counted in the order in which they are said.
    pub fn encode(&self, event: &Event<'_>) -> Option<Vec<u8>> {
        if !self.is_mcp_repl() {
            return Some(line(event));
        }
        let is_wanted = match event {
            Event::Ready(_) | Event::InputWait { .. } => self.turns.lock().answer(event),
            Event::InputLine { .. } => self.turns.lock().unanswered > 0,
            _ => true,
        };
        if is_wanted { mcp_repl(event).map(|value| line(&value)) } else { None }
    }

    /// Takes what a supervisor said for what it means in the session's dialect; an error ends the session.
    pub fn understand(&self, incoming: Incoming) -> Result<Incoming, &'static str> {
        if !self.is_mcp_repl() {
            return Ok(incoming);
        }
        Ok(match incoming {
            Incoming::Input(batch) => Incoming::Input(InputBatch {
                input: batch.input,
                to: None,
                id: None,
                timeout_ms: None,
                eof: None,
                reader: None,
            }),
            Incoming::Interrupt { .. } => Incoming::Interrupt { id: None },
            Incoming::Shutdown { grace_ms } => Incoming::Shutdown { grace_ms },
            Incoming::Request(_) => return Err("requests are not part of this dialect"),
        })
    }

    /// In the second dialect whoever waits for standard input, a background thread too, takes the next batch.
    ///
    /// `is_awaited`: somebody waits. Called under the state's lock, so that it holds until the batch is routed.
    pub fn direct(&self, batch: &mut InputBatch, is_awaited: bool) {
        if self.is_mcp_repl() {
            batch.to = Some(if is_awaited { To::Stdin } else { To::Cell });
        }
    }

    /// The grace of an end for which nobody named one, where it is not the protocol's own.
    pub fn default_grace_ms(&self) -> Option<u64> {
        self.is_mcp_repl().then_some(MCP_REPL_GRACE_MS)
    }
}

impl Turns {
    /// Counts an answer; false when there is nothing to answer.
    fn answer(&mut self, event: &Event<'_>) -> bool {
        let had_batch = self.unanswered > 0;
        // What never ran was a batch of its own; the interrupt that discarded it is answered by the cell that it stopped.
        let is_discarded = matches!(event, Event::Ready(ready) if ready.outcome == Some(Outcome::Discarded));
        let answers_interrupt = std::mem::take(&mut self.is_interrupted);
        self.unanswered = self.unanswered.saturating_sub(1);
        had_batch || (answers_interrupt && !is_discarded)
    }
}

fn mcp_repl(event: &Event<'_>) -> Option<Value> {
    Some(match event {
        Event::WorkerReady { capabilities, .. } => json!({
            "type": "worker_ready",
            "protocol": {"name": MCP_REPL.0, "version": MCP_REPL.1},
            "worker": {"name": WORKER.name, "version": WORKER.version},
            "capabilities": {"images": capabilities.images},
        }),
        Event::Ready(_) => json!({"type": "ready"}),
        Event::InputWait { prompt, .. } => json!({"type": "input_wait", "prompt": prompt}),
        Event::InputLine { prompt, text, .. } => {
            json!({"type": "input_line", "prompt": prompt, "text": text.unwrap_or("")})
        }
        Event::OutputImage { mime_type, data_b64, source, is_update, .. } => json!({
            "type": "output_image",
            "mime_type": mime_type,
            "data_b64": data_b64,
            "is_update": is_update,
            "source": source,
        }),
        Event::OutputDisplay { .. } => return None,
        Event::SessionEnd(end) => session_end(end),
    })
}

/// `session_end`. The dialect has neither an exit code nor a signal of its own, so the message tells them.
pub(crate) fn session_end(end: &SessionEnd) -> Value {
    let reason = match end.reason {
        EndReason::Shutdown => "shutdown",
        EndReason::RuntimeExit => "runtime_exit",
        EndReason::StartupFailed | EndReason::Crash => "crash",
        EndReason::ProtocolError => "protocol_error",
    };
    let status = || end.exit_code.filter(|code| *code != 0).map(|code| format!("exit status {code}"));
    let mut said = json!({"type": "session_end", "reason": reason});
    if let Some(message) = end.message.clone().or_else(status) {
        said["message"] = message.into();
    }
    said
}
