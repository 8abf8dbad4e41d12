//! The example supervisors, each run as a newcomer would.

use crate::support::harness::WORKER;
use crate::support::pythons;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// Runs an example with the binary under test and the default interpreter on PATH.
fn run(mut command: Command) -> String {
    let python = pythons::default().path.parent().unwrap();
    let worker = Path::new(WORKER).parent().unwrap();
    let mut path = vec![python.to_owned(), worker.to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    for name in pythons::CLEARED {
        command.env_remove(name);
    }
    let folder = tempfile::tempdir().unwrap();
    let Output { status, stdout, stderr } = command
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("WORKER", WORKER)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{text}\n{}", String::from_utf8_lossy(&stderr));
    text
}

#[test]
fn the_supervisor_in_python_lives_with_a_session() {
    for python in pythons::all() {
        let mut command = Command::new(&python.path);
        command.arg(example("supervisor.py"));
        let text = run(command);
        let wanted = "asked 'who? ', answering Ada\nhello Ada\ngreet: ok\nspinning";
        assert!(text.starts_with(wanted), "{text}");
        assert!(text.ends_with("spin: interrupted\nended: shutdown\n"), "{text}");
    }
}

#[test]
fn the_python_client_is_as_able_as_the_library() {
    let script = r#"
import sys; sys.path.insert(0, sys.argv[1])
from worker_client import Refused, Worker, text_of
for transport in ("socket", "pipes", "stdio"):
    with Worker(args=["--session-id", "mine"], transport=transport, env=None) as worker:
        hello, ready = worker.recv(30), worker.recv(30)
        assert hello["session_id"] == "mine" and "runtime" in ready, (hello, ready)
        assert worker.call("status")["state"] == "idle"
        try: worker.call("no_such_method")
        except Refused as refused: assert refused.code == -32601
        else: raise AssertionError
        worker.cell("print('seen'); exit(3)", id="a")
        ending = worker.wait(30)
        assert (ending.reason, ending.detail, ending.returncode) == ("exit", 3, 3), ending
        events = list(worker)
        assert "".join(map(text_of, events[:-1])) == "seen\n" and events[-1]["type"] == "session_end", events
    worker = Worker(transport=transport)
    worker.cell("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert str(worker.wait(30)) == "signal: SIGKILL"
    worker = Worker(transport=transport)
    worker.cell("import ctypes; print('go', flush=True); ctypes.PyDLL(None).sleep(1000)")
    while worker.recv(30)["type"] != "output_text": pass
    assert str(worker.kill()) == "killed: SIGKILL"
    # Gone before it has read what it was sent.
    import os, signal
    worker = Worker(transport=transport)
    while "runtime" not in worker.recv(30): pass
    os.kill(worker.process.pid, signal.SIGSTOP)
    worker.cell("1")
    os.kill(worker.process.pid, signal.SIGKILL)
    assert worker.recv(30) is None and str(worker.wait(30)) == "signal: SIGKILL"
    worker = Worker(transport=transport)
    worker.cell("1")
    worker.close_requests()
    assert str(worker.wait(30)) == "shutdown"
    assert str(Worker(args=["--python", "/no/such"], stderr=-3).wait(30)).startswith("startup_failed: ")
    assert Worker(args=["--no-such-flag"], stderr=-3).wait(30).reason == "startup_failed"
print("able")
"#;
    for python in pythons::all() {
        let mut command = Command::new(&python.path);
        command.args(["-c", script]).arg(example(""));
        assert_eq!(run(command), "able\n");
    }
}

#[test]
fn the_supervisor_in_rust_lives_with_a_session() {
    // Cargo builds examples beside the tests that it runs, but gives no name for them.
    let program = Path::new(WORKER).with_file_name("examples").join("supervisor");
    if !program.exists() {
        let cargo = Command::new(env!("CARGO")).args(["build", "--example", "supervisor"]).status().unwrap();
        assert!(cargo.success());
    }
    let text = run(Command::new(program));
    let wanted = "asked \"who? \", answering Ada\nhello Ada\ngreet: Some(Ok)\nspinning";
    assert!(text.starts_with(wanted), "{text}");
    assert!(text.ends_with("spin: Some(Interrupted)\nended: ended as asked\n"), "{text}");
}

#[test]
fn the_supervisor_in_the_shell_lives_with_a_session() {
    let text = run(Command::new(example("supervisor.sh")));
    for word in [
        r#""prompt":"who? ""#,
        "hello Ada",
        r#""outcome":"ok""#,
        r#""outcome":"interrupted""#,
        r#""reason":"shutdown""#,
    ] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    assert!(text.ends_with("ended: 0\n"), "{text}");
}
