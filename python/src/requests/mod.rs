//! What a supervisor asks of the interpreter: whether source is complete, completions, documentation, variables.

pub(crate) mod answer;
