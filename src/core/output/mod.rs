//! Everything that a session emits on its way into the channel.

pub(crate) mod capture;
pub(crate) mod emitter;
pub(crate) mod thread;
pub(crate) mod utf8;
