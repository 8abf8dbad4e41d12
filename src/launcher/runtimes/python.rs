//! Finds the user's Python and how to bring it up, by looking at files and without running it.
//!
//! The interpreter's path is kept as it was chosen: CPython finds the virtual environment from it.

use crate::launcher::runtimes::elf;
use crate::launcher::runtimes::probe;
use crate::launcher::runtimes::pyenv;
use crate::launcher::runtimes::python_error::PythonError;
use crate::launcher::runtimes::search::{Search, is_executable};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The oldest CPython that the engine runs under.
pub const OLDEST: (u32, u32) = (3, 10);

/// A Python to host.
#[derive(Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The path as it was chosen, absolute and not resolved.
    pub executable: PathBuf,
    /// Its major and minor version.
    pub version: (u32, u32),
    /// How it comes up.
    pub route: Route,
}

/// How a Python comes up.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// In this process, from its shared library: a path, or a bare name that the system finds.
    Library(PathBuf),
    /// By executing it, since it has its library within.
    Exec,
}

/// The interpreter of an environment; a dangling link counts, so that the error can say that it dangles.
pub fn environment(folder: &Path) -> Option<PathBuf> {
    ["python", "python3"]
        .iter()
        .map(|name| folder.join("bin").join(name))
        .find(|path| fs::symlink_metadata(path).is_ok())
}

/// What an interpreter is, by looking at it.
pub fn inspect(path: PathBuf, origin: &'static str, search: &Search<'_>) -> Result<Interpreter, PythonError> {
    let venv = Venv::of(&path);
    let real = match fs::canonicalize(&path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(match (venv, fs::read_link(&path)) {
                (Some(venv), link) => {
                    let what = link.map_or_else(|_| path.clone(), |link| path.with_file_name(link));
                    PythonError::BrokenVenv { folder: venv.folder, what: what.display().to_string() }
                }
                _ => PythonError::Missing { path, origin },
            });
        }
        Err(error) => return Err(PythonError::Io { path, error }),
    };
    if !real.is_file() || !is_executable(&real) {
        return Err(PythonError::NotExecutable { path, origin });
    }
    if let Some(venv) = &venv
        && let Some(home) = &venv.home
        && !home.is_dir()
    {
        return Err(PythonError::BrokenVenv { folder: venv.folder.clone(), what: home.display().to_string() });
    }
    let io_error = |error| PythonError::Io { path: path.clone(), error };
    if starts_with_script_mark(&real).map_err(io_error)? {
        if let (Some(root), Some(name)) = (pyenv::root_of_shim(&path, search), path.file_name()) {
            let found = pyenv::resolve(&root, &name.to_string_lossy(), search)?;
            return inspect(found, origin, search);
        }
        // A wrapper sets up things of its own, so it is run as it is.
        return probed(path, search);
    }
    let Some(executable) = elf::read(&real).map_err(io_error)? else { return probed(path, search) };
    match executable.needed.iter().find_map(|name| Some((name, library_version(name)?))) {
        Some((name, (version, flags))) => {
            check(&path, version, flags.contains('t'))?;
            let library = locate(name, &executable, venv.as_ref(), search);
            Ok(Interpreter { executable: path, version, route: Route::Library(library) })
        }
        None if executable.exports_python => {
            let version = executable_version(&real).or_else(|| venv.and_then(|venv| venv.version));
            let Some(version) = version else { return probed(path, search) };
            check(&path, version, executable.exports_free_threaded)?;
            Ok(Interpreter { executable: path, version, route: Route::Exec })
        }
        None => probed(path, search),
    }
}

fn check(path: &Path, version: (u32, u32), free_threaded: bool) -> Result<(), PythonError> {
    if version < OLDEST {
        return Err(PythonError::TooOld { path: path.to_path_buf(), version });
    }
    if free_threaded {
        return Err(PythonError::FreeThreaded(path.to_path_buf()));
    }
    Ok(())
}

fn probed(path: PathBuf, search: &Search<'_>) -> Result<Interpreter, PythonError> {
    let answer = probe::ask(&path, search.cache)
        .map_err(|error| PythonError::NotPython { path: path.clone(), why: error.to_string() })?;
    if answer.implementation != "cpython" && answer.implementation != "?" {
        let (name, version) = (answer.implementation, answer.version);
        return Err(PythonError::OtherImplementation { path, name, version });
    }
    check(&path, answer.version, answer.free_threaded)?;
    Ok(Interpreter { executable: path, version: answer.version, route: Route::Exec })
}

fn starts_with_script_mark(path: &Path) -> io::Result<bool> {
    let mut start = [0; 2];
    let length = File::open(path)?.read(&mut start)?;
    Ok(&start[..length] == b"#!")
}

/// The library's full path where it is known, in the order in which the system would search. A name that is a path
/// already stays what it is.
fn locate(name: &str, executable: &elf::Executable, venv: Option<&Venv>, search: &Search<'_>) -> PathBuf {
    let environment = search.variable("LD_LIBRARY_PATH").unwrap_or_default();
    // An environment made with --copies has an executable that was moved away from its library.
    let beside_home = venv.and_then(|venv| venv.home.as_ref()).and_then(|home| Some(home.parent()?.join("lib")));
    let folders = executable.rpath.iter().cloned();
    folders
        .chain(std::env::split_paths(&environment))
        .chain(executable.runpath.iter().cloned())
        .chain(beside_home)
        .map(|folder| folder.join(name))
        .find(|path| path.is_absolute() && path.is_file())
        .unwrap_or_else(|| name.into())
}

/// `libpython3.13t.so.1.0` is version 3.13 with the flag `t`.
pub(super) fn library_version(name: &str) -> Option<((u32, u32), &str)> {
    let name = name.rsplit('/').next()?;
    let (version, _) = name.strip_prefix("libpython")?.split_once(".so")?;
    split_version(version)
}

/// `python3.11` is version 3.11.
pub(super) fn executable_version(path: &Path) -> Option<(u32, u32)> {
    let name = path.file_name().and_then(OsStr::to_str)?;
    split_version(name.strip_prefix("python")?).map(|(version, _)| version)
}

pub(super) fn split_version(text: &str) -> Option<((u32, u32), &str)> {
    let (major, rest) = text.split_once('.')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some(((major.parse().ok()?, rest[..end].parse().ok()?), &rest[end..]))
}

/// A virtual environment, as its `pyvenv.cfg` describes it.
struct Venv {
    folder: PathBuf,
    home: Option<PathBuf>,
    version: Option<(u32, u32)>,
}

impl Venv {
    /// The environment that an interpreter belongs to, found as CPython finds it.
    fn of(interpreter: &Path) -> Option<Venv> {
        let bin = interpreter.parent()?;
        let folder = [Some(bin), bin.parent()].into_iter().flatten().find(|at| at.join("pyvenv.cfg").is_file())?;
        let text = fs::read_to_string(folder.join("pyvenv.cfg")).ok()?;
        let value = |wanted: &[&str]| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find(|(key, _)| wanted.contains(&key.trim().to_lowercase().as_str()))
                .map(|(_, value)| value.trim().to_owned())
        };
        Some(Venv {
            folder: folder.to_path_buf(),
            home: value(&["home"]).map(PathBuf::from),
            version: value(&["version", "version_info"]).and_then(|text| Some(split_version(&text)?.0)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_names() {
        assert_eq!(library_version("libpython3.11.so.1.0"), Some(((3, 11), "")));
        assert_eq!(library_version("libpython3.13t.so.1.0"), Some(((3, 13), "t")));
        assert_eq!(library_version("libpython3.so"), None);
        assert_eq!(library_version("libc.so.6"), None);
        assert_eq!(executable_version(Path::new("/usr/bin/python3.11")), Some((3, 11)));
        assert_eq!(executable_version(Path::new("/usr/bin/python3")), None);
    }
}
