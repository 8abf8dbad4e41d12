//! The start of a session: what is to be loaded, in which environment, and the call of the engine.

pub mod bundle;
pub mod dlopen;
pub mod environment;
pub mod error;
pub mod exec;
pub mod init;
pub mod invocation;
pub mod locale;
pub mod plan;

use std::process::ExitCode;

/// Says on standard error why there is no session, for when there is no channel yet; gives the exit status of wrong usage.
pub fn refuse(why: impl std::fmt::Display) -> ExitCode {
    eprintln!("worker: {why}");
    ExitCode::from(2)
}
