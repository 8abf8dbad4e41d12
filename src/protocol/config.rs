//! What the launcher tells an engine about the session it is to host, handed over as JSON.
//!
//! The launcher and the engine are separate shared objects, so nothing but bytes crosses between them.

use serde::{Deserialize, Serialize};
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The environment variable that marks every process of a session; its value is the session's [`Config::marker`].
pub const MARKER: &str = "WORKER_SESSION";

/// Everything that an engine needs in order to open a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// The language that the engine hosts.
    pub lang: Lang,
    /// The session's name, as `--session-id` gave it or as the launcher minted it.
    pub session_id: String,
    /// A UUID of this session's own, which every process of the session has in its environment ([`MARKER`]).
    pub marker: String,
    /// Where requests come from and events go to.
    pub channel: Channel,
    /// Which protocol is spoken over the channel.
    pub dialect: Dialect,
    /// A close-on-exec copy of the first stderr, for the worker's own diagnostics.
    pub diagnostics_fd: RawFd,
    /// The session's own temporary directory, removed at its end.
    pub temp_dir: Option<PathBuf>,
    /// End when this process ends (`--parent`), as a pidfd.
    pub parent_pidfd: Option<RawFd>,
    /// End when this descriptor, the first stdin, is at its end (`--stdio-control`).
    pub control_stdin: Option<RawFd>,
    /// The socket file of `--listen unix:PATH`, removed at the session's end.
    #[serde(default)]
    pub socket_file: Option<SocketFile>,
    /// The socket that `--listen` took its supervisor from: whoever comes second is told that there is one.
    #[serde(default)]
    pub listener: Option<RawFd>,
    /// An engine that runs in an exec'd interpreter writes one byte here once it is up: until then a monitor process would say
    /// that the start failed.
    pub startup_pipe: Option<RawFd>,
    /// One byte is written here when the session has said its end: until then somebody outside of its limits would say that
    /// they ended it.
    #[serde(default)]
    pub end_pipe: Option<RawFd>,
    /// What `worker_ready.capabilities.limits` says; absent when no limit was asked for.
    pub limits: Option<serde_json::Value>,
    /// How to bring up Python; present when `lang` is Python.
    pub python: Option<PythonConfig>,
    /// How to bring up R; present when `lang` is R.
    pub r: Option<RConfig>,
    /// The size of a plot.
    pub plot: PlotSize,
}

/// A socket's file, told by more than its name: another worker may have put its own there since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketFile {
    /// Where it is, from the root.
    pub path: PathBuf,
    /// The file system that holds it.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

impl SocketFile {
    /// The socket file that is at `path` now.
    pub fn at(path: PathBuf) -> std::io::Result<SocketFile> {
        let found = path.symlink_metadata()?;
        Ok(SocketFile { device: found.dev(), inode: found.ino(), path })
    }

    /// Removes it, unless something else has come to its place.
    pub fn remove(&self) {
        if SocketFile::at(self.path.clone()).is_ok_and(|now| now == *self) {
            // Somebody who removed it between the two calls did what was wanted.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A language that a worker can host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// CPython 3.10 or newer.
    Python,
    /// R 4.1 or newer.
    R,
}

impl Lang {
    /// The name of the language on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Lang::Python => "python",
            Lang::R => "r",
        }
    }
}

/// The two ends of the channel; both are the same descriptor when it is a socket.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Channel {
    /// Requests are read from here.
    pub request_fd: RawFd,
    /// Events are written here.
    pub event_fd: RawFd,
}

/// Which protocol is spoken over the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// `interpreter-worker` version 1, this project's own.
    Worker,
    /// `mcp-repl-worker` version 6.
    McpRepl,
}

/// How to bring up Python.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PythonConfig {
    /// The interpreter as it was chosen, not resolved: CPython finds the virtual environment from it.
    pub executable: PathBuf,
    /// Run `PYTHONSTARTUP` before the first cell.
    pub startup: bool,
}

/// How to bring up R.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RConfig {
    /// R's home directory.
    pub home: PathBuf,
    /// Further arguments for R, such as `--no-site-file`.
    pub args: Vec<String>,
}

/// The size of a plot: inches and dots per inch.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct PlotSize {
    /// Width in inches.
    pub width: f64,
    /// Height in inches.
    pub height: f64,
    /// Dots per inch.
    pub dpi: f64,
}

impl Default for PlotSize {
    fn default() -> Self {
        PlotSize { width: 7.0, height: 5.0, dpi: 96.0 }
    }
}
