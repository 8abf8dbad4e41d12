//! The project's own protocol, `interpreter-worker`: `docs/protocol.md`.

use super::{Codec, Policy};
use worker_protocol::line_writer::TextEncoding;
use worker_protocol::{Event, line};

/// The protocol; it keeps nothing.
#[derive(Debug)]
pub(super) struct Worker;

impl Codec for Worker {
    fn policy(&self) -> Policy {
        Policy {
            takes_over_stdio: true,
            encoding: TextEncoding::Text,
            flushes_each_write: false,
            grace_ms: None,
            refusals_end_the_session: false,
            answers_each_batch: false,
            answers_requests: true,
        }
    }

    fn encode(&self, event: &Event<'_>) -> Option<Vec<u8>> {
        Some(line(event))
    }
}
