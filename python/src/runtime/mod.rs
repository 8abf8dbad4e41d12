//! CPython in this process and the session that it serves. All other folders use this one; it uses none of them.

pub(crate) mod code;
pub(crate) mod embedded;
pub(crate) mod globals;
pub(crate) mod patched_function;
pub(crate) mod session;
pub(crate) mod signals;
pub(crate) mod wait;
