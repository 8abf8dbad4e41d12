//! A cell on its way through Python: its code, its value, its errors, and the loop that takes one after the other.

mod compile;
mod errors;
pub(crate) mod sources;
pub(crate) mod turns;
