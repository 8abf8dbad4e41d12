//! Why there is no Python to host, in words that say what to do about it.

use std::io;
use std::path::PathBuf;

/// Why there is no Python to host, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    /// Nothing was named and nothing was found.
    #[error("no Python found: neither $VIRTUAL_ENV, $CONDA_PREFIX, a .venv upwards of {}, nor python3 on PATH; name one with --python PATH", .0.display())]
    Nowhere(PathBuf),
    /// The named one is not there.
    #[error("no such interpreter: {} ({origin}); name one that is there with --python PATH, or a version: --python 3.12", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
        /// What named it.
        origin: &'static str,
    },
    /// A name without a slash that is not on PATH.
    #[error("no {} on PATH (--python); name an interpreter, the folder of an environment, or a version such as 3.12", .0.display())]
    NotOnPath(PathBuf),
    /// No Python of a version that is asked for.
    #[error(
        "no Python {version} found: looked {looked}; install it, or name another with --python VERSION or --python PATH"
    )]
    NoVersion {
        /// The version.
        version: String,
        /// Where it is not.
        looked: String,
    },
    /// A version that is too old is asked for.
    #[error("Python {0} is too old to be hosted (--python): 3.10 or newer is needed, such as --python 3.12")]
    TooOldVersion(String),
    /// A free-threaded build is asked for.
    #[error(
        "a free-threaded build of Python has another ABI and cannot be hosted (--python): ask for an ordinary one, --python {0}"
    )]
    FreeThreadedVersion(String),
    /// It cannot be executed.
    #[error("{} ({origin}) is not executable; name an interpreter or the folder of an environment with --python PATH", path.display())]
    NotExecutable {
        /// The path.
        path: PathBuf,
        /// What named it.
        origin: &'static str,
    },
    /// A virtual environment whose Python is gone.
    #[error("the virtual environment {} is broken: {what} is gone; make the environment anew, or name another Python with --python PATH", folder.display())]
    BrokenVenv {
        /// The environment.
        folder: PathBuf,
        /// What is missing.
        what: String,
    },
    /// A virtual environment without a Python.
    #[error("{} ({origin}) has no bin/python; name the folder of an environment, make the environment anew, or name an interpreter with --python PATH", folder.display())]
    EmptyEnvironment {
        /// The environment.
        folder: PathBuf,
        /// What named it.
        origin: &'static str,
    },
    /// pyenv has nothing of that name in force.
    #[error(
        "pyenv has no {name} in version {versions} (set by {origin}): install that version, choose another with `pyenv local`, or name a Python with --python PATH"
    )]
    Pyenv {
        /// The command.
        name: String,
        /// The versions that are in force.
        versions: String,
        /// What set them.
        origin: String,
    },
    /// It is something else.
    #[error("{} is not CPython: {why}; name another with --python PATH", path.display())]
    NotPython {
        /// The path.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// It is another implementation of Python.
    #[error("{} is {name} (Python {}.{}): only CPython 3.10 or newer can be hosted; name one with --python PATH", path.display(), version.0, version.1)]
    OtherImplementation {
        /// The path.
        path: PathBuf,
        /// What it calls itself.
        name: String,
        /// The version of the language.
        version: (u32, u32),
    },
    /// It is too old.
    #[error("{} is Python {}.{}: 3.10 or newer is needed; name one with --python PATH", path.display(), version.0, version.1)]
    TooOld {
        /// The path.
        path: PathBuf,
        /// Its version.
        version: (u32, u32),
    },
    /// It is free-threaded.
    #[error("{} is a free-threaded build of Python, which has another ABI: name an ordinary build with --python PATH", .0.display())]
    FreeThreaded(PathBuf),
    /// It could not be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}
