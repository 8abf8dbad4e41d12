//! Made-up trees of interpreters, and the real ones of the machine where there are any.

use super::*;
use crate::launcher::runtimes::probe;
use crate::launcher::runtimes::python::{OLDEST, Route, executable_version, library_version, split_version};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

struct World {
    top: TempDir,
    env: HashMap<&'static str, OsString>,
}

impl World {
    fn new() -> World {
        World { top: tempfile::tempdir().unwrap(), env: HashMap::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.top.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A script that answers a probe, as an interpreter that only running can tell.
    fn python(&self, name: &str, answer: &str) -> PathBuf {
        let path = self.path(name);
        probe::tests::script(&path, &format!("echo 'worker-probe {answer}'"));
        path
    }

    fn shim(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        probe::tests::script(&path, "exec pyenv exec python3");
        path
    }

    fn find(&self, asked: Option<&Path>) -> Result<PathBuf, String> {
        let cwd = self.path("work/deep");
        fs::create_dir_all(&cwd).unwrap();
        let env = |name: &str| self.env.get(name).cloned();
        let search = Search { env: &env, cwd: &cwd, from: &cwd, cache: None };
        find(asked, &search).map(|found| found.executable).map_err(|error| error.to_string())
    }
}

#[test]
fn the_order_of_the_search() {
    let mut world = World::new();
    assert!(world.find(None).unwrap_err().contains("--python PATH"));

    let usual = world.python("bin/python", "cpython 3 12 0 0");
    world.env.insert("PATH", world.path("bin").into());
    assert_eq!(world.find(None).unwrap(), usual);
    let usual = world.python("bin/python3", "cpython 3 12 0 0");
    assert_eq!(world.find(None).unwrap(), usual);

    let venv = world.python("work/.venv/bin/python", "cpython 3 12 0 0");
    assert_eq!(world.find(None).unwrap(), usual, "a folder without pyvenv.cfg is no environment");
    world.write("work/.venv/pyvenv.cfg", "");
    assert_eq!(world.find(None).unwrap(), venv);

    world.env.insert("CONDA_PREFIX", world.path("conda").into());
    assert_eq!(world.find(None).unwrap(), venv, "a conda environment may have no Python");
    let conda = world.python("conda/bin/python", "cpython 3 12 0 0");
    assert_eq!(world.find(None).unwrap(), conda);

    world.env.insert("VIRTUAL_ENV", world.path("env").into());
    assert!(world.find(None).unwrap_err().contains("$VIRTUAL_ENV"));
    let active = world.python("env/bin/python", "cpython 3 12 0 0");
    assert_eq!(world.find(None).unwrap(), active);

    let named = world.python("other/python3.13", "cpython 3 13 0 0");
    assert_eq!(world.find(Some(&named)).unwrap(), named);
    assert_eq!(
        world.find(Some(Path::new("../../other/python3.13"))).unwrap(),
        world.path("work/deep/../../other/python3.13")
    );
    assert_eq!(world.find(Some(&world.path("conda"))).unwrap(), conda, "a folder stands for its Python");
    assert_eq!(world.find(Some(Path::new("python3"))).unwrap(), usual, "a name is looked up on PATH");
}

#[test]
fn a_name_is_taken_from_path_whatever_lies_here() {
    let mut world = World::new();
    world.env.insert("PATH", world.path("bin").into());
    let usual = world.python("bin/python3", "cpython 3 12 9 0");
    let versioned = world.python("bin/python3.12", "cpython 3 12 9 0");
    for name in ["python3", "python3.12"] {
        fs::create_dir_all(world.path("work/deep").join(name)).unwrap();
    }
    assert_eq!(world.find(Some(Path::new("python3"))).unwrap(), usual, "a folder without a Python is none");
    assert_eq!(world.find(Some(Path::new("python3.12"))).unwrap(), versioned);
    let environment = world.python("work/deep/env/bin/python", "cpython 3 12 9 0");
    world.python("bin/env", "cpython 3 12 9 0");
    assert_eq!(world.find(Some(Path::new("env"))).unwrap(), environment, "the folder of an environment is one");
    fs::create_dir_all(world.path("work/deep/empty")).unwrap();
    assert!(world.find(Some(Path::new("empty"))).unwrap_err().contains("no bin/python"));
    assert!(world.find(Some(Path::new("nowhere"))).unwrap_err().contains("a version such as 3.12"));
}

#[test]
fn a_version_is_looked_for_in_order() {
    let mut world = World::new();
    let find = |world: &World, asked: &str| world.find(Some(Path::new(asked)));
    world.env.insert("HOME", world.path("home").into());
    world.env.insert("PATH", world.path("bin").into());
    let error = find(&world, "3.12").unwrap_err();
    for words in ["no Python 3.12 found", "on PATH", "home/.pyenv/versions", "home/.local/share/uv/python", "--python"]
    {
        assert!(error.contains(words), "{words:?} is not in {error:?}");
    }
    let usual = world.python("bin/python3", "cpython 3 12 9 0");
    assert_eq!(find(&world, "3.12").unwrap(), usual);
    let conda = world.python("conda/bin/python", "cpython 3 12 8 0");
    world.env.insert("CONDA_PREFIX", world.path("conda").into());
    assert_eq!(find(&world, "3.12").unwrap(), conda);

    let uv = |folder: &str, version: &str| {
        let name = format!("{folder}/cpython-{version}-linux-{}-gnu/bin/python3.12", std::env::consts::ARCH);
        world.python(&name, "cpython 3 12 4 0")
    };
    let managed = uv("home/.local/share/uv/python", "3.12.4");
    uv("home/.local/share/uv/python", "3.12.5+freethreaded");
    let in_data = uv("data/uv/python", "3.12.4");
    let installed = uv("installed", "3.12.4");
    assert_eq!(find(&world, "3.12").unwrap(), managed);
    world.env.insert("XDG_DATA_HOME", world.path("data").into());
    assert_eq!(find(&world, "3.12").unwrap(), in_data);
    world.env.insert("UV_PYTHON_INSTALL_DIR", world.path("installed").into());
    assert_eq!(find(&world, "3.12").unwrap(), installed);

    let of = |version: &str| world.python(&format!("{version}/bin/python3"), "cpython 3 12 1 0");
    let [_, newest] = ["3.12.2", "3.12.10"].map(|version| of(&format!("home/.pyenv/versions/{version}")));
    assert_eq!(find(&world, "cpython-3.12").unwrap(), newest);
    let elsewhere = of("pyenv/versions/3.12.1");
    world.env.insert("PYENV_ROOT", world.path("pyenv").into());
    assert_eq!(find(&world, "cpython-3.12").unwrap(), elsewhere);

    let on_path = world.python("bin/python3.12", "cpython 3 12 7 0");
    for asked in ["3.12", "312", "python3.12", "py312", "3.12.7"] {
        assert_eq!(find(&world, asked).unwrap(), on_path, "{asked}");
    }
    assert_eq!(find(&world, "3.12.4").unwrap(), installed, "the last number is honoured");
    assert_eq!(find(&world, "3.12.9").unwrap(), usual);
    assert_eq!(find(&world, "3").unwrap(), usual);
    assert_eq!(find(&world, "python3").unwrap(), usual);
    assert!(find(&world, "3.12.99").is_err());
}

#[test]
fn a_version_that_cannot_be_hosted_is_refused_plainly() {
    let mut world = World::new();
    let find = |world: &World, asked: &str| world.find(Some(Path::new(asked))).unwrap_err();
    world.env.insert("PATH", world.path("bin").into());
    for (asked, words) in [
        ("3.9", "Python 3.9 is too old to be hosted"),
        ("2", "Python 2 is too old"),
        ("python2.7", "Python 2.7 is too old"),
        ("3.14t", "a free-threaded build of Python has another ABI"),
        ("3.13+freethreaded", "--python 3.13"),
        ("pypy3.10", "no pypy3.10 on PATH"),
    ] {
        let error = find(&world, asked);
        assert!(error.contains(words), "{words:?} is not in {error:?}");
    }
    world.python("bin/python3", "pypy 3 12 0 0");
    assert!(find(&world, "3.12").contains("no Python 3.12 found"), "it was not what was asked for");
    world.python("bin/python3.13", "cpython 3 13 0 1");
    assert!(find(&world, "3.13").contains("free-threaded"));
    world.shim("pyenv/shims/python3.13");
    fs::create_dir_all(world.path("pyenv/versions")).unwrap();
    let usual = world.python("pyenv/versions/3.13.1/bin/python3.13", "cpython 3 13 1 0");
    let path = std::env::join_paths([world.path("pyenv/shims"), world.path("bin")]).unwrap();
    world.env.insert("PATH", path);
    world.env.insert("PYENV_ROOT", world.path("pyenv").into());
    assert_eq!(world.find(Some(Path::new("3.13"))).unwrap(), usual, "a shim that is not in force is passed over");
}

#[test]
fn what_cannot_be_hosted_is_refused_clearly() {
    let world = World::new();
    let refused = |path: &Path| world.find(Some(path)).unwrap_err();
    assert!(refused(&world.path("none")).contains("no such interpreter"));
    assert!(refused(Path::new("python3.99")).contains("on PATH"));
    assert!(refused(&world.write("plain", "")).contains("not executable"));
    assert!(refused(&world.python("old", "cpython 3 9 0 0")).contains("3.10 or newer"));
    assert!(refused(&world.python("ancient", "? 2 7 0 0")).contains("3.10 or newer"));
    assert!(refused(&world.python("free", "cpython 3 13 0 1")).contains("free-threaded"));
    assert!(refused(&world.python("pypy", "pypy 3 11 0 0")).contains("pypy (Python 3.11)"));
    assert!(refused(&world.python("teapot", "")).contains("not CPython"));
    assert!(refused(Path::new("/bin/true")).contains("not CPython"));
    assert!(refused(world.top.path()).contains("no bin/python"));
}

#[test]
fn a_broken_environment_says_what_is_gone() {
    let world = World::new();
    world.write("env/pyvenv.cfg", &format!("home = {}\n", world.path("gone/bin").display()));
    fs::create_dir_all(world.path("env/bin")).unwrap();
    symlink(world.path("gone/bin/python3"), world.path("env/bin/python")).unwrap();
    let error = world.find(Some(&world.path("env/bin/python"))).unwrap_err();
    assert!(error.contains("env is broken") && error.contains("gone/bin/python3 is gone"), "{error}");

    world.python("copy/bin/python", "cpython 3 12 0 0");
    world.write("copy/pyvenv.cfg", &format!("home = {}\n", world.path("gone/bin").display()));
    let error = world.find(Some(&world.path("copy"))).unwrap_err();
    assert!(error.contains("copy is broken") && error.contains("gone/bin is gone"), "{error}");
}

#[test]
fn pyenv_shims_are_resolved_as_pyenv_would() {
    let mut world = World::new();
    world.shim("pyenv/shims/python3");
    world.env.insert("PATH", std::env::join_paths([world.path("pyenv/shims"), world.path("bin")]).unwrap());
    fs::create_dir_all(world.path("pyenv/versions")).unwrap();
    let system = world.python("bin/python3", "cpython 3 12 0 0");
    let of = |version: &str| world.python(&format!("pyenv/versions/{version}/bin/python3"), "cpython 3 12 0 0");
    let (old, newer, newest, named) = (of("3.11.7"), of("3.12.1"), of("3.12.10"), of("mine"));

    assert_eq!(world.find(None).unwrap(), system, "without a choice it is the system's");
    world.write("pyenv/version", "3.11.7\n");
    assert_eq!(world.find(None).unwrap(), old);
    world.write("work/.python-version", "# ours\nmine # this\n3.11.7\n");
    assert_eq!(world.find(None).unwrap(), named);
    world.write("work/deep/.python-version", "3.14:3.12.1");
    assert_eq!(world.find(None).unwrap(), newer, "what is not installed is passed over");
    world.env.insert("PYENV_VERSION", "3.12".into());
    assert_eq!(world.find(None).unwrap(), newest, "a prefix stands for the newest");
    world.env.insert("PYENV_VERSION", "system".into());
    assert_eq!(world.find(None).unwrap(), system);
    world.env.insert("PYENV_VERSION", "3.14".into());
    let error = world.find(None).unwrap_err();
    assert!(error.contains("3.14") && error.contains("PYENV_VERSION"), "{error}");
    world.env.insert("PYENV_VERSION", "../..".into());
    assert!(world.find(None).is_err());
}

#[test]
fn real_interpreters_are_told_by_looking() {
    let env = |name: &str| (name == "PATH").then(|| "/usr/bin".into());
    let search = Search { env: &env, cwd: Path::new("/"), from: Path::new("/"), cache: None };
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    for entry in fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().flatten() {
        let path = entry.path().join("bin/python3");
        let Some((version, _)) = entry.file_name().to_str().and_then(split_version).filter(|_| path.exists()) else {
            continue;
        };
        match find(Some(&path), &search) {
            Ok(found) => {
                assert!(version >= OLDEST);
                assert_eq!(found.executable, path);
                if let Route::Library(library) = found.route {
                    let name = library.file_name().and_then(OsStr::to_str).and_then(library_version).unwrap();
                    assert_eq!(name.0, version);
                }
            }
            Err(PythonError::TooOld { .. }) => assert!(version < OLDEST),
            Err(error) => panic!("{error}"),
        }
    }
    if fs::canonicalize("/usr/bin/python3").is_ok_and(|path| executable_version(&path) >= Some(OLDEST)) {
        assert_eq!(find(None, &search).unwrap().executable, Path::new("/usr/bin/python3"));
    }
}
