//! What a session knows: the queue, the running cell, the waits for standard input, and how far its end has come.
//!
//! Plain data and plain decisions, without a thread, a descriptor or a clock of its own. [`State`] stands under one lock. Its
//! fields are this room's alone: whoever holds the lock calls a transition (`on_…`), gives it the time where it needs one,
//! and does what the [`Effects`] that it gives ask for.

pub(crate) mod adopted;
mod effects;
mod ending;
mod interrupts;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod model;
mod parts;
mod reads;
mod routing;
mod state;
pub(crate) mod stdin;

pub(crate) use effects::{Effects, Emit};
pub(crate) use interrupts::Interrupt;
pub(crate) use parts::Running;
pub use parts::{CellRef, Request};
pub(crate) use reads::{BatchAnswer, NewWait};
pub(crate) use state::{NextTurn, State};
