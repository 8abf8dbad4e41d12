//! The process: signals, interrupts, ends, crashes, limits, children.

mod circumstances;
mod crashes;
mod death;
mod descendants;
mod exits;
mod faults;
mod init;
mod interrupts;
mod isolation;
mod limits;
mod lost;
mod resends;
mod startup;
pub mod storms;
