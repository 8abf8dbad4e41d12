//! Signals: SIGINT on its way to the running cell, SIGTERM and SIGHUP as requests to end, and faults.

pub mod crash;
mod dedup;
mod flags;
mod handler;
pub mod interrupt;
mod mask;
#[cfg(test)]
mod safety;
mod sigint_state;
mod terminate;
