//! This process and those that come from it.

pub mod descendants;
pub mod fork;
pub(crate) mod host;
pub mod shell;
