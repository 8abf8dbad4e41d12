//! `LISTEN_FDS`: a socket that whoever starts the worker hands over, as systemd does.

use crate::support::harness::WORKER;
use crate::support::peer::{Listening, Peer, clear};
use crate::support::pythons;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use worker_protocol::EndReason;

/// The worker, given this socket as fd 3 (and 4), in a shell that names the process that it becomes.
fn handed(socket: impl Into<OwnedFd>, count: u32, more: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = "exec 3<&0 4<&0 0</dev/null\nexport LISTEN_PID=$$ LISTEN_FDNAMES=it\nexec \"$@\"";
    command.args(["-c", script, "sh", WORKER, "--python"]).arg(&pythons::default().path).args(more);
    clear(&mut command);
    command.env("LISTEN_FDS", count.to_string()).stdin(Stdio::from(socket.into()));
    command
}

/// Starts it; its stdin is the socket, so none is kept.
fn start(mut command: Command) -> std::process::Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

const LOOK: &str = "import os\nprint([k for k in os.environ if k.startswith('LISTEN')], 'LISTEN_' in open('/proc/self/environ').read(), \
                    [fd for fd in map(int, os.listdir('/proc/self/fd')) if 2 < fd < 10 and os.path.exists(f'/proc/self/fd/{fd}')])";

#[test]
fn a_connected_socket_is_the_channel() {
    let (near, far) = UnixStream::pair().unwrap();
    let mut child = start(handed(far, 1, &["--lang", "python"]));
    let mut peer = Peer::of(near);
    assert_eq!(peer.starts().pid, Some(child.id()));
    assert_eq!(peer.run("1 + 1"), "2\n");
    // fd 4 was not handed over by LISTEN_FDS and is not touched.
    assert_eq!(peer.run(LOOK), "[] False [4]\n");
    peer.shutdown();
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let (near, far) = UnixStream::pair().unwrap();
    let mut child = start(handed(far, 2, &[]));
    let mut peer = Peer::of(near);
    peer.starts();
    assert_eq!(peer.run(LOOK), "[] False []\n");
    drop(peer);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_supervisor_that_takes_no_more_events_is_gone() {
    let (mut near, far) = UnixStream::pair().unwrap();
    let mut child = start(handed(far, 1, &[]));
    let mut peer = Peer::of(near.try_clone().unwrap());
    peer.starts();
    // The socket is shut down for reading and not closed: only a write finds out.
    near.shutdown(Shutdown::Read).unwrap();
    writeln!(near, r#"{{"type":"input_batch","input":"print(1, flush=True)\nwhile True: pass"}}"#).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_listening_socket_gives_one_supervisor_and_stays_its_owners() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let mut child = start(handed(listener.try_clone().unwrap(), 1, &[]));
    let mut peer = Peer::unix(&path);
    peer.starts();
    // Whoever connects meanwhile is not turned away: another worker will be started for it.
    let mut next = Peer::unix(&path);
    assert_eq!(peer.run(LOOK), "[] False [4]\n");
    peer.shutdown();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(path.exists(), "the file is not the worker's");
    let mut child = start(handed(listener, 1, &[]));
    next.starts();
    next.shutdown();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(path.exists());
}

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut command = handed(listener, 1, &[]);
    command.env("WORKER_TOKEN", "open-sesame");
    let mut child = start(command);
    let mut wrong = Peer::tcp(port);
    wrong.hello("guess");
    wrong.refused("wrong token");
    let mut peer = Peer::tcp(port);
    peer.hello("open-sesame");
    peer.starts();
    peer.shutdown();
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    let output = start(handed(open, 1, &[])).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("set WORKER_TOKEN"), "{output:?}");
}

#[test]
fn what_cannot_serve_is_refused() {
    let (pipe, _writer) = std::io::pipe().unwrap();
    let datagram = std::os::unix::net::UnixDatagram::unbound().unwrap();
    for fd in [OwnedFd::from(pipe), datagram.into()] {
        let output = start(handed(fd, 1, &[])).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("no stream socket"), "{output:?}");
    }
    let (_near, far) = UnixStream::pair().unwrap();
    let mut command = handed(far, 0, &[]);
    command.env("LISTEN_FDS", "0");
    let output = start(command).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--ipc-fd"), "{output:?}");
}

#[test]
fn a_flag_comes_before_what_was_handed_over() {
    let (near, far) = UnixStream::pair().unwrap();
    let mut child = start(handed(far, 1, &["--ipc-fd", "4"]));
    let mut peer = Peer::of(near);
    peer.starts();
    assert_eq!(peer.run("import os\nprint([k for k in os.environ if k.startswith('LISTEN')])"), "[]\n");
    peer.shutdown();
    child.wait().unwrap();
}

#[test]
fn systemd_itself_hands_over_sockets() {
    let tool = "systemd-socket-activate";
    if Command::new(tool).arg("--version").output().is_err() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    for accept in [true, false] {
        let mut command = Command::new(tool);
        command
            .arg("-l")
            .arg(&path)
            .args(accept.then_some("--accept"))
            .arg(WORKER)
            .arg("--python")
            .arg(&pythons::default().path);
        clear(&mut command);
        let mut activator = Listening::start(command);
        activator.warns("Listening on");
        let mut peer = Peer::unix(&path);
        peer.starts();
        assert_eq!(peer.run(LOOK), "[] False []\n");
        if accept {
            // A worker for each connection.
            let mut other = Peer::unix(&path);
            other.starts();
            other.run("x = 1");
            other.shutdown();
        }
        peer.send(serde_json::json!({"type": "input_batch", "input": "exit(4)"}));
        assert_eq!(peer.ended(EndReason::RuntimeExit).exit_code, Some(4));
        drop(activator);
        let _ = std::fs::remove_file(&path);
    }
}
