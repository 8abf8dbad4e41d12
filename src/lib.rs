//! The core of `worker`: the protocol, the session behind it, and (feature `client`) the supervisor's side.

#[cfg(feature = "client")]
pub mod client;
pub mod protocol;
