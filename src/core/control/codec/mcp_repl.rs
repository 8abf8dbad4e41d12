//! The second dialect, `mcp-repl-worker`: nothing has a name, so the peer takes each `ready` or `input_wait` for the answer to the
//! batch that it sent last. It is counted what the peer waits for, so that each batch has exactly one answer.

use super::{Codec, Policy};
use parking_lot::Mutex;
use serde_json::{Value, json};
use worker_protocol::line_writer::TextEncoding;
use worker_protocol::{EndReason, Event, Incoming, InputBatch, Outcome, SessionEnd, To, WORKER, line};

/// The dialect's name and version.
const NAME_AND_VERSION: (&str, u32) = ("mcp-repl-worker", 6);
/// The grace of a shutdown that names none: the peer kills half a second after it asked.
const GRACE_MS: u64 = 100;

/// The dialect, and what its peer waits for.
#[derive(Debug)]
pub(super) struct McpRepl(Mutex<Turns>);

#[derive(Debug)]
struct Turns {
    /// Batches that have had neither `ready` nor `input_wait`; the start counts as one.
    unanswered: usize,
    /// An interrupt that has had no `ready`.
    is_interrupted: bool,
}

impl McpRepl {
    pub(super) fn new() -> McpRepl {
        McpRepl(Mutex::new(Turns { unanswered: 1, is_interrupted: false }))
    }
}

impl Codec for McpRepl {
    fn policy(&self) -> Policy {
        Policy {
            takes_over_stdio: false,
            encoding: TextEncoding::Base64,
            flushes_each_write: true,
            grace_ms: Some(GRACE_MS),
            refusals_end_the_session: true,
            answers_each_batch: true,
            answers_requests: false,
        }
    }

    fn encode(&self, event: &Event<'_>) -> Option<Vec<u8>> {
        let is_wanted = match event {
            Event::Ready(_) | Event::InputWait { .. } => self.0.lock().answer(event),
            Event::InputLine { .. } => self.0.lock().unanswered > 0,
            _ => true,
        };
        if is_wanted { encode(event).map(|value| line(&value)) } else { None }
    }

    fn decode(&self, incoming: Incoming) -> Result<Incoming, &'static str> {
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

    /// Whoever waits for standard input, a background thread too, takes the next batch.
    fn direct(&self, batch: &mut InputBatch, is_awaited: bool) {
        batch.to = Some(if is_awaited { To::Stdin } else { To::Cell });
    }

    fn on_batch(&self) {
        self.0.lock().unanswered += 1;
    }

    fn on_interrupt(&self) {
        self.0.lock().is_interrupted = true;
    }

    fn owes_answer(&self) -> bool {
        let turns = self.0.lock();
        turns.unanswered > 0 || turns.is_interrupted
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

fn encode(event: &Event<'_>) -> Option<Value> {
    Some(match event {
        Event::WorkerReady { capabilities, .. } => json!({
            "type": "worker_ready",
            "protocol": {"name": NAME_AND_VERSION.0, "version": NAME_AND_VERSION.1},
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
fn session_end(end: &SessionEnd) -> Value {
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
