//! A Python that is asked for by its version, as uv, py and tox take it, and the places where it is looked for.

use crate::launcher::runtimes::probe;
use crate::launcher::runtimes::python::{self, Interpreter, OLDEST};
use crate::launcher::runtimes::python_error::PythonError;
use crate::launcher::runtimes::search::Search;
use std::fs;
use std::path::{Path, PathBuf};

/// What a request such as `3.12` or `python3.12` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A version.
    Version(Version),
    /// A free-threaded build, of this version.
    FreeThreaded(Version),
}

/// A version as far as it is given: `3`, `3.12`, `3.12.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    major: u32,
    minor: Option<u32>,
    patch: Option<u32>,
}

impl std::fmt::Display for Version {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.major)?;
        [self.minor, self.patch].iter().flatten().try_for_each(|part| write!(out, ".{part}"))
    }
}

/// Reads `3`, `3.12`, `3.12.1`, `312`, each also after `python`, `cpython`, `py` or `cp`, with `@` or `-` between or without,
/// and with `t` or `+freethreaded` behind, and as uv lists them. Anything else is None. So is `python3`: it is the name of a command.
pub fn parse(text: &str) -> Option<Request> {
    let text = text.to_ascii_lowercase();
    let rest = ["cpython", "python", "cp", "py"].iter().find_map(|name| text.strip_prefix(name));
    let rest = rest.map_or(text.as_str(), |rest| rest.strip_prefix(['@', '-']).unwrap_or(rest));
    // uv's own name of a version goes on with the platform: `cpython-3.12.1-linux-x86_64-gnu`.
    let rest = rest.split_once("-linux-").map_or(rest, |(version, _)| version);
    let ordinary = rest.strip_suffix('t').or_else(|| rest.strip_suffix("+freethreaded"));
    let mut parts = ordinary.unwrap_or(rest).split('.').map(number);
    let (mut major, mut minor, patch) = (parts.next()??, parts.next(), parts.next());
    if parts.next().is_some() {
        return None;
    }
    if minor.is_none() && (30..4000).contains(&major) {
        // The first digit is the major version.
        let digits = major.to_string();
        (major, minor) = (number(&digits[..1])?, Some(number(&digits[1..])));
    }
    let version = Version { major, minor: required(minor)?, patch: required(patch)? };
    match ordinary {
        Some(_) => Some(Request::FreeThreaded(version)),
        None if text == "python3" || text == "python2" => None,
        None => Some(Request::Version(version)),
    }
}

/// A part that may be missing but not be wrong.
fn required(part: Option<Option<u32>>) -> Option<Option<u32>> {
    match part {
        Some(None) => None,
        part => Some(part.flatten()),
    }
}

fn number(digits: &str) -> Option<u32> {
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

impl Version {
    fn is_of(self, release: Release) -> bool {
        self.major == release.major
            && self.minor.is_none_or(|minor| minor == release.minor)
            && (self.patch.is_none() || self.patch == release.patch)
    }
}

/// A version that is installed, as the name of its folder tells it. The newest final one is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Release {
    is_final: bool,
    major: u32,
    minor: u32,
    patch: Option<u32>,
}

impl Release {
    /// Reads `3.12.1`, `3.15.0rc1`, `3.15-dev`; None for free-threaded builds and for anything else.
    fn of(name: &str) -> Option<Release> {
        let end = name.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(name.len());
        let (numbers, rest) = name.split_at(end);
        let is_early = ["a", "b", "rc", "-dev"].iter().any(|mark| rest.starts_with(mark)) && !rest.ends_with('t');
        let mut parts = numbers.split('.').map(number);
        let (major, minor, patch) = (parts.next()??, parts.next()??, required(parts.next())?);
        let is_known = parts.next().is_none() && (rest.is_empty() || is_early);
        is_known.then_some(Release { is_final: rest.is_empty(), major, minor, patch })
    }

    /// The same for a folder of uv's, such as `cpython-3.12.1-linux-x86_64-gnu`.
    fn of_uv(name: &str) -> Option<Release> {
        let parts: Vec<_> = name.split('-').collect();
        match parts[..] {
            ["cpython", version, "linux", arch, "gnu"] if arch.starts_with(std::env::consts::ARCH) => {
                Release::of(version)
            }
            _ => None,
        }
    }
}

/// Finds the Python that a request asks for. What cannot be hosted is passed over; a search that finds nothing tells of the first
/// one that was of the version by its name.
pub fn find(request: &Request, search: &Search<'_>) -> Result<Interpreter, PythonError> {
    let version = match request {
        Request::FreeThreaded(version) => return Err(PythonError::FreeThreadedVersion(version.to_string())),
        Request::Version(version) => *version,
    };
    if (version.major, version.minor.unwrap_or(u32::MAX)) < OLDEST {
        return Err(PythonError::TooOldVersion(version.to_string()));
    }
    let places = Places::of(search);
    let mut refused = None;
    for (path, named) in places.candidates(version, search) {
        let is_of_version = named != Named::Python || version.minor.is_none();
        match python::inspect(path, "--python", search) {
            Ok(found) if fits(&found, version, named, search) => return Ok(found),
            Err(error) if is_of_version && refused.is_none() && !matches!(error, PythonError::Pyenv { .. }) => {
                refused = Some(error);
            }
            _ => {}
        }
    }
    Err(refused.unwrap_or_else(|| PythonError::NoVersion { version: version.to_string(), looked: places.to_string() }))
}

/// Whether what was found is of the version. The third number is known from the folder's name, or by asking
/// the interpreter.
fn fits(found: &Interpreter, version: Version, named: Named, search: &Search<'_>) -> bool {
    let (major, minor) = found.version;
    let is_patch = |patch| probe::ask(&found.executable, search.cache).is_ok_and(|answer| answer.patch == patch);
    version.major == major
        && version.minor.is_none_or(|wanted| wanted == minor)
        && (named == Named::Folder || version.patch.is_none_or(is_patch))
}

/// What the name of a candidate tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// Nothing: `python3`.
    Python,
    /// The version without its last number: `python3.12`.
    Command,
    /// All of the version: `…/3.12.1/bin/python3.12`.
    Folder,
}

/// Where versions are looked for.
struct Places {
    pyenv: Option<PathBuf>,
    uv: Option<PathBuf>,
}

impl std::fmt::Display for Places {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "on PATH")?;
        self.pyenv.iter().try_for_each(|folder| write!(out, ", in {} (pyenv)", folder.display()))?;
        self.uv.iter().try_for_each(|folder| write!(out, ", in {} (uv)", folder.display()))?;
        write!(out, ", in $CONDA_PREFIX")
    }
}

impl Places {
    fn of(search: &Search<'_>) -> Places {
        let folder = |name: &str| search.variable(name).map(|folder| search.cwd.join(folder));
        let home = folder("HOME");
        let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
        Places {
            pyenv: folder("PYENV_ROOT").or_else(|| in_home(".pyenv")).map(|root| root.join("versions")),
            uv: folder("UV_PYTHON_INSTALL_DIR").or_else(|| {
                folder("XDG_DATA_HOME").or_else(|| in_home(".local/share")).map(|data| data.join("uv/python"))
            }),
        }
    }

    /// What may be of this version, in the order in which it is taken.
    fn candidates(&self, version: Version, search: &Search<'_>) -> Vec<(PathBuf, Named)> {
        let command = match version.minor {
            Some(minor) => format!("python{}.{minor}", version.major),
            None => format!("python{}", version.major),
        };
        let mut all = Vec::new();
        all.extend(search.all_on_path(&command).map(|path| (path, Named::Command)));
        all.extend(installed(self.pyenv.as_deref(), version, Release::of).map(|path| (path, Named::Folder)));
        all.extend(installed(self.uv.as_deref(), version, Release::of_uv).map(|path| (path, Named::Folder)));
        let conda = search.variable("CONDA_PREFIX").and_then(|folder| python::environment(&search.cwd.join(folder)));
        all.extend(conda.map(|path| (path, Named::Python)));
        all.extend(
            ["python3", "python"].iter().flat_map(|name| search.all_on_path(name)).map(|path| (path, Named::Python)),
        );
        all
    }
}

/// The interpreters of a version in the folders of a folder, the newest first.
fn installed(
    folder: Option<&Path>,
    version: Version,
    read: fn(&str) -> Option<Release>,
) -> impl Iterator<Item = PathBuf> {
    let entries = folder.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| Some((read(entry.file_name().to_str()?)?, entry.path())))
        .filter(|(release, _)| version.is_of(*release))
        .collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.into_iter().filter_map(|(release, prefix)| {
        let names = [format!("python{}.{}", release.major, release.minor), "python3".to_owned()];
        names.iter().map(|name| prefix.join("bin").join(name)).find(|path| path.exists())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Option<String> {
        match parse(text)? {
            Request::Version(version) => Some(version.to_string()),
            Request::FreeThreaded(version) => Some(format!("{version} free")),
        }
    }

    #[test]
    fn requests_are_read_as_others_read_them() {
        for (text, wanted) in [
            ("3", "3"),
            ("3.12", "3.12"),
            ("3.12.1", "3.12.1"),
            ("312", "3.12"),
            ("39", "3.9"),
            ("27", "27"),
            ("python3.12", "3.12"),
            ("Python3.12", "3.12"),
            ("cpython3.12", "3.12"),
            ("cpython-3.12", "3.12"),
            ("cpython@3.12.1", "3.12.1"),
            ("py312", "3.12"),
            ("cp312", "3.12"),
            ("3.14t", "3.14 free"),
            ("3.13+freethreaded", "3.13 free"),
            ("python3.14t", "3.14 free"),
            ("cp314t", "3.14 free"),
        ] {
            assert_eq!(version(text).as_deref(), Some(wanted), "{text}");
        }
        for text in
            ["", "python", "python3", "3.", "3.12.", ".3", "3.12.1.4", "3.x", "pypy3.10", "3.12d", "t", "./3.12"]
        {
            assert_eq!(version(text), None, "{text}");
        }
        assert_eq!(parse("cpython-3.12.1-linux-x86_64-gnu"), parse("3.12.1"));
    }

    #[test]
    fn the_newest_final_release_is_the_greatest() {
        let mut names = ["3.15.0a1", "3.12.9", "3.12.10", "3.15-dev", "3.9.1", "3.15.0rc1"];
        names.sort_by_key(|name| std::cmp::Reverse(Release::of(name)));
        assert_eq!(&names[..3], ["3.12.10", "3.12.9", "3.9.1"]);
        for name in ["3.13.0t", "3.14.0b1t", "pypy3.10-7.3.12", "miniconda3-4.7.12", "3", "mine"] {
            assert_eq!(Release::of(name), None, "{name}");
        }
        let arch = std::env::consts::ARCH;
        assert_eq!(Release::of_uv(&format!("cpython-3.12.1-linux-{arch}-gnu")), Release::of("3.12.1"));
        assert_eq!(Release::of_uv(&format!("cpython-3.13.1+freethreaded-linux-{arch}-gnu")), None);
        assert_eq!(Release::of_uv(&format!("cpython-3.12.1-linux-{arch}-musl")), None);
        assert_eq!(Release::of_uv(&format!("pypy-3.10.1-linux-{arch}-gnu")), None);
    }
}
