//! The process: signals, interrupts, ends, crashes, limits, children.

mod circumstances;
mod descendants;
mod ends;
mod init;
mod interrupts;
mod isolation;
mod limits;
mod resends;
mod startup;
mod storms;
