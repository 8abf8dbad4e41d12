//! `--listen unix:PATH`: the socket file, whose it is, who may connect to it, and that it goes with the session.

use crate::support::peer::{Listening, Peer, command};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use worker_protocol::EndReason;

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|data| std::os::unix::fs::MetadataExt::uid(&data) == 0)
}

#[test]
fn a_unix_socket_is_the_users_own_and_goes_with_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("the socket");
    // How it ends: what is sent, and what is seen.
    for (code, reason) in [
        ("exit(3)", EndReason::RuntimeExit),
        ("import os; os.abort()", EndReason::Crash),
        ("import ctypes; ctypes.string_at(0)", EndReason::Crash),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", EndReason::Shutdown),
    ] {
        let mut worker = Listening::unix(&path);
        let mode = path.symlink_metadata().unwrap();
        assert!(mode.file_type().is_socket() && mode.permissions().mode() & 0o777 == 0o600);
        let mut peer = Peer::unix(&path);
        peer.starts();
        assert!(path.exists());
        peer.send(serde_json::json!({"type": "input_batch", "input": code}));
        peer.ended(reason);
        worker.ends();
        assert!(!path.exists(), "the file is left after {code}");
    }
    // Forced: the cell catches every interrupt.
    let mut worker = Listening::unix(&path);
    let mut peer = Peer::unix(&path);
    peer.starts();
    let code = "while True:\n    try:\n        while True: pass\n    except BaseException: pass";
    peer.send(serde_json::json!({"type": "input_batch", "input": code}));
    peer.send(serde_json::json!({"type": "shutdown", "grace_ms": 50}));
    peer.ended(EndReason::Shutdown);
    worker.ends();
    assert!(!path.exists());
    // The supervisor is gone.
    let mut worker = Listening::unix(&path);
    let mut peer = Peer::unix(&path);
    peer.starts();
    peer.send(serde_json::json!({"type": "input_batch", "input": "while True: pass"}));
    drop(peer);
    worker.ends();
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not_disturbed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    let mut worker = Listening::unix(&path);
    let try_again =
        || command().arg("--listen").arg(format!("unix:{}", path.display())).stdin(Stdio::null()).output().unwrap();
    for peer in [None, Some(())] {
        let mut peer = peer.map(|()| Peer::unix(&path));
        if let Some(peer) = &mut peer {
            peer.starts();
        }
        let second = try_again();
        assert_eq!(second.status.code(), Some(2), "{second:?}");
        assert!(String::from_utf8_lossy(&second.stderr).contains("in use"), "{second:?}");
        assert!(second.stdout.is_empty());
        if let Some(mut peer) = peer {
            assert_eq!(peer.run("1"), "1\n");
            worker.child.kill().unwrap();
            worker.child.wait().unwrap();
        }
    }
    // It was killed and could remove nothing.
    assert!(path.exists());
    let mut next = Listening::unix(&path);
    Peer::unix(&path).starts();
    drop(folder);
    next.ends();
}

#[test]
fn what_has_come_to_the_place_of_the_file_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut worker = Listening::unix(&path);
    let mut peer = Peer::unix(&path);
    peer.starts();
    std::fs::remove_file(&path).unwrap();
    let mut other = Listening::unix(&path);
    peer.shutdown();
    worker.ends();
    Peer::unix(&path).starts();
    other.ends();
    assert!(!path.exists());
}

#[test]
fn another_user_is_refused() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut worker = Listening::unix(&path);
    let knock = || {
        let code =
            "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\nprint(s.recv(10000))";
        let mut command = Command::new("/usr/bin/python3");
        std::os::unix::process::CommandExt::uid(&mut command, 65534);
        command.args(["-c", code]).arg(&path).output().unwrap()
    };
    assert!(String::from_utf8_lossy(&knock().stderr).contains("PermissionError"), "the mode keeps others out");
    // Somebody has opened the file to all.
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    let said = knock();
    assert!(String::from_utf8_lossy(&said.stdout).contains("only the user who runs this worker"), "{said:?}");
    worker.warns("user 65534 was refused");
    let mut peer = Peer::unix(&path);
    peer.starts();
    peer.shutdown();
}

#[test]
fn one_that_only_looks_is_not_the_supervisor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut worker = Listening::unix(&path);
    // The worker must find it closed already: it is held up until then.
    let pid = worker.child.id().to_string();
    Command::new("kill").args(["-STOP", &pid]).status().unwrap();
    drop(UnixStream::connect(&path).unwrap());
    Command::new("kill").args(["-CONT", &pid]).status().unwrap();
    worker.warns("was gone at once");
    let mut peer = Peer::unix(&path);
    peer.starts();
    peer.shutdown();
}
