//! The control side: what the engine's side and it share, the thread that reads requests, and the dialects.

pub(crate) mod codec;
pub(crate) mod shared;
pub(crate) mod thread;
