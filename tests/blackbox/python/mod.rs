//! A Python session.

mod cells;
mod future_cells;
mod g1_matplotlib;
mod hygiene;
mod layouts;
mod prompt;
mod requests_python;
mod stand_ins;
mod stdio;
mod tools;
mod tracebacks;
mod transcripts;
