//! What a session may use and do: whether this machine can enforce what was asked for, and the enforcement.

pub mod cgroup;
pub mod enforce;
pub mod monitor;
pub mod sandbox;
