//! CPython in this process and the session that it serves: the ground that all other rooms stand on.

pub(crate) mod code;
pub(crate) mod embedded;
pub(crate) mod globals;
pub(crate) mod patched_function;
pub(crate) mod session;
pub(crate) mod signals;
pub(crate) mod wait;
