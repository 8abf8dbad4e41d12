//! P7: a Python is what plain `python` is wherever it lies: as conda has it, as uv manages it, moved, and in environments.
//!
//! The trees are imitated from the files of an interpreter that is there.

use crate::support::harness::{Session, bare_launch, launch_of};
use crate::support::pythons::{self, CLEARED, Python};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use worker_client::Launch;

/// Who it is, where its packages are, and who a child of the same name is.
const IDENTITY: &str = "import json, os, site, subprocess, sys\n\
    child = [sys.executable, '-c', 'import sys; print(sys.executable, sys.prefix, sys.base_prefix, sys.path[1:])']\n\
    print(json.dumps([sys.executable, sys._base_executable, sys.prefix, sys.base_prefix, sys.exec_prefix,\n    \
    sys.base_exec_prefix, sys.version, sys.path[1:], site.getsitepackages(), os.path.realpath(os.__file__),\n    \
    subprocess.run(child, capture_output=True, text=True, check=True).stdout]))";

/// How an executable comes to its library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linked {
    /// It has it within.
    Static,
    /// By `$ORIGIN/../lib` in its run path.
    RunPath,
    /// By a name that is the path `$ORIGIN/../lib/libpython3.x.so.1.0`.
    Path,
}

/// A tree of a folder's own with an interpreter in it.
struct Tree {
    prefix: PathBuf,
    /// Such as `python3.12`.
    name: String,
}

impl Tree {
    /// Imitates one; None where the interpreter's files do not allow it.
    fn make(python: &Python, linked: Linked, prefix: &Path) -> Option<Tree> {
        let asked = "import sysconfig as s; print(s.get_path('stdlib'), s.get_config_var('LIBDIR') + '/' + \
                     s.get_config_var('INSTSONAME'), 'libpython' in open('/proc/self/maps').read(), sep='\\n')";
        let said = python.prints(asked);
        let [stdlib, library, is_shared] = said.lines().collect::<Vec<_>>().try_into().expect("three lines");
        let (name, library) = (format!("python3.{}", python.minor), Path::new(library));
        let (bin, lib) = (prefix.join("bin"), prefix.join("lib"));
        let executable = bin.join(&name);
        if linked == Linked::Static && is_shared == "True" || linked != Linked::Static && !library.exists() {
            return None;
        }
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(lib.join(&name).join("site-packages")).unwrap();
        for entry in Path::new(stdlib).read_dir().unwrap().flatten() {
            // What is installed there is not a part of it.
            if !entry.file_name().to_string_lossy().ends_with("-packages") {
                symlink(entry.path(), lib.join(&name).join(entry.file_name())).unwrap();
            }
        }
        if library.exists() {
            symlink(library, lib.join(library.file_name().unwrap())).unwrap();
        }
        match linked {
            Linked::Static => drop(fs::copy(&python.path, &executable).unwrap()),
            _ => link(&executable, library, linked),
        }
        for other in ["python3", "python"] {
            symlink(&name, bin.join(other)).unwrap();
        }
        Some(Tree { prefix: prefix.to_path_buf(), name })
    }

    fn executable(&self) -> PathBuf {
        self.prefix.join("bin").join(&self.name)
    }
}

/// Compiles an interpreter that needs its library in one of two ways.
fn link(executable: &Path, library: &Path, linked: Linked) {
    let folder = tempfile::tempdir().unwrap();
    let (source, stub) = (folder.path().join("main.c"), folder.path().join("stub.c"));
    fs::write(&source, "int Py_BytesMain(int, char **);\nint main(int n, char **v) { return Py_BytesMain(n, v); }")
        .unwrap();
    fs::write(&stub, "int Py_BytesMain(int n, char **v) { return 1; }").unwrap();
    let name = library.file_name().unwrap().to_str().unwrap();
    // The name that a library gives itself is the one by which it will be needed.
    let own_name = if linked == Linked::Path { format!("$ORIGIN/../lib/{name}") } else { name.to_owned() };
    let stub_library = folder.path().join("libstub.so");
    let compile = |arguments: &[&str], from: &Path, to: &Path| {
        let made = Command::new("cc").args(["-o"]).arg(to).arg(from).args(arguments).status().unwrap();
        assert!(made.success());
    };
    compile(&["-shared", "-fPIC", &format!("-Wl,-soname,{own_name}")], &stub, &stub_library);
    let run_path: &[&str] = if linked == Linked::RunPath { &["-Wl,-rpath,$ORIGIN/../lib"] } else { &[] };
    let needed = [stub_library.to_str().unwrap()];
    compile(&[&needed, run_path].concat(), &source, executable);
}

/// The session of a launch is what plain `executable` says that it is.
#[track_caller]
fn is_the_same(launch: Launch, executable: &Path) {
    let mut plain = Command::new(executable);
    for name in CLEARED {
        plain.env_remove(name);
    }
    let said = plain.args(["-c", IDENTITY]).env("LC_ALL", "C.UTF-8").output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let mut s = Session::start(launch);
    s.what = executable.display().to_string();
    s.says(IDENTITY, &String::from_utf8(said.stdout).unwrap());
}

/// Every way of linking that an interpreter's files allow, each in a new folder below which it lies at `inner`.
fn for_each_tree(inner: impl Fn(&Python) -> String, test: impl Fn(&Tree, &Python, &TempDir)) {
    for python in pythons::all() {
        let mut trees = 0;
        for linked in [Linked::Static, Linked::RunPath, Linked::Path] {
            let folder = tempfile::tempdir().unwrap();
            let prefix = folder.path().canonicalize().unwrap().join(inner(python));
            if let Some(tree) = Tree::make(python, linked, &prefix) {
                test(&tree, python, &folder);
                trees += 1;
            }
        }
        assert!(trees > 0, "nothing is imitated of {}", python.path.display());
    }
}

#[test]
fn p7_a_conda_environment_is_what_its_python_is() {
    for_each_tree(
        |_| "conda/envs/mine".to_owned(),
        |tree, _, _| {
            fs::create_dir(tree.prefix.join("conda-meta")).unwrap();
            fs::write(tree.prefix.join("conda-meta/history"), "").unwrap();
            let python = tree.prefix.join("bin/python");
            is_the_same(bare_launch("python").env("CONDA_PREFIX", &tree.prefix), &python);
            is_the_same(launch_of(&tree.prefix), &python);
            is_the_same(launch_of(&tree.executable()), &tree.executable());
            in_an_environment(tree);
        },
    );
}

#[test]
fn p7_a_python_that_uv_manages_is_found_by_its_version() {
    let inner = |python: &Python| {
        let version = python.prints("import platform; print(platform.python_version(), end='')");
        format!("uv/python/cpython-{version}-linux-{}-gnu", std::env::consts::ARCH)
    };
    for_each_tree(inner, |tree, python, folder| {
        let wish = |wish: &str, name: &str, value: &Path| {
            // No other Python is there.
            let places = ["PATH", "PYENV_ROOT"];
            let launch = launch_of(wish.as_ref()).env("HOME", folder.path().join("home"));
            let launch = places.iter().fold(launch, |launch, name| launch.env(name, "/no/such/folder"));
            let launch = launch.without_env("UV_PYTHON_INSTALL_DIR").without_env("XDG_DATA_HOME");
            is_the_same(launch.env(name, value), &tree.executable());
        };
        let version = format!("3.{}", python.minor);
        wish(&version, "UV_PYTHON_INSTALL_DIR", tree.prefix.parent().unwrap());
        wish(&format!("cpython-{version}"), "XDG_DATA_HOME", folder.path());
        let full = python.prints("import platform; print(platform.python_version(), end='')");
        wish(&full, "XDG_DATA_HOME", folder.path());
        // As `uv python install` leaves a link.
        let linked = folder.path().canonicalize().unwrap().join("bin").join(&tree.name);
        fs::create_dir(linked.parent().unwrap()).unwrap();
        symlink(tree.executable(), &linked).unwrap();
        is_the_same(launch_of(version.as_ref()).env("PATH", linked.parent().unwrap()), &linked);
        in_an_environment(tree);
    });
}

/// Environments of the tree's Python: as `venv` makes them, and as uv does.
fn in_an_environment(tree: &Tree) {
    let folder = tempfile::tempdir().unwrap();
    let [venv, of_uv] = ["venv", "of-uv"].map(|name| folder.path().canonicalize().unwrap().join(name));
    let made = Command::new(tree.executable()).args(["-m", "venv", "--without-pip"]).arg(&venv).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::create_dir_all(of_uv.join("bin")).unwrap();
    fs::create_dir_all(of_uv.join("lib").join(&tree.name).join("site-packages")).unwrap();
    symlink(tree.executable(), of_uv.join("bin/python")).unwrap();
    symlink("python", of_uv.join("bin/python3")).unwrap();
    let version = tree.name.trim_start_matches("python");
    let home = tree.prefix.join("bin");
    let settings =
        format!("home = {}\nimplementation = CPython\nuv = 0.9.0\nversion_info = {version}.1\n", home.display());
    fs::write(of_uv.join("pyvenv.cfg"), settings + "include-system-site-packages = false\n").unwrap();
    for environment in [venv, of_uv] {
        is_the_same(bare_launch("python").env("VIRTUAL_ENV", &environment), &environment.join("bin/python"));
        is_the_same(launch_of(&environment.join("bin/python3")), &environment.join("bin/python3"));
    }
}
