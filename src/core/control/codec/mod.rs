//! The dialects of the channel. A dialect puts events into words, and decides by its [`Policy`] how a session behaves where the
//! two differ; nothing else in the core asks which one is spoken.

mod mcp_repl;
mod worker;

use std::fmt::Debug;
use worker_protocol::config::Dialect;
use worker_protocol::line_writer::TextEncoding;
use worker_protocol::{Event, Incoming, InputBatch};

/// How a session behaves in a dialect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// Fds 0, 1 and 2 become the session's; else the supervisor reads and feeds them itself.
    pub takes_over_stdio: bool,
    /// How printed text is encoded.
    pub encoding: TextEncoding,
    /// Text is in the channel before the call that printed it returns.
    pub flushes_each_write: bool,
    /// The grace of a shutdown that names none, in milliseconds, where it is not the protocol's own.
    pub grace_ms: Option<u64>,
    /// There are no words for a refusal, so what is refused ends the session.
    pub refusals_end_the_session: bool,
    /// Each batch is answered by exactly one `ready` or `input_wait`.
    pub answers_each_batch: bool,
    /// There are JSON-RPC requests, and answers to them.
    pub answers_requests: bool,
}

/// A dialect. All but [`Codec::policy`] and [`Codec::decode`] are called while the session's state is locked, so that answers are
/// counted in the order in which they are emitted.
pub(crate) trait Codec: Debug + Send + Sync {
    /// How a session behaves in it; always the same.
    fn policy(&self) -> Policy;

    /// The line for `event`, its line end included, or none where there are no words for it or nobody waits for it.
    fn encode(&self, event: &Event<'_>) -> Option<Vec<u8>>;

    /// What a message of the supervisor's means in this dialect; an error ends the session.
    fn decode(&self, incoming: Incoming) -> Result<Incoming, &'static str> {
        Ok(incoming)
    }

    /// Names the target of a batch where the dialect has no word for it. `is_awaited`: somebody waits for standard input.
    fn direct(&self, _batch: &mut InputBatch, _is_awaited: bool) {}

    /// A batch was taken.
    fn on_batch(&self) {}

    /// An interrupt was taken.
    fn on_interrupt(&self) {}

    /// Whether the peer waits for a `ready` or an `input_wait` that answers a batch or an interrupt.
    fn owes_answer(&self) -> bool {
        false
    }
}

/// The dialect that a session's configuration names.
pub(crate) fn open(dialect: Dialect) -> Box<dyn Codec> {
    match dialect {
        Dialect::Worker => Box::new(worker::Worker),
        Dialect::McpRepl => Box::new(mcp_repl::McpRepl::new()),
    }
}
