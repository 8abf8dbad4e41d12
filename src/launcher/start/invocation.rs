//! How this process was started: by whoever wants a session, or once more by itself.
//!
//! The dynamic linker reads `LD_LIBRARY_PATH` when a process starts. A launcher that has to change it prepares everything else
//! and then executes itself anew.

use crate::launcher::channel::link::Link;
use crate::launcher::options::{Accepted, Options, Transport};
use crate::launcher::start::error::StartError;
use crate::launcher::{process, variables};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

/// Set for the process that executes itself anew: the directory that the first one was started in. Its presence says
/// that environment and directory are the session's already.
const PREPARED: &str = "WORKER_PREPARED";

/// How this process was started.
pub struct Invocation {
    /// The directory of whoever started the worker; relative paths of the command line start here.
    pub folder: PathBuf,
    /// This process was executed by itself and finds everything prepared.
    pub is_prepared: bool,
    /// `LD_LIBRARY_PATH`, which the dynamic linker has read.
    pub linker_path: Option<OsString>,
}

impl Invocation {
    /// Notes it; call it before anything changes.
    pub fn note() -> Invocation {
        let prepared = std::env::var_os(PREPARED);
        variables::remove(PREPARED);
        let is_prepared = prepared.is_some();
        let folder = prepared.map(PathBuf::from).or_else(|| std::env::current_dir().ok());
        Invocation {
            folder: folder.unwrap_or_else(|| "/".into()),
            is_prepared,
            linker_path: std::env::var_os("LD_LIBRARY_PATH"),
        }
    }
}

/// Executes the launcher once more, for a dynamic linker that reads the new environment.
pub fn run_anew(options: &Options, invocation: &Invocation, link: &Link) -> StartError {
    variables::set(PREPARED, &invocation.folder);
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    match &options.transport {
        Transport::Accepted(Accepted { socket, listener, .. }) => {
            let listener = listener.map(|fd| format!(",{fd}")).unwrap_or_default();
            arguments.extend(["--accepted".into(), format!("{socket}{listener}").into()]);
            if let Err(error) = link.keep_given() {
                return error.into();
            }
        }
        // The variables that said so are gone from the environment.
        Transport::Fds(read, write) if options.by_environment => {
            let fds = format!("{read},{write}");
            arguments.extend(["--ipc-fd".into(), fds.into(), "--dialect".into(), "mcp-repl".into()]);
        }
        _ => {}
    }
    let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
    // By its path, which keeps its name in lists of processes; by the link when the file was replaced or removed.
    let program = std::env::current_exe().unwrap_or_default();
    let error = match process::exec(program.as_os_str(), &arguments) {
        error if error.kind() == io::ErrorKind::NotFound => process::exec("/proc/self/exe".as_ref(), &arguments),
        error => error,
    };
    StartError::Exec { program, error }
}
