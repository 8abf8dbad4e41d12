//! The core of `worker`: everything about a session but the runtime that it hosts.
//!
//! A session takes requests from a supervisor, queues cells and standard input, lets an engine run them on the main
//! thread, interrupts it, and streams what happens back. The engines (`python/`, `r/`) link this library and pull from it
//! through [`engine::Engine`]; this library names neither runtime. `docs/architecture.md` is the map.

mod adopted;
mod capture;
pub mod child;
#[cfg(feature = "client")]
pub mod client;
pub mod config;
mod control;
pub mod crash;
mod dialect;
#[cfg(test)]
mod echo;
mod emitter;
pub mod engine;
mod framing;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod host_process;
pub mod interrupt;
#[cfg(feature = "launcher")]
pub mod launcher;
mod line_writer;
mod output;
pub mod protocol;
pub mod reader;
mod session;
#[cfg(any(test, feature = "fuzzing"))]
mod session_model;
mod shared;
pub mod shell;
mod stdin;
mod sys;
pub mod tree;
mod utf8;

pub use emitter::Interrupted;
pub use session::{CellRef, Request};
pub use stdin::Want;

/// Parses what the launcher handed to an engine's entry point.
pub fn parse_config(json: &[u8]) -> Result<config::Config, serde_json::Error> {
    serde_json::from_slice(json)
}
