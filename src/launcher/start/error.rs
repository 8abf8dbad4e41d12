//! Why a session does not start, in words that say what to do about it.

use crate::launcher::limits::enforce::LimitError;
use crate::launcher::runtimes::python_error::PythonError;
use crate::launcher::runtimes::r::RError;
use std::error::Error as _;
use std::io;
use std::path::PathBuf;

/// Why a session does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No Python.
    #[error(transparent)]
    Python(#[from] PythonError),
    /// No R.
    #[error(transparent)]
    R(#[from] RError),
    /// `--cwd` leads nowhere.
    #[error("cannot work in {}: {error} (--cwd)", folder.display())]
    Folder {
        /// The directory.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No temporary directory.
    #[error("cannot make a temporary directory in {}: {error}; set TMPDIR to one that can be written", folder.display())]
    TemporaryFolder {
        /// Where.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The build left the engine out.
    #[error("this worker was built without its {0} engine: build it anew (for R on a machine that has R)")]
    NoEngine(&'static str),
    /// The dynamic linker refuses a library of the runtime.
    #[error(
        "cannot load {}: {}; install it, or name another interpreter with --python PATH or --r-home PATH",
        library.display(),
        reason(error)
    )]
    Library {
        /// The library.
        library: PathBuf,
        /// The linker's words.
        error: libloading::Error,
    },
    /// The dynamic linker refuses the engine.
    #[error("cannot load the engine: {}", reason(.0))]
    Engine(libloading::Error),
    /// The interpreter could not be executed.
    #[error("cannot execute {}: {error}", program.display())]
    Exec {
        /// The program.
        program: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A limit that could be enforced a moment ago.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The system refuses something else.
    #[error("cannot start the session: {0}")]
    Io(#[from] io::Error),
}

/// The dynamic linker's own words.
pub fn reason(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}
