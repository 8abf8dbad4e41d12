//! The two dialects: which messages of ours are said, and in which words.

use crate::config::Dialect;
use crate::protocol::{EndReason, Event, Outcome, WORKER, line};
use serde_json::json;

/// The second dialect's name and version.
const MCP_REPL: (&str, u32) = ("mcp-repl-worker", 6);

/// The line that says `event`, or none where the dialect has no words for it.
pub(crate) fn encode(dialect: Dialect, event: &Event<'_>) -> Option<Vec<u8>> {
    match dialect {
        Dialect::Worker => Some(line(event)),
        Dialect::McpRepl => mcp_repl(event).map(|value| line(&value)),
    }
}

fn mcp_repl(event: &Event<'_>) -> Option<serde_json::Value> {
    Some(match event {
        Event::WorkerReady { capabilities, .. } => json!({
            "type": "worker_ready",
            "protocol": {"name": MCP_REPL.0, "version": MCP_REPL.1},
            "worker": {"name": WORKER.name, "version": WORKER.version},
            "capabilities": {"images": capabilities.images},
        }),
        // Without ids a `ready` of a cell that never ran would answer another batch.
        Event::Ready(ready) if ready.outcome == Some(Outcome::Discarded) => return None,
        Event::Ready(_) => json!({"type": "ready"}),
        Event::InputWait { prompt, .. } => json!({"type": "input_wait", "prompt": prompt}),
        Event::InputLine { prompt, text, .. } => json!({"type": "input_line", "prompt": prompt, "text": text.unwrap_or("")}),
        Event::OutputImage { mime_type, data_b64, source, is_update, .. } => json!({
            "type": "output_image",
            "mime_type": mime_type,
            "data_b64": data_b64,
            "is_update": is_update,
            "source": source,
        }),
        Event::OutputDisplay { .. } => return None,
        Event::SessionEnd(end) => {
            let reason = match end.reason {
                EndReason::Shutdown => "shutdown",
                EndReason::RuntimeExit => "runtime_exit",
                EndReason::StartupFailed | EndReason::Crash => "crash",
                EndReason::ProtocolError => "protocol_error",
            };
            json!({"type": "session_end", "reason": reason, "message": end.message})
        }
    })
}
