//! An R session.

mod cells;
mod examples;
mod interrupts;
mod jumps;
mod life;
mod outcomes;
mod plots;
mod reads;
mod requests;
mod versions;
