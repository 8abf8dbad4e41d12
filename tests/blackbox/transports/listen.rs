//! `--listen`: where to connect is said first, who may is looked at, and the worker waits until the right one comes.

use crate::support::peer::{Listening, Peer, clear, command};
use crate::support::{harness::WORKER, pythons};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use worker_protocol::EndReason;

#[test]
fn tcp_says_port_and_token_before_anything_else() {
    for python in pythons::all() {
        let mut command = Command::new(WORKER);
        command.arg("--python").arg(&python.path).args(["--listen", "tcp:127.0.0.1:0"]);
        clear(&mut command);
        let mut worker = Listening::start(command);
        let (port, token) = (worker.says("WORKER_PORT=").parse().unwrap(), worker.says("WORKER_TOKEN="));
        assert!(token.len() >= 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
        let mut peer = Peer::tcp(port);
        peer.hello(&token);
        let hello = peer.starts();
        assert_eq!(hello.pid, Some(worker.child.id()));
        assert_eq!(peer.run("print('x' * 100_000)").len(), 100_001);
        assert_eq!(worker.says(""), "", "nothing else is ever printed there");
        peer.shutdown();
        assert_eq!(worker.ends().code(), Some(0));
        assert_eq!(worker.said, "");
    }
}

#[test]
fn a_token_that_was_given_is_not_printed_and_leaves_no_trace() {
    for python in pythons::all() {
        let mut command = Command::new(WORKER);
        command
            .arg("--python")
            .arg(&python.path)
            .args(["--listen", "tcp:127.0.0.1:0"])
            .env("WORKER_TOKEN", "open-sesame");
        clear(&mut command);
        let mut worker = Listening::start(command);
        let port = worker.says("WORKER_PORT=").parse().unwrap();
        Peer::tcp(port).hello("open-sesam");
        worker.warns("wrong token");
        let mut peer = Peer::tcp(port);
        peer.hello("open-sesame");
        peer.starts();
        let look = "import os, subprocess\nfor name in ('environ', 'cmdline'):\n    print('sesame' in open('/proc/self/' + name).read())\n\
                    print('WORKER_TOKEN' in os.environ, 'WORKER_TOKEN' in open('/proc/self/environ').read())\n\
                    print('sesame' in subprocess.run(['cat', '/proc/self/environ'], capture_output=True, text=True).stdout)";
        assert_eq!(peer.run(look), "False\nFalse\nFalse False\nFalse\n", "3.{}", python.minor);
        assert_eq!(worker.says(""), "");
        peer.shutdown();
        worker.ends();
        assert!(!worker.said.contains("sesame"), "{}", worker.said);
    }
}

#[test]
fn whoever_is_wrong_is_refused_and_the_worker_waits_on() {
    let (mut worker, port, token) = Listening::tcp();
    for (line, why) in [
        (r#"{"type": "hello", "token": "guess"}"#.to_owned(), "wrong token"),
        (r#"{"type": "hello"}"#.to_owned(), "hello"),
        (format!(r#"{{"type": "input_batch", "input": "1", "token": "{token}"}}"#), "hello"),
        ("GET / HTTP/1.1".to_owned(), "hello"),
        (format!("\"{token}\""), "hello"),
        ("x".repeat(100_000), "too long"),
    ] {
        let mut peer = Peer::tcp(port);
        peer.write(line + "\n");
        peer.refused(why);
        worker.warns(why);
    }
    let mut half = Peer::tcp(port);
    half.write(r#"{"type": "hello", "to"#);
    drop(half);
    worker.warns("was gone before");
    drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
    // Others that say nothing are in nobody's way.
    let silent: Vec<_> = (0..50).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let mut peer = Peer::tcp(port);
    peer.hello(&token);
    peer.starts();
    assert_eq!(peer.run("1 + 1"), "2\n");
    drop(silent);
    peer.shutdown();
    assert_eq!(worker.ends().code(), Some(0));
    assert!(!worker.said.contains("guess") && !worker.said.contains(&token), "{}", worker.said);
}

#[test]
fn a_client_that_says_nothing_is_dropped() {
    let (mut worker, port, token) = Listening::tcp();
    let mut silent = Peer::tcp(port);
    silent.write("{");
    silent.refused("no hello in time");
    worker.warns("no hello in time");
    let mut peer = Peer::tcp(port);
    peer.hello(&token);
    peer.starts();
    peer.shutdown();
}

#[test]
fn what_follows_the_hello_in_the_same_packet_is_not_lost() {
    let (_worker, port, token) = Listening::tcp();
    let mut peer = Peer::tcp(port);
    peer.write(format!(
        "\n{{\"type\": \"hello\", \"token\": \"{token}\"}}\n{{\"type\": \"input_batch\", \"input\": \"6 * 7\"}}\n{{\"type\": \"shutdown\"}}\n"
    ));
    peer.starts();
    assert_eq!(peer.cell(), "42\n");
    peer.ended(EndReason::Shutdown);
}

#[test]
fn a_second_supervisor_is_turned_away_and_the_first_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let (mut tcp, port, token) = Listening::tcp();
    let mut unix = Listening::unix(&path);
    let mut first = Peer::tcp(port);
    first.hello(&token);
    let connect_tcp: &dyn Fn() -> Peer = &|| Peer::tcp(port);
    let connect_unix: &dyn Fn() -> Peer = &|| Peer::unix(&path);
    let second = Peer::unix(&path);
    for (worker, mut peer, connect) in [(&mut tcp, first, connect_tcp), (&mut unix, second, connect_unix)] {
        peer.starts();
        peer.send(serde_json::json!({"type": "input_batch", "input": "print('go', flush=True)\nwhile True: pass", "id": "busy"}));
        peer.until("go");
        for _ in 0..3 {
            connect().refused("has its supervisor");
        }
        worker.warns("second connection was refused");
        peer.send(serde_json::json!({"type": "interrupt"}));
        peer.until("KeyboardInterrupt");
        peer.until("interrupted");
        assert_eq!(peer.run("2 + 2"), "4\n");
        peer.shutdown();
    }
}

#[test]
fn addresses_that_cannot_serve_are_refused() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    for (address, word) in [
        ("tcp:0.0.0.0:0".to_owned(), "loopback"),
        ("tcp:[::]:0".to_owned(), "loopback"),
        ("tcp:localhost:0".to_owned(), "127.0.0.1:0"),
        (format!("tcp:{}", taken.local_addr().unwrap()), "cannot listen"),
        (format!("unix:{}", file.display()), "no socket"),
        ("unix:/no/such/folder/s".to_owned(), "cannot listen"),
        (format!("unix:/tmp/{}", "x".repeat(200)), "cannot listen"),
        ("pigeon:loft".to_owned(), "unix:PATH"),
    ] {
        let output = command().args(["--listen", &address]).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{address}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(word) && output.stdout.is_empty(), "{address}: {said}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    let mut unusable = command();
    let output =
        unusable.args(["--listen", "tcp:127.0.0.1:0"]).env("WORKER_TOKEN", "").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "an empty token would let anybody in");
}

#[test]
fn a_start_that_fails_is_said_to_whoever_connects() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let broken = folder.path().join("broken-python");
    std::fs::write(&broken, "#!/bin/sh\nexit 7\n").unwrap();
    std::fs::set_permissions(&broken, PermissionsExt::from_mode(0o755)).unwrap();
    for python in [Path::new("/no/such/python"), &broken, Path::new("/bin/true")] {
        let mut command = Command::new(WORKER);
        command.arg("--python").arg(python).arg("--listen").arg(format!("unix:{}", path.display()));
        let mut worker = Listening::start(command);
        worker.says("WORKER_SOCKET=");
        let end = Peer::unix(&path).ended(EndReason::StartupFailed);
        assert!(end.message.unwrap().contains(python.file_name().unwrap().to_str().unwrap()));
        assert_eq!(worker.ends().code(), Some(1));
        assert!(!path.exists());
    }
}

#[test]
fn a_worker_that_waits_ends_with_its_stdin_its_parent_or_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let start = |more: &[&str]| {
        let mut command = command();
        command.arg("--listen").arg(format!("unix:{}", path.display())).args(more);
        let mut worker = Listening::start(command);
        worker.says("WORKER_SOCKET=");
        worker
    };
    let mut worker = start(&["--stdio-control"]);
    std::io::Write::write_all(worker.stdin.as_mut().unwrap(), b"anything\n").unwrap();
    worker.stdin = None;
    assert_eq!(worker.ends().code(), Some(0));
    assert!(!path.exists());

    let mut parent = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut worker = start(&["--parent", &parent.id().to_string()]);
    drop(parent.stdin.take());
    parent.wait().unwrap();
    assert_eq!(worker.ends().code(), Some(0));
    assert!(!path.exists());

    for (signal, code) in [("TERM", 0), ("HUP", 0), ("INT", 130)] {
        let mut worker = start(&[]);
        Command::new("kill").args(["-s", signal, &worker.child.id().to_string()]).status().unwrap();
        assert_eq!(worker.ends().code(), Some(code), "SIG{signal}");
        assert!(!path.exists());
    }
    // Without --stdio-control the end of stdin means nothing.
    let mut worker = start(&[]);
    worker.stdin = None;
    let mut peer = Peer::unix(&path);
    peer.starts();
    peer.shutdown();
}

#[test]
fn a_session_ends_with_its_control_stdin_or_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    for python in pythons::all() {
        let mut parent = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut worker = Command::new(WORKER);
        worker.arg("--python").arg(&python.path).arg("--listen").arg(format!("unix:{}", path.display()));
        clear(&mut worker);
        worker.args(["--stdio-control", "--parent", &parent.id().to_string()]);
        let mut worker = Listening::start(worker);
        worker.says("WORKER_SOCKET=");
        let mut peer = Peer::unix(&path);
        peer.starts();
        peer.send(serde_json::json!({"type": "input_batch", "input": "while True: pass"}));
        if python.minor % 2 == 0 {
            worker.stdin = None;
        } else {
            drop(parent.stdin.take());
        }
        worker.ends();
        assert!(!path.exists());
        drop(parent.stdin.take());
        parent.wait().unwrap();
    }
}

#[test]
fn r_is_served_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    for token in [None, Some("open-sesame")] {
        let mut command = Command::new(WORKER);
        clear(&mut command);
        let address = if token.is_some() { "tcp:127.0.0.1:0".to_owned() } else { format!("unix:{}", path.display()) };
        command.args(["--lang", "r", "--listen", &address]).env("WORKER_TOKEN", "open-sesame");
        let mut worker = Listening::start(command);
        let mut peer = match token {
            None => {
                worker.says("WORKER_SOCKET=");
                Peer::unix(&path)
            }
            Some(token) => {
                let mut peer = Peer::tcp(worker.says("WORKER_PORT=").parse().unwrap());
                peer.hello(token);
                peer
            }
        };
        peer.starts();
        assert_eq!(peer.run("cat(Sys.getenv('WORKER_TOKEN'), any(grepl('sesame', readLines('/proc/self/environ', warn = FALSE))), '\\n')"), " FALSE \n");
        assert_eq!(peer.run("cat(file.exists('/proc/self/fd/3'), '\\n')"), "FALSE \n");
        peer.shutdown();
        assert_eq!(worker.ends().code(), Some(0));
        assert!(!path.exists());
    }
}
