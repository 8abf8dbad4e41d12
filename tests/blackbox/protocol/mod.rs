//! The messages: routing, refusals, requests, the queue, the end, the second dialect.

mod discarding;
mod ending;
mod malformed;
mod mcp_repl;
mod merging;
mod refusals;
mod requests;
mod routing;
