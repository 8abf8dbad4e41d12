//! The Python interpreters of this machine that a worker must serve.

use crate::support::harness::Session;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// One interpreter.
#[derive(Debug, Clone)]
pub struct Python {
    pub path: PathBuf,
    pub minor: u32,
}

impl Python {
    /// What this interpreter prints for `code`, outside any worker.
    pub fn prints(&self, code: &str) -> String {
        let mut command = Command::new(&self.path);
        for name in CLEARED {
            command.env_remove(name);
        }
        // As a session has it, whatever the locale.
        command.env("LC_ALL", "C.UTF-8");
        let output = command.args(["-c", code]).output().expect("the interpreter runs");
        assert!(output.status.success(), "{}: {}", self.path.display(), String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

/// Variables of the developer's that would make sessions differ.
pub const CLEARED: [&str; 18] = [
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONSAFEPATH",
    "PYTHONUNBUFFERED",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUTF8",
    "PYTHONIOENCODING",
    "PYTHONHASHSEED",
    "PYTHONWARNINGS",
    "PYTHONNOUSERSITE",
    "PYTHONFAULTHANDLER",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "COLUMNS",
    "MPLBACKEND",
    "LISTEN_PID",
    "LISTEN_FDS",
];

/// The minor versions that a worker must serve.
const MINORS: std::ops::RangeInclusive<u32> = 10..=15;

/// Every interpreter of [`MINORS`] that is found, the default first.
pub fn all() -> &'static [Python] {
    static FOUND: OnceLock<Vec<Python>> = OnceLock::new();
    FOUND.get_or_init(find)
}

/// The interpreter of tests that do not care.
pub fn default() -> &'static Python {
    all().first().expect("a Python from 3.10 to 3.15; name some in WORKER_TEST_PYTHONS")
}

/// Runs a test on a session of each interpreter.
pub fn for_each_python(test: impl Fn(&mut Session, &Python)) {
    for python in all() {
        let mut session = Session::on(python);
        test(&mut session, python);
        session.shutdown();
    }
}

/// Every one that is named must be there. Unnamed, two versions must be; `WORKER_TEST_RUNTIMES` says that this is a system
/// of one Python, tested beside another that has several.
#[test]
fn several_versions_of_python_are_tested() {
    let minors: BTreeSet<_> = all().iter().map(|python| python.minor).collect();
    let wanted = if std::env::var_os("WORKER_TEST_RUNTIMES").is_some() { 1 } else { 2 };
    assert!(
        minors.len() >= wanted,
        "only {minors:?} found; name interpreters in WORKER_TEST_PYTHONS, separated by ':'"
    );
    if let Some(named) = std::env::var_os("WORKER_TEST_PYTHONS") {
        for path in std::env::split_paths(&named) {
            let real = path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let is_tested = all().iter().any(|python| python.path.canonicalize().is_ok_and(|tested| tested == real));
            assert!(is_tested, "{} is no Python of {MINORS:?}", path.display());
        }
    }
}

fn find() -> Vec<Python> {
    let mut seen = BTreeSet::new();
    let mut found: Vec<_> = candidates()
        .into_iter()
        .filter(|path| path.canonicalize().is_ok_and(|real| seen.insert(real)))
        .filter_map(|path| Some(Python { minor: minor_of(&path)?, path }))
        .filter(|python| MINORS.contains(&python.minor))
        .collect();
    // A middle one for the tests that do not care; the sort is stable.
    found.sort_by_key(|python| python.minor != 11);
    found
}

fn candidates() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os("WORKER_TEST_PYTHONS") {
        return std::env::split_paths(&named).collect();
    }
    let mut paths = Vec::new();
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let pyenv = pyenv.or_else(|| std::env::home_dir().map(|home| home.join(".pyenv")));
    if let Some(Ok(versions)) = pyenv.map(|root| root.join("versions").read_dir()) {
        let mut names: Vec<_> = versions.flatten().map(|entry| entry.path()).collect();
        names.sort();
        paths.extend(names.into_iter().map(|version| version.join("bin/python3")));
    }
    for folder in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        // pyenv's are shell scripts that choose one of the above.
        if !folder.ends_with("shims") {
            paths.extend(MINORS.map(|minor| folder.join(format!("python3.{minor}"))));
        }
    }
    paths.push("/usr/bin/python3".into());
    paths
}

fn minor_of(path: &Path) -> Option<u32> {
    let ask = "import sys; print(sys.version_info[1] if sys.version_info[0] == 3 else 0)";
    let output = Command::new(path).args(["-I", "-c", ask]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// What the interpreter's own prompt prints for a line.
pub fn prompt_prints(python: &Python, line: &str) -> String {
    let mut command = Command::new(&python.path);
    for name in CLEARED {
        command.env_remove(name);
    }
    let mut child = command
        .args(["-i", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the interpreter runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(line.as_bytes()).and_then(|()| stdin.write_all(b"\n")).expect("it reads");
    drop(stdin);
    String::from_utf8(child.wait_with_output().expect("it ends").stdout).expect("UTF-8")
}
