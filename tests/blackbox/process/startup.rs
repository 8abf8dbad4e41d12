//! L5: a start that fails says what is wrong, at once and in the right place; and what a start that succeeds says.

use crate::support::harness::{LIMIT, Session, WORKER, bare_launch, launch, launch_of, launch_on};
use crate::support::pythons;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use worker_client::{Event, Launch, Reason, StartError};
use worker_protocol::EndReason;

/// A start that must fail with `session_end` and exit status 1, naming all of `words`.
#[track_caller]
fn fails(launch: Launch, words: &[&str]) {
    let shown = format!("{launch:?}");
    let Err(StartError::Ended(ending)) = launch.start(LIMIT) else { panic!("it started: {shown}") };
    let Reason::StartupFailed(why) = &ending.reason else { panic!("{ending:?}") };
    for word in words {
        assert!(why.to_lowercase().contains(&word.to_lowercase()), "{word:?} is not in {why:?}");
    }
    let last = ending.last.as_ref().unwrap_or_else(|| panic!("no session_end: {ending:?}"));
    assert_eq!(last.reason, EndReason::StartupFailed);
    assert_eq!(ending.status.code(), Some(1), "{ending:?}");
    assert!(!ending.stderr.is_empty(), "a person reads stderr");
}

#[test]
fn l5_an_interpreter_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "not a program").unwrap();
    fails(bare_launch("python").arg("--python").arg("/no/such/python"), &["/no/such/python"]);
    fails(bare_launch("python").arg("--python").arg(&plain), &["plain"]);
    std::fs::set_permissions(&plain, PermissionsExt::from_mode(0o755)).unwrap();
    fails(bare_launch("python").arg("--python").arg(&plain), &["plain"]);
    fails(bare_launch("python").arg("--python").arg("/bin/true"), &["/bin/true"]);
    fails(bare_launch("python").arg("--python").arg(folder.path()), &[folder.path().to_str().unwrap()]);
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    fails(bare_launch("python").env("PATH", &empty).directory(folder.path()), &["--python"]);
}

#[test]
fn l5_an_old_python_is_refused_by_its_version() {
    let Some(home) = std::env::home_dir() else {
        return;
    };
    let versions = home.join(".pyenv/versions");
    for entry in versions.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("3.8.") || name.starts_with("3.9.") || name.starts_with("2.7") {
            let python = entry.path().join(if name.starts_with('2') { "bin/python2" } else { "bin/python3" });
            fails(bare_launch("python").arg("--python").arg(python), &["3.10"]);
        }
    }
}

/// A command that answers as the default interpreter would after it had run `pretence`.
fn pretender(folder: &Path, name: &str, pretence: &str) -> PathBuf {
    let path = folder.join(name);
    let python = pythons::default().path.display();
    // It is asked by `-I -c CODE`.
    std::fs::write(
        &path,
        format!("#!/bin/sh\nexec {python} -I -c 'import sys; {pretence}; exec(sys.argv[1])' \"$3\"\n"),
    )
    .unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

#[test]
fn l5_what_only_looks_like_a_python_to_host_is_refused_by_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let named = |name: &str, pretence: &str| launch_of(&pretender(folder.path(), name, pretence));
    let pypy = "sys.implementation.name = \"pypy\"; sys.version_info = (3, 10, 14)";
    fails(named("pypy3.10", pypy), &["pypy3.10 is pypy (Python 3.10)", "CPython 3.10 or newer", "--python"]);
    fails(named("old", "sys.version_info = (3, 9, 18)"), &["old is Python 3.9", "3.10 or newer", "--python"]);
    fails(named("ancient", "sys.version_info = (2, 7, 18)"), &["ancient is Python 2.7", "3.10 or newer", "--python"]);
    // By its name on PATH too.
    let path = std::env::join_paths([folder.path(), Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
    fails(launch_of("pypy3.10".as_ref()).env("PATH", path), &["is pypy (Python 3.10)"]);
}

#[test]
fn l5_a_free_threaded_python_is_refused_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let [main, within, library, python] =
        ["main.c", "within.c", "libpython3.14t.so.1.0", "python3.14t"].map(|name| folder.path().join(name));
    std::fs::write(&main, "int Py_BytesMain(int, char **);\nint main(int n, char **v) { return Py_BytesMain(n, v); }")
        .unwrap();
    let exported = "int Py_BytesMain(int n, char **v) { return 1; }\nvoid _Py_DecRefShared(void) {}";
    std::fs::write(&within, exported).unwrap();
    let compile = |flags: &[&str], sources: &[&Path], to: &Path| {
        assert!(Command::new("cc").args(flags).args(sources).arg("-o").arg(to).status().unwrap().success());
    };
    let words = ["python3.14t is a free-threaded build", "--python"];
    compile(&["-rdynamic"], &[&main, &within], &python);
    fails(launch_of(&python), &words);
    // With a library of the name that such builds have.
    compile(&["-shared", "-fPIC", "-Wl,-soname,libpython3.14t.so.1.0"], &[&within], &library);
    compile(&[], &[&main, &library], &python);
    fails(launch_of(&python), &words);
    for wish in ["3.14t", "3.14+freethreaded", "python3.14t"] {
        fails(launch_of(wish.as_ref()), &["free-threaded build of Python", "--python 3.14"]);
    }
}

#[test]
fn l5_a_version_that_is_not_there_says_where_it_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let launch =
        |wish: &str| launch_of(wish.as_ref()).env("HOME", &home).without_env("PYENV_ROOT").without_env("XDG_DATA_HOME");
    let absent = launch("3.99").without_env("UV_PYTHON_INSTALL_DIR");
    fails(
        absent,
        &["no Python 3.99 found", "on PATH", "home/.pyenv/versions", "home/.local/share/uv/python", "--python"],
    );
    fails(launch("3.9"), &["Python 3.9 is too old", "3.10 or newer", "--python 3.12"]);
    fails(launch("2.7"), &["Python 2.7 is too old"]);
}

#[test]
fn p7_a_version_is_one_of_those_that_are_there() {
    for python in pythons::all() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("python3.{}", python.minor);
        std::os::unix::fs::symlink(&python.path, folder.path().join(&name)).unwrap();
        let full = python.prints("import platform; print(platform.python_version(), end='')");
        for wish in [format!("3.{}", python.minor), name, format!("cpython-3.{}", python.minor), full.clone()] {
            let mut s = Session::start(launch_of(wish.as_ref()).env("PATH", folder.path()));
            s.says("import platform\nprint(platform.python_version())", &format!("{full}\n"));
        }
    }
}

#[test]
fn l5_a_broken_virtual_environment_is_told() {
    for python in pythons::all() {
        let folder = tempfile::tempdir().unwrap();
        let venv = folder.path().join("venv");
        let made = Command::new(&python.path).args(["-m", "venv", "--without-pip"]).arg(&venv).output().unwrap();
        assert!(made.status.success());
        std::fs::write(venv.join("pyvenv.cfg"), "home = /no/such/home/bin\nversion = 3.11.0\n").unwrap();
        for name in ["python", "python3", &format!("python3.{}", python.minor)] {
            let _ = std::fs::remove_file(venv.join("bin").join(name));
        }
        std::os::unix::fs::symlink("/no/such/home/bin/python3", venv.join("bin/python")).unwrap();
        std::os::unix::fs::symlink("python", venv.join("bin/python3")).unwrap();
        fails(bare_launch("python").arg("--python").arg(venv.join("bin/python")), &["venv"]);
        fails(bare_launch("python").env("VIRTUAL_ENV", &venv), &["venv"]);
    }
}

#[test]
fn l5_the_home_of_another_python_is_told() {
    for python in pythons::all() {
        fails(launch_on(python).env("PYTHONHOME", "/no/such/home"), &["PYTHONHOME"]);
    }
}

#[test]
fn l5_a_startup_file_that_quits_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("startup.py");
    std::fs::write(&file, "raise SystemExit(3)\n").unwrap();
    let mut worker = launch().env("PYTHONSTARTUP", &file).arg("--startup").spawn().unwrap();
    let all: Vec<_> = worker.events().collect();
    assert!(matches!(&all[0], Event::WorkerReady(_)), "{all:?}");
    let Some(Event::SessionEnd(end)) = all.last() else { panic!("{all:?}") };
    assert!(matches!(end.reason, EndReason::StartupFailed | EndReason::RuntimeExit), "{end:?}");
    assert_eq!(all.iter().filter(|event| matches!(event, Event::SessionEnd(_))).count(), 1);
}

/// Runs the binary without a channel.
fn plain(args: &[&str]) -> Output {
    Command::new(WORKER).args(args).stdin(Stdio::null()).output().unwrap()
}

/// A wrong use must exit with status 2, say nothing on stdout, and name `word` on stderr.
#[track_caller]
fn misuse(args: &[&str], word: &str) {
    let output = plain(args);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert_eq!(output.stdout, b"", "{args:?}");
    assert!(stderr.to_lowercase().contains(&word.to_lowercase()), "{args:?}: {word:?} is not in {stderr:?}");
}

#[test]
fn l5_bad_flags_are_usage_errors() {
    misuse(&[], "usage");
    misuse(&["--lang", "python"], "--ipc");
    misuse(&["--lang", "perl", "--ipc", "stdio"], "perl");
    misuse(&["--no-such-flag"], "--no-such-flag");
    misuse(&["--ipc", "carrier-pigeon"], "carrier-pigeon");
    misuse(&["--lang"], "--lang");
    misuse(&["stray"], "stray");
    misuse(&["--ipc-fd", "3", "--ipc", "stdio"], "--ipc");
    misuse(&["--ipc", "stdio", "--cwd", "/no/such/folder"], "/no/such/folder");
}

#[test]
fn l5_bad_descriptors_are_usage_errors() {
    misuse(&["--ipc-fd", "99"], "99");
    misuse(&["--ipc-fd", "-1"], "-1");
    misuse(&["--ipc-fd", "three"], "three");
    misuse(&["--ipc-fd", ""], "ipc-fd");
    misuse(&["--ipc-fd", "98,99"], "98");
    misuse(&["--ipc-fd", "3,4,5"], "3,4,5");
    misuse(&["--ipc-fd", "99999999999999"], "99999999999999");
}

/// Runs the binary from a shell that sets descriptors up.
#[track_caller]
fn misuse_in_shell(script: &str, word: &str) {
    let output = Command::new("sh").args(["-c", script, WORKER]).stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{script}: {stderr}");
    assert!(stderr.contains(word), "{script}: {word:?} is not in {stderr:?}");
}

#[test]
fn l5_descriptors_of_the_wrong_kind_are_usage_errors() {
    misuse_in_shell("exec \"$0\" --ipc-fd 7 7</dev/null", "7");
    misuse_in_shell("exec \"$0\" --ipc-fd 7,8 7</dev/null 8</dev/null", "8");
    misuse_in_shell("exec \"$0\" --ipc-fd 7,8 7>/dev/null 8>/dev/null", "7");
}

#[test]
fn help_and_version_are_said_on_stdout() {
    let help = plain(&["--help"]);
    assert!(help.status.success());
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for flag in ["--lang", "--ipc-fd", "--ipc", "--python", "--session-id", "--startup"] {
        assert!(text.contains(flag), "{flag} is not in {text}");
    }
    let version = plain(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&version.stdout), format!("worker {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_first_messages_say_who_speaks() {
    let s = Session::start(launch().arg("--session-id").arg("named by us"));
    assert_eq!(s.hello.protocol.name, "interpreter-worker");
    assert_eq!(s.hello.protocol.version, 1);
    assert_eq!(s.hello.worker.name, "worker");
    assert_eq!(s.hello.worker.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(s.hello.session_id.as_deref(), Some("named by us"));
    assert_eq!(s.hello.lang.as_deref(), Some("python"));
    assert_eq!(s.hello.pid, Some(s.worker.pid()));
    for method in ["status", "interrupt", "shutdown"] {
        assert!(s.hello.capabilities.requests.iter().any(|known| known == method), "{:?}", s.hello);
    }
    assert_eq!(s.first.runtime.as_ref().unwrap().name, "CPython");
    assert_eq!((s.first.id.as_deref(), s.first.outcome), (None, None));
    let (one, two) = (Session::python(), Session::python());
    assert_ne!(one.hello.session_id, two.hello.session_id);
    assert_eq!(one.hello.session_id.as_ref().unwrap().len(), 36);
}

#[test]
fn cwd_and_env_are_set() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().canonicalize().unwrap();
    let mut s = Session::start(launch().arg("--cwd").arg(&real).arg("--env").arg("FRUIT=a pear"));
    s.says("import os\nprint(os.getcwd(), os.environ['FRUIT'])", &format!("{} a pear\n", real.display()));
}

#[test]
fn l5_a_session_without_descriptors_to_spare_says_so() {
    for python in pythons::all() {
        let folder = tempfile::tempdir().unwrap();
        let few =
            launch_on(python).env("TMPDIR", folder.path()).through(["sh", "-c", "ulimit -n 21; exec \"$@\"", "sh"]);
        fails(few, &["too many open files"]);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
