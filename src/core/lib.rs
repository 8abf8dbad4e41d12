//! The core of `worker`: everything about a session but the runtime that it hosts.
//!
//! A session takes requests from a supervisor, queues cells and standard input, lets an engine run them on the main
//! thread, interrupts it, and streams what happens back. The engines (`python/`, `r/`) link this library and pull from it
//! through [`engine::Engine`]; this library names neither runtime. `docs/architecture.md` is the map.
//!
//! Its folders, each of which imports only from those before it: `session` and `output`, `signals`, `process`, `control`,
//! `engine`.

mod control;
pub mod engine;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod output;
pub mod process;
mod session;
pub mod signals;
mod timeouts;

pub use output::emitter::Interrupted;
pub use session::stdin::Want;
pub use session::{CellRef, Request};
pub use worker_protocol::config;

/// Parses what the launcher handed to an engine's entry point.
pub fn parse_config(json: &[u8]) -> Result<config::Config, serde_json::Error> {
    serde_json::from_slice(json)
}
