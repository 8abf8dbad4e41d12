//! What the tests share: a session under test, the interpreters, a made-up peer.

pub mod asking;
pub mod closing;
pub mod harness;
pub mod limits;
pub mod peer;
pub mod pythons;
pub mod r;
pub mod random;
pub mod said;
