//! The console: the supervisor's side for a person at a terminal.

pub mod echo;
pub mod interrupts;
pub mod repl;
pub mod screen;
pub mod terminal;
