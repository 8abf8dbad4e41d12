//! Requests that only the interpreter can answer.

pub(crate) mod answer;
mod token_at_cursor;
