//! The second dialect, `mcp-repl-worker` 6: golden transcripts, strict about every field of every message.

use crate::support::harness::{LIMIT, WORKER};
use crate::support::pythons;
use base64::Engine as _;
use crossbeam_channel::Receiver;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Instant;

/// How long the peer waits at its own exit. A restart, half a second, is too short to be asserted on a busy machine.
const PEERS_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Gives the worker its channel under two numbers that only the environment tells, and raw descriptors of its own.
const LAUNCH: &str = r#"exec 7<&0 8>&1
export MCP_REPL_IPC_READ_FD=7 MCP_REPL_IPC_WRITE_FD=8
exec "$@" 0<"$RAW/in" 1>"$RAW/out" 2>"$RAW/err""#;

/// The other side: what mcp-repl is to its workers.
struct Peer {
    child: Child,
    requests: Option<ChildStdin>,
    lines: Receiver<String>,
    raw: tempfile::TempDir,
    log: Vec<String>,
}

impl Peer {
    /// A worker that has been started and has said nothing that was looked at.
    fn start(args: &[&str]) -> Peer {
        let raw = tempfile::tempdir().unwrap();
        std::fs::write(raw.path().join("in"), "raw stdin\n").unwrap();
        let mut child = Command::new("sh")
            .args(["-c", LAUNCH, "sh", WORKER])
            .args(args)
            .env("RAW", raw.path())
            .env_remove("VIRTUAL_ENV")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let events = BufReader::new(child.stdout.take().unwrap());
        let (say, lines) = crossbeam_channel::unbounded();
        std::thread::spawn(move || events.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        let requests = child.stdin.take();
        Peer { child, requests, lines, raw, log: Vec::new() }
    }

    /// A Python worker that is ready for its first batch.
    fn python() -> Peer {
        let mut peer = Peer::start(&["--python", pythons::default().path.to_str().unwrap()]);
        peer.begins();
        peer
    }

    /// An R worker that is ready for its first batch.
    fn r() -> Peer {
        let mut peer = Peer::start(&["--lang", "r"]);
        peer.begins();
        peer
    }

    #[track_caller]
    fn begins(&mut self) {
        assert_eq!(self.next().as_deref(), Some("worker_ready"));
        assert_eq!(self.next().as_deref(), Some("ready"));
    }

    fn line(&mut self, line: &str) {
        let requests = self.requests.as_mut().unwrap();
        requests.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn send(&mut self, input: &str) {
        self.line(&serde_json::json!({"type": "input_batch", "input": input}).to_string());
    }

    /// The next message in short, every field checked; none at the end.
    #[track_caller]
    fn next(&mut self) -> Option<String> {
        let line = match self.lines.recv_timeout(LIMIT) {
            Ok(line) => line,
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => return None,
            Err(why) => panic!("{why} after\n{}", self.log.join("\n")),
        };
        self.log.push(line.clone());
        Some(in_short(&line))
    }

    /// Everything up to the answer to a batch, the answer included; pieces of text are joined.
    #[track_caller]
    fn answer(&mut self) -> Vec<String> {
        let mut said: Vec<String> = Vec::new();
        loop {
            let message = self.next().expect("an answer");
            match said.last_mut() {
                Some(last) if message.starts_with("std") && last.starts_with(&message[..7]) => {
                    last.push_str(&message[7..])
                }
                _ => said.push(message.clone()),
            }
            if ["ready", "input_wait", "session_end"].iter().any(|kind| message.starts_with(kind)) {
                return said;
            }
        }
    }

    #[track_caller]
    fn turn(&mut self, input: &str, golden: &[&str]) {
        self.send(input);
        assert_eq!(self.answer(), golden, "{input:?} in\n{}", self.log.join("\n"));
    }

    /// Waits until the worker has said this.
    #[track_caller]
    fn until(&mut self, message: &str) {
        while self.next().expect("more") != message {}
    }

    /// What was written to a raw descriptor.
    fn raw(&self, name: &str) -> String {
        std::fs::read_to_string(self.raw.path().join(name)).unwrap()
    }

    /// Sees nothing more but the end.
    #[track_caller]
    fn ends(&mut self, golden: &str) -> ExitStatus {
        let mut last = self.next();
        if last.as_deref() == Some("stderr \n") {
            // R took longer to finalise than this dialect's grace, and was interrupted: that is how it says so.
            last = self.next();
        }
        assert_eq!(last.as_deref(), Some(golden), "{}", self.log.join("\n"));
        assert_eq!(self.next(), None, "said after the end");
        self.child.wait().unwrap()
    }

    #[track_caller]
    fn shutdown(mut self) {
        self.line(r#"{"type":"shutdown"}"#);
        let status = self.ends("session_end shutdown");
        assert_eq!(status.code(), Some(0));
    }

    /// Waits until every thread of the worker sleeps: what could still come of the last batch has come.
    fn until_asleep(&self) {
        let threads = format!("/proc/{}/task", self.pid());
        let state = |thread: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap_or_default();
            stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
        };
        let mut quiet = 0;
        let end = Instant::now() + LIMIT;
        while quiet < 20 {
            assert!(Instant::now() < end, "never asleep");
            let all_sleep =
                std::fs::read_dir(&threads).unwrap().all(|thread| matches!(state(thread), Some('S') | None));
            quiet = if all_sleep { quiet + 1 } else { 0 };
            std::thread::yield_now();
        }
    }

    fn signal(&self, target: i64, signal: &str) {
        let status = Command::new("kill").args([signal, "--", &target.to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn pid(&self) -> i64 {
        self.child.id().into()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A message in short. Anything that version 6 does not have is a failure, as it is to that peer.
#[track_caller]
fn in_short(line: &str) -> String {
    let Value::Object(mut message) = serde_json::from_str(line).unwrap() else { panic!("{line}") };
    let kind = message.remove("type").unwrap();
    let mut text = |name: &str| match message.remove(name) {
        Some(Value::String(text)) => text,
        other => panic!("{name} is {other:?} in {line}"),
    };
    let short = match kind.as_str().unwrap() {
        "ready" => "ready".to_owned(),
        "input_wait" => format!("input_wait {}", text("prompt")),
        "input_line" => format!("input_line {}{}", text("prompt"), text("text")),
        "output_text" => {
            let (stream, data) = (text("stream"), text("data_b64"));
            let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
            assert!(message.remove("is_continuation").unwrap().is_boolean(), "{line}");
            format!("{stream} {}", String::from_utf8_lossy(&bytes))
        }
        "output_image" => {
            let (mime_type, data) = (text("mime_type"), text("data_b64"));
            base64::engine::general_purpose::STANDARD.decode(data).unwrap();
            let source = message.remove("source").expect("a source, or null");
            assert!(source.is_string() || source.is_null(), "{line}");
            let is_update = message.remove("is_update").unwrap().as_bool().unwrap();
            format!("image {mime_type} {is_update}")
        }
        "session_end" => {
            let reason = text("reason");
            assert!(
                ["shutdown", "reset", "runtime_exit", "crash", "protocol_error"].contains(&reason.as_str()),
                "{line}"
            );
            assert!(message.remove("message").is_none_or(|message| message.is_string()), "{line}");
            format!("session_end {reason}")
        }
        "worker_ready" => {
            let golden = serde_json::json!({
                "protocol": {"name": "mcp-repl-worker", "version": 6},
                "worker": {"name": "worker", "version": env!("CARGO_PKG_VERSION")},
                "capabilities": {"images": true},
            });
            assert_eq!(Value::Object(std::mem::take(&mut message)), golden);
            "worker_ready".to_owned()
        }
        _ => panic!("unknown message {line}"),
    };
    assert!(message.is_empty(), "unknown fields {message:?} in {line}");
    short
}

#[test]
fn python_golden_transcript() {
    let mut p = Peer::python();
    p.turn("1 + 1", &["stdout 2\n", "ready"]);
    p.turn("", &["ready"]);
    p.turn("# nothing", &["ready"]);
    p.turn("import sys\nprint('out')\nprint('err', file=sys.stderr)", &["stdout out\n", "stderr err\n", "ready"]);
    p.turn("x = input('name ')\nprint(x.upper())", &["input_wait name "]);
    p.turn("zoë", &["input_line name zoë", "stdout ZOË\n", "ready"]);
    p.turn("a = input('a ')\nb = input('b ')\nc = input('c ')\n(a, b, c)", &["input_wait a "]);
    p.turn("1\n2", &["input_line a 1", "input_line b 2", "input_wait c "]);
    p.turn("3", &["input_line c 3", "stdout ('1', '2', '3')\n", "ready"]);
    p.turn("import os\nos.read(0, 100)", &["input_wait "]);
    p.turn("raw", &["input_line raw", "stdout b'raw\\n'\n", "ready"]);
    p.turn("import getpass\nlen(getpass.getpass('secret '))", &["input_wait secret "]);
    p.turn("hush", &["input_line secret ", "stdout 4\n", "ready"]);
    p.turn(
        "1/0",
        &[
            "stderr Traceback (most recent call last):\n  File \"<cell 9>\", line 1, in <module>\n    1/0\n    ~^~\n\
             ZeroDivisionError: division by zero\n",
            "ready",
        ],
    );
    p.turn("sys.stdout.buffer.write(b'\\xff\\n') and None", &["stdout \u{fffd}\n", "ready"]);
    p.turn("[n for n in os.environ if n.startswith('MCP_REPL')]", &["stdout []\n", "ready"]);
    p.shutdown();
}

#[test]
fn r_golden_transcript() {
    let mut p = Peer::r();
    p.turn("1 + 1", &["stdout [1] 2\n", "ready"]);
    p.turn("message('m'); invisible(3)", &["stderr m\n", "ready"]);
    p.turn("x <- readline('name ')\ntoupper(x)", &["input_wait name "]);
    p.turn("ann", &["input_line name ann", "stdout [1] \"ANN\"\n", "ready"]);
    p.turn("readLines(stdin(), 2)", &["input_wait "]);
    p.turn("one\ntwo", &["input_line one", "input_line two", "stdout [1] \"one\" \"two\"\n", "ready"]);
    p.turn("stop('no')", &["stderr Error: no\n", "ready"]);
    p.turn("plot(1)", &["image image/png false", "ready"]);
    p.turn("lines(1:2)", &["image image/png true", "ready"]);
    p.turn("system('echo child')", &["ready"]);
    p.turn(
        "Sys.getenv(c('MCP_REPL_IPC_READ_FD', 'MCP_REPL_IPC_WRITE_FD'), names = FALSE)",
        &["stdout [1] \"\" \"\"\n", "ready"],
    );
    assert_eq!(p.raw("out"), "child\n");
    p.shutdown();
}

#[test]
fn raw_descriptors_are_left_as_they_are() {
    let mut p = Peer::python();
    p.turn(
        "import os, sys, ctypes\nos.write(1, b'one\\n'); os.write(2, b'two\\n'); os.system('echo child')\nNone",
        &["ready"],
    );
    assert_eq!((p.raw("out").as_str(), p.raw("err").as_str()), ("one\nchild\n", "two\n"));
    p.turn("ctypes.CDLL(None).printf(b'stdio\\n')\nNone", &["ready"]);
    assert_eq!(p.raw("out"), "one\nchild\nstdio\n", "C's own buffer is passed on before the end of the cell");
    p.turn("os.system('cat')\nNone", &["ready"]);
    assert_eq!(p.raw("out"), "one\nchild\nstdio\nraw stdin\n", "fd 0 is the worker's own");
    p.turn(
        "pid = os.fork()\nif pid == 0:\n    print('forked')\n    os._exit(0)\nos.waitpid(pid, 0)[1]",
        &["stdout 0\n", "ready"],
    );
    assert!(p.raw("out").ends_with("raw stdin\nforked\n"), "{}", p.raw("out"));
    p.shutdown();
}

#[test]
fn long_writes_are_continued() {
    let mut p = Peer::python();
    for code in ["print('é' * 100000, end='')", "import sys; sys.stdout.buffer.write('é'.encode() * 100000) and None"]
    {
        p.send(code);
        let mut pieces = Vec::new();
        let mut all = 0;
        while p.next().unwrap() != "ready" {
            let message: Value = serde_json::from_str(p.log.last().unwrap()).unwrap();
            pieces.push(message["is_continuation"].as_bool().unwrap());
            all +=
                base64::engine::general_purpose::STANDARD.decode(message["data_b64"].as_str().unwrap()).unwrap().len();
        }
        assert_eq!((pieces, all), (vec![false, true, true, true], 200_000), "{code}");
    }
    p.shutdown();
}

#[test]
fn a_background_threads_wait_takes_the_next_batch() {
    let mut p = Peer::python();
    let begin = "import threading\ndef ask():\n    global got\n    got = input('q ')\nt = threading.Thread(target=ask); t.start()\n";
    // The wait is the batch's answer, so the end of the cell says nothing; the cell lasts until the answer is there.
    p.turn(&format!("{begin}t.join()\ngot"), &["input_wait q "]);
    p.turn("one", &["input_line q one", "stdout 'one'\n", "ready"]);
    // The same when the cell is over before.
    p.send(&format!("{begin}None"));
    let said = p.answer();
    assert!(said == ["input_wait q "] || said == ["ready"], "{said:?}");
    p.until_asleep();
    p.turn("two", &["input_line q two", "ready"]);
    p.turn("t.join(); got", &["stdout 'two'\n", "ready"]);
    p.shutdown();
}

#[test]
fn two_waits_take_a_batch_each() {
    let mut p = Peer::python();
    let begin = "import threading\ngot = []\nlock = threading.Semaphore(0)\ndef ask(p):\n    got.append(input(p)); lock.release()\n\
                 a = threading.Thread(target=ask, args=('a ',)); a.start()\ninput('main ')\nlock.acquire(); got";
    p.send(begin);
    let first = p.answer();
    // Whoever came first was said; the other is said once the first has its answer.
    let (one, other) = if first == ["input_wait a "] { ("a ", "main ") } else { ("main ", "a ") };
    assert_eq!(first, [format!("input_wait {one}")]);
    p.send("x");
    let second = p.answer();
    assert_eq!(second.first(), Some(&format!("input_line {one}x")));
    assert_eq!(second.last(), Some(&format!("input_wait {other}")), "{second:?}");
    p.send("y");
    let third = p.answer();
    assert_eq!(third.first(), Some(&format!("input_line {other}y")));
    assert_eq!(third.last().map(String::as_str), Some("ready"));
    p.turn("'on'", &["stdout 'on'\n", "ready"]);
    p.shutdown();
}

#[test]
fn a_wait_that_begins_between_batches_is_not_said_and_takes_the_next() {
    let mut p = Peer::python();
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    p.turn(
        &format!("import os, threading\ndef ask():\n    while not os.path.exists({gate:?}): pass\n    os.write(1, b'asking'); global got; got = input('q ')\nt = threading.Thread(target=ask); t.start()"),
        &["ready"],
    );
    std::fs::write(&gate, "").unwrap();
    while p.raw("out") != "asking" {
        std::thread::yield_now();
    }
    p.until_asleep();
    p.turn("mine", &["input_line q mine", "ready"]);
    p.turn("t.join(); got", &["stdout 'mine'\n", "ready"]);
    p.shutdown();
}

#[test]
fn an_interrupt_is_answered_once_with_message_and_signal() {
    let mut p = Peer::python();
    for code in
        ["while True: pass", "import time; time.sleep(60)", "import subprocess; subprocess.run(['sleep', '60'])"]
    {
        p.send(&format!("print('go')\n{code}"));
        p.until("stdout \n");
        p.line(r#"{"type":"interrupt"}"#);
        p.signal(-p.pid(), "-INT");
        let said = p.answer();
        assert_eq!(said.iter().filter(|text| text.contains("KeyboardInterrupt")).count(), 1, "{said:?}");
        assert_eq!(said.last().map(String::as_str), Some("ready"));
        p.turn("'next'", &["stdout 'next'\n", "ready"]);
    }
    // At a wait: the wait answered its batch, the end of the cell answers the interrupt.
    p.turn("input('p ')", &["input_wait p "]);
    p.line(r#"{"type":"interrupt"}"#);
    p.signal(-p.pid(), "-INT");
    let said = p.answer();
    assert!(said[0].contains("KeyboardInterrupt"), "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("ready"));
    p.turn("'a cell'", &["stdout 'a cell'\n", "ready"]);
    // While idle.
    p.line(r#"{"type":"interrupt"}"#);
    p.signal(-p.pid(), "-INT");
    assert_eq!(p.answer(), ["ready"]);
    p.turn("'still'", &["stdout 'still'\n", "ready"]);
    p.shutdown();
}

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
