//! Cells: compiling one, its value, its errors, its source for tracebacks, and the loop that runs one after the other.

mod compile;
mod errors;
pub(crate) mod sources;
pub(crate) mod turns;
