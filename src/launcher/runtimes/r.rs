//! Finds the user's R and the environment that its own start script would give it, by reading that script.
//!
//! libR.so has no SONAME on some systems, so what needs it searches for it anew: without the right `LD_LIBRARY_PATH`
//! a package may load a second R. That variable is read when a process starts, hence the launcher executes itself
//! once more when it has to be changed.

use crate::launcher::runtimes::ldpaths::{ask_for_library_path, library_path};
use crate::launcher::runtimes::search::{Search, is_executable};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An R to host.
#[derive(Debug, PartialEq, Eq)]
pub struct Installation {
    /// `R_HOME`.
    pub home: PathBuf,
    /// The shared library.
    pub library: PathBuf,
    /// What R's start script exports.
    pub variables: Vec<(&'static str, OsString)>,
}

/// Why there is no R to host, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum RError {
    /// Nothing was named and nothing was found.
    #[error("no R found: neither $R_HOME nor R on PATH; install R, or name its home directory with --r-home PATH")]
    Nowhere,
    /// The home directory is not there, or not one.
    #[error("no R in {} ({origin}): it has no bin/R", home.display())]
    NotAHome {
        /// The directory.
        home: PathBuf,
        /// What named it.
        origin: &'static str,
    },
    /// R's start script could not be read.
    #[error("cannot read R's start script {}: {error}", path.display())]
    Script {
        /// The script.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// R's start script does not say where R is.
    #[error("{} does not say where R's home directory is; name it with --r-home PATH", .0.display())]
    StrangeScript(PathBuf),
    /// The start script speaks of a home directory that is gone.
    #[error("the R of {} is broken: {what} is gone; install R anew, or name another with --r-home PATH", script.display())]
    Broken {
        /// The start script.
        script: PathBuf,
        /// What is missing.
        what: String,
    },
    /// It has no shared library.
    #[error(
        "the R{} in {} has no {}: it was built without --enable-R-shlib and cannot be embedded; take your system's package of R, build it with that option, or name another with --r-home PATH",
        version.as_ref().map(|version| format!(" {version}")).unwrap_or_default(), home.display(), library.display()
    )]
    NoLibrary {
        /// The home directory.
        home: PathBuf,
        /// Its version, where it says one.
        version: Option<String>,
        /// The library.
        library: PathBuf,
    },
    /// It is too old.
    #[error("the R in {} is {version}: R 4.1 or newer is needed; install a newer one, or name another with --r-home PATH", home.display())]
    TooOld {
        /// The home directory.
        home: PathBuf,
        /// Its version.
        version: String,
    },
}

/// Finds the R that `--r-home` names, or else the one that the user would get.
pub fn find(asked: Option<&Path>, search: &Search<'_>) -> Result<Installation, RError> {
    let named = match asked {
        Some(asked) => Some((search.cwd.join(asked), "--r-home")),
        None => search.variable("R_HOME").map(|home| (search.cwd.join(home), "$R_HOME")),
    };
    let (script, named) = match named {
        Some((home, origin)) => {
            // The home directory lies in lib/R of a prefix, and people name either.
            let homes = [home.clone(), home.join("lib/R"), home.join("lib64/R")];
            let Some(home) = homes.into_iter().find(|home| home.join("etc").is_dir() && home.join("bin/R").exists())
            else {
                return Err(RError::NotAHome { home, origin });
            };
            (home.join("bin/R"), Some(home))
        }
        None => (search.on_path("R", None).ok_or(RError::Nowhere)?, None),
    };
    let text = read_script(&script)?;
    let (script, text, home) = match (home_of(&text), named) {
        // The script knows the other directories; that it lies elsewhere means that R was moved or copied.
        (_, Some(home)) => (script, text, home),
        (Some(home), None) => (script, text, home),
        (None, None) => {
            // A wrapper of some package manager: it is asked, which takes a shell but no R.
            let home = ask_for_home(&script).ok_or_else(|| RError::StrangeScript(script.clone()))?;
            let inner = home.join("bin/R");
            let text = read_script(&inner)?;
            (inner, text, home)
        }
    };
    describe(home, &script, &text, search)
}

fn read_script(path: &Path) -> Result<String, RError> {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(|error| RError::Script { path: path.to_path_buf(), error })
}

fn describe(home: PathBuf, script: &Path, text: &str, search: &Search<'_>) -> Result<Installation, RError> {
    if !home.is_dir() {
        return Err(RError::Broken { script: script.to_path_buf(), what: home.display().to_string() });
    }
    let arch = search.variable("R_ARCH").unwrap_or_default();
    let below = |folder: &str| {
        let mut name = OsString::from(folder);
        name.push(&arch);
        home.join(name)
    };
    let version = version(&home);
    if let Some(version) = version.as_ref().filter(|version| is_too_old(version)) {
        return Err(RError::TooOld { home, version: version.clone() });
    }
    let library = below("lib").join("libR.so");
    if !library.is_file() {
        return Err(RError::NoLibrary { home, version, library });
    }
    let ldpaths = below("etc").join("ldpaths");
    // A session that was started from within R, or after a re-exec, has it already.
    let present =
        search.variable("LD_LIBRARY_PATH").filter(|path| std::env::split_paths(path).next() == Some(below("lib")));
    let library_path = present.or_else(|| {
        let text = fs::read_to_string(&ldpaths).ok()?;
        library_path(&text, &home, search).or_else(|| ask_for_library_path(&ldpaths, &home))
    });
    let library_path = library_path.unwrap_or_else(|| {
        // Without ldpaths at least the libraries of this R come first.
        let old = search.variable("LD_LIBRARY_PATH").unwrap_or_default();
        let folders = std::iter::once(below("lib")).chain(std::env::split_paths(&old));
        std::env::join_paths(folders).unwrap_or_default()
    });
    let folder = |name: &str, default: &str| {
        assignment(text, name)
            .map(PathBuf::from)
            .filter(|path| path.is_dir())
            .unwrap_or_else(|| home.join(default))
            .into_os_string()
    };
    let variables = vec![
        ("R_HOME", home.clone().into_os_string()),
        ("R_SHARE_DIR", folder("R_SHARE_DIR", "share")),
        ("R_INCLUDE_DIR", folder("R_INCLUDE_DIR", "include")),
        ("R_DOC_DIR", folder("R_DOC_DIR", "doc")),
        ("R_ARCH", arch),
        ("LD_LIBRARY_PATH", library_path),
    ];
    Ok(Installation { home, library, variables })
}

/// The oldest R that the engine runs under, as major and minor version.
const OLDEST: (u32, u32) = (4, 1);

/// R's version, which is that of its package `base`: three numbers.
fn version(home: &Path) -> Option<String> {
    let text = fs::read_to_string(home.join("library/base/DESCRIPTION")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Version:")).map(|version| version.trim().to_owned())
}

/// Whether R of this version is older than [`OLDEST`]; what is no version of R's is not.
fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse);
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < OLDEST)
}

/// The value of `NAME=value` at the start of a line.
fn assignment(script: &str, name: &str) -> Option<String> {
    let value = script.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?.trim();
    let value = value.trim_matches(['"', '\'']);
    (!value.is_empty() && !value.contains(['$', '`'])).then(|| value.to_owned())
}

fn home_of(script: &str) -> Option<PathBuf> {
    let home = assignment(script, "R_HOME_DIR")?;
    // The script itself prefers the directory of the machine's word size when it was installed in the usual place.
    let wide = Path::new("/usr/lib64/R");
    if home == "/usr/lib/R" && script.contains("libnn") && is_executable(&wide.join("bin/exec/R")) {
        return Some(wide.to_path_buf());
    }
    Some(home.into())
}

fn ask_for_home(script: &Path) -> Option<PathBuf> {
    let answer = Command::new(script).arg("RHOME").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let home = PathBuf::from(text.lines().last()?.trim());
    home.join("bin/R").exists().then_some(home)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::runtimes::ldpaths::tests::LDPATHS;
    use crate::launcher::runtimes::probe::tests::script;

    fn make(home: &Path, with_library: bool) {
        script(&home.join("bin/R"), &format!("R_HOME_DIR={}\nR_SHARE_DIR=/\necho $R_HOME_DIR", home.display()));
        fs::create_dir_all(home.join("etc")).unwrap();
        fs::create_dir_all(home.join("lib")).unwrap();
        fs::write(home.join("etc/ldpaths"), LDPATHS).unwrap();
        if with_library {
            fs::write(home.join("lib/libR.so"), "").unwrap();
        }
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_too_old("3.6.3") && is_too_old("4.0.5"));
        assert!(!is_too_old("4.1.0") && !is_too_old("4.10.2") && !is_too_old("5.0.0") && !is_too_old("unknown"));
    }

    #[test]
    fn found_by_name_by_environment_and_on_path() {
        let top = tempfile::tempdir().unwrap();
        let home = top.path().join("prefix/lib/R");
        make(&home, true);
        let find_in = |asked: Option<&str>, pairs: &[(&str, &Path)]| {
            let env = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            find(asked.map(Path::new), &Search { env: &env, cwd: top.path(), from: top.path(), cache: None })
                .map_err(|error| error.to_string())
        };
        let found = find_in(Some("prefix/lib/R"), &[]).unwrap();
        assert_eq!(found.home, home);
        assert_eq!(found.library, home.join("lib/libR.so"));
        assert_eq!(found.variables[1], ("R_SHARE_DIR", "/".into()));
        assert_eq!(found.variables[2], ("R_INCLUDE_DIR", home.join("include").into_os_string()));
        assert_eq!(find_in(Some("prefix"), &[]).unwrap(), found);
        assert_eq!(find_in(None, &[("R_HOME", &home)]).unwrap(), found);
        assert_eq!(find_in(None, &[("PATH", &home.join("bin"))]).unwrap(), found);

        let wrapper = top.path().join("bin/R");
        script(&wrapper, &format!("exec {}/bin/R \"$@\"", home.display()));
        assert_eq!(find_in(None, &[("PATH", &top.path().join("bin"))]).unwrap(), found);

        assert!(find_in(None, &[]).unwrap_err().contains("--r-home"));
        assert!(find_in(Some("gone"), &[]).unwrap_err().contains("no bin/R"));
        make(&top.path().join("static"), false);
        assert!(find_in(Some("static"), &[]).unwrap_err().contains("--enable-R-shlib"));
        make(&top.path().join("old"), true);
        fs::create_dir_all(top.path().join("old/library/base")).unwrap();
        fs::write(top.path().join("old/library/base/DESCRIPTION"), "Package: base\nVersion: 4.0.5\n").unwrap();
        assert!(find_in(Some("old"), &[]).unwrap_err().contains("is 4.0.5: R 4.1 or newer"));
        script(&top.path().join("moved/R"), "R_HOME_DIR=/no/such/home");
        let error = find_in(None, &[("PATH", &top.path().join("moved"))]).unwrap_err();
        assert!(error.contains("/no/such/home is gone"), "{error}");
        script(&top.path().join("teapot/R"), "exit 1");
        assert!(find_in(None, &[("PATH", &top.path().join("teapot"))]).unwrap_err().contains("does not say"));
    }
}
