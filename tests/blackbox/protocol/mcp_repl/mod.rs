//! The second dialect, `mcp-repl-worker` 6.

mod ends;
mod peer;
mod transcripts;
mod waits;
