//! What the command line asks for, as plain data: the rest of the launcher reads it and knows nothing of its syntax.

pub mod cli;
pub mod limits;

use limits::Limits;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;
use worker_protocol::config::{Dialect, Lang, PlotSize};

/// What the command line asks for.
#[derive(Debug)]
pub struct Options {
    /// How the supervisor is reached.
    pub transport: Transport,
    /// The environment said how it is reached.
    pub by_environment: bool,
    /// The protocol to speak.
    pub dialect: Dialect,
    /// The language to host.
    pub lang: Lang,
    /// `--python`.
    pub python: Option<PathBuf>,
    /// `--r-home`.
    pub r_home: Option<PathBuf>,
    /// `--session-id`.
    pub session_id: Option<String>,
    /// `--startup`.
    pub startup: bool,
    /// `--plot`.
    pub plot: PlotSize,
    /// `--cwd`.
    pub cwd: Option<PathBuf>,
    /// `--env`, in order.
    pub set_env: Vec<(OsString, OsString)>,
    /// `--clear-env`.
    pub clear_env: bool,
    /// `--limit`, `--no-network`, `--write-only`, `--read-only`.
    pub limits: Limits,
    /// `--parent`.
    pub parent: Option<i32>,
    /// `--stdio-control`.
    pub stdio_control: bool,
    /// The session belongs to a console and keeps the terminal's process group.
    pub in_console: bool,
}

/// How the supervisor is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Inherited descriptors: requests from the first, events to the second.
    Fds(RawFd, RawFd),
    /// Requests on fd 0, events on fd 1.
    Stdio,
    /// Bind and take one supervisor.
    Listen(ListenAddress),
    /// Take the supervisor from the socket that was handed over (`LISTEN_FDS`).
    Handed,
    /// The supervisor has been taken.
    Accepted(Accepted),
    /// A person at a terminal.
    Console,
}

/// A supervisor that has connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The connection.
    pub socket: RawFd,
    /// The listening socket, where it is the worker's own.
    pub listener: Option<RawFd>,
    /// Where that one is bound.
    pub address: Option<ListenAddress>,
}

/// Where `--listen` binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// A loopback address.
    Tcp(SocketAddr),
}
