//! Where a runtime is looked for: the session's environment and directory, given as values so that tests can make them up.

use nix::unistd::{AccessFlags, access};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where to look.
pub struct Search<'a> {
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// The directory that the session works in.
    pub cwd: &'a Path,
    /// The directory of whoever starts the session: relative paths of the command line start here.
    pub from: &'a Path,
    /// Where answers of probes are kept.
    pub cache: Option<&'a Path>,
}

impl Search<'_> {
    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// The first executable file of this name on PATH, leaving out one folder.
    pub fn on_path(&self, name: &str, except: Option<&Path>) -> Option<PathBuf> {
        self.all_on_path(name).find(|file| except.is_none() || file.parent() != except)
    }

    /// Every executable file of this name on PATH, in its order.
    pub fn all_on_path(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        let path = self.variable("PATH").unwrap_or_default();
        let folders: Vec<_> = std::env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty()).collect();
        folders
            .into_iter()
            .map(move |folder| self.cwd.join(folder).join(name))
            .filter(|file| file.is_file() && is_executable(file))
    }
}

/// Whether this process may execute a file.
pub fn is_executable(path: &Path) -> bool {
    access(path, AccessFlags::X_OK).is_ok()
}
