//! What ends the session, the words for it, and how long it may take.

use super::peer::Peer;
use std::process::{Command, Stdio};

/// How long the peer waits at its own exit. A restart, half a second, is too short to be asserted on a busy machine.
const PEERS_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

#[test]
fn a_bad_message_ends_the_session() {
    let bad = [
        "{",
        "[]",
        "{}",
        r#"{"type":"input_batch"}"#,
        r#"{"type":"input_batch","input":1}"#,
        r#"{"type":"reset"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"status"}"#,
        r#"{"type":7}"#,
    ];
    for line in bad {
        let mut p = Peer::python();
        p.line(line);
        assert_eq!(p.ends("session_end protocol_error").code(), Some(1), "{line}");
    }
}

#[test]
fn other_fields_of_a_message_change_nothing() {
    let mut p = Peer::python();
    p.line(r#"{"type":"input_batch","input":"'x'","to":"stdin","id":"a","later":1}"#);
    assert_eq!(p.answer(), ["stdout 'x'\n", "ready"]);
    p.send("print('go')\nwhile True: pass");
    p.until("stdout \n");
    p.line(r#"{"type":"interrupt","id":"a"}"#);
    assert_eq!(p.answer().last().map(String::as_str), Some("ready"));
    p.shutdown();
}

#[test]
fn the_end_has_the_peers_words() {
    let mut p = Peer::python();
    p.send("import atexit; atexit.register(print, 'bye')\nexit(3)");
    assert_eq!(p.answer(), ["stdout bye\n", "session_end runtime_exit"]);
    assert_eq!(p.child.wait().unwrap().code(), Some(3));
    let mut p = Peer::python();
    p.send("import os; os.abort()");
    assert_eq!(p.answer().last().map(String::as_str), Some("session_end crash"));
    let mut p = Peer::start(&["--python", "/nowhere/python"]);
    assert_eq!(p.ends("session_end crash").code(), Some(1));
}

#[test]
fn the_peers_way_to_the_end_takes_less_than_its_patience() {
    for code in ["pass", "while True: pass", "import ctypes; ctypes.PyDLL(None).sleep(100)"] {
        let mut p = Peer::python();
        p.send(&format!("import os; pid = os.spawnlp(os.P_NOWAIT, 'sh', 'sh', '-c', \"trap '' TERM INT; sleep 100\")\nprint('go')\n{code}"));
        p.until("stdout \n");
        p.line(r#"{"type":"shutdown"}"#);
        // It closes its end of standard input, then sends SIGTERM, then SIGKILL: a worker that is not gone before says no end.
        let pid = p.pid();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(PEERS_PATIENCE);
            // One that is gone already takes no signal; nobody has waited for it, so the number is still its own.
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        });
        loop {
            match p.next() {
                Some(end) if end.starts_with("session_end") => break assert_eq!(end, "session_end shutdown"),
                Some(_) => {}
                None => panic!("no end\n{}", p.log.join("\n")),
            }
        }
        killer.join().unwrap();
        assert_eq!(p.child.wait().unwrap().code(), Some(0), "{code}");
    }
}

#[test]
fn the_end_of_the_request_side_ends_the_session() {
    let mut p = Peer::python();
    p.requests = None;
    assert_eq!(p.ends("session_end shutdown").code(), Some(0));
}
