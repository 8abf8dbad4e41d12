//! Why there is no way for a supervisor to connect, in words that say what to do about it.

use crate::launcher::channel::link::LinkError;
use nix::errno::Errno;
use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;

/// Why there is no way for a supervisor to connect.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another worker, or something else, listens there.
    #[error("{} is in use: something listens on it; choose another path", .0.display())]
    Live(PathBuf),
    /// What is there is no socket.
    #[error("{} exists and is no socket: remove it or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The system refuses the address.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// Which one.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// Something else on the command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// A token that cannot be used.
    #[error("{0}")]
    Token(&'static str),
    /// Descriptor 3 is not what `LISTEN_FDS` says.
    #[error("LISTEN_FDS: descriptor {0} is no stream socket, connected or listening")]
    NotAStream(RawFd),
    /// A socket that strangers can reach.
    #[error(
        "LISTEN_FDS: the socket can be reached from other machines, and whoever connects can run code: set WORKER_TOKEN"
    )]
    Open,
    /// Standard output cannot be written, so nobody would learn where to connect.
    #[error("cannot say on standard output where to connect: {0}")]
    Output(io::Error),
    /// `--parent` names nobody, or the like.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The system refuses something else.
    #[error("cannot wait for a supervisor: {0}")]
    Io(#[from] io::Error),
}

impl From<Errno> for ListenError {
    fn from(error: Errno) -> Self {
        ListenError::Io(error.into())
    }
}
