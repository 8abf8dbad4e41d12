//! The other side of the second dialect: strict about every field of every message.

use crate::support::harness::{LIMIT, WORKER};
use crate::support::pythons;
use base64::Engine as _;
use crossbeam_channel::Receiver;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Instant;

/// Gives the worker its channel under two numbers that only the environment tells, and raw descriptors of its own.
const LAUNCH: &str = r#"exec 7<&0 8>&1
export MCP_REPL_IPC_READ_FD=7 MCP_REPL_IPC_WRITE_FD=8
exec "$@" 0<"$RAW/in" 1>"$RAW/out" 2>"$RAW/err""#;

/// The other side: what mcp-repl is to its workers.
pub struct Peer {
    pub child: Child,
    pub requests: Option<ChildStdin>,
    lines: Receiver<String>,
    raw: tempfile::TempDir,
    pub log: Vec<String>,
}

impl Peer {
    /// A worker that has been started and has said nothing that was looked at.
    pub fn start(args: &[&str]) -> Peer {
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
    pub fn python() -> Peer {
        let mut peer = Peer::start(&["--python", pythons::default().path.to_str().unwrap()]);
        peer.begins();
        peer
    }

    /// An R worker that is ready for its first batch.
    pub fn r() -> Peer {
        let mut peer = Peer::start(&["--lang", "r"]);
        peer.begins();
        peer
    }

    #[track_caller]
    pub fn begins(&mut self) {
        assert_eq!(self.next().as_deref(), Some("worker_ready"));
        assert_eq!(self.next().as_deref(), Some("ready"));
    }

    pub fn line(&mut self, line: &str) {
        let requests = self.requests.as_mut().unwrap();
        requests.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub fn send(&mut self, input: &str) {
        self.line(&serde_json::json!({"type": "input_batch", "input": input}).to_string());
    }

    /// The next message in short, every field checked; none at the end.
    #[track_caller]
    pub fn next(&mut self) -> Option<String> {
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
    pub fn answer(&mut self) -> Vec<String> {
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
    pub fn turn(&mut self, input: &str, golden: &[&str]) {
        self.send(input);
        assert_eq!(self.answer(), golden, "{input:?} in\n{}", self.log.join("\n"));
    }

    /// Waits until the worker has said this.
    #[track_caller]
    pub fn until(&mut self, message: &str) {
        while self.next().expect("more") != message {}
    }

    /// What was written to a raw descriptor.
    pub fn raw(&self, name: &str) -> String {
        std::fs::read_to_string(self.raw.path().join(name)).unwrap()
    }

    /// Sees nothing more but the end.
    #[track_caller]
    pub fn ends(&mut self, golden: &str) -> ExitStatus {
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
    pub fn shutdown(mut self) {
        self.line(r#"{"type":"shutdown"}"#);
        let status = self.ends("session_end shutdown");
        assert_eq!(status.code(), Some(0));
    }

    /// Waits until every thread of the worker sleeps: what could still come of the last batch has come.
    pub fn until_asleep(&self) {
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

    pub fn signal(&self, target: i64, signal: &str) {
        let status = Command::new("kill").args([signal, "--", &target.to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub fn pid(&self) -> i64 {
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
