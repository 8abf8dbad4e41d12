//! The executable: from the command line to a runtime with an engine in it.

mod bundle;
pub mod cli;
mod elf;
mod probe;
mod pyenv;
pub mod python;
pub mod r;
mod search;
mod sys;
