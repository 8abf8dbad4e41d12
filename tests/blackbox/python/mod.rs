//! A Python session.

mod cells;
mod future_cells;
mod g1_matplotlib;
mod hygiene;
pub mod layouts;
mod output;
mod printing;
mod prompt;
mod prompts;
mod readers;
mod redirects;
mod requests_python;
mod stand_ins;
mod stdin;
mod subinterpreters;
mod threads;
mod tools;
mod tracebacks;
mod transcripts;
