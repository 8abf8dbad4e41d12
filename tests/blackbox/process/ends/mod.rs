//! How a process ends: its own way, by a crash, by its supervisor, and what is told.

mod crashes;
mod death;
mod exits;
mod faults;
mod lost;
