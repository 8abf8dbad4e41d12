//! R in this process and the session that it serves: the ground that all other rooms stand on.

pub(crate) mod api;
pub(crate) mod own;
pub(crate) mod session;
pub(crate) mod thread;
pub(crate) mod top;
