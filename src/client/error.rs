//! What can go wrong for a supervisor, one type for each thing that it does.

use super::event::RpcError;
use super::exit::Exit;
use std::io;
use std::path::PathBuf;

/// A worker could not be started at all. (One that starts and then fails says so by its ending.)
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The program cannot be run.
    #[error("cannot run {}: {source}", program.display())]
    Program {
        /// Which program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no channel or no thread.
    #[error("cannot set up the channel: {0}")]
    Channel(#[from] io::Error),
}

/// There is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoEvent {
    /// None came in time.
    #[error("no event came in time")]
    TimedOut,
    /// The worker has said its last.
    #[error("the worker has closed its channel")]
    Closed,
}

/// A worker that did not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program could not be run.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// It ended before it was ready.
    #[error("the worker {0}")]
    Ended(Box<Exit>),
    /// It was not ready in time.
    #[error("the worker was not ready in time")]
    TimedOut,
}

/// A request without a result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The worker refused it.
    #[error(transparent)]
    Refused(#[from] RpcError),
    /// The answer did not come.
    #[error(transparent)]
    NoAnswer(#[from] NoEvent),
    /// It could not be sent.
    #[error(transparent)]
    Send(#[from] io::Error),
}
