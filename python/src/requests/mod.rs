//! A supervisor's requests to the interpreter: whether source is complete, completions, documentation, variables.

pub(crate) mod answer;
