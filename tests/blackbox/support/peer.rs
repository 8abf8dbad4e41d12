//! A supervisor that connects by itself, for the transports that the client library does not start a worker over.

use crate::support::harness::{LIMIT, WORKER};
use crate::support::pythons::{self, CLEARED};
use crossbeam_channel::Receiver;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Instant;
use worker_client::{Event, SessionEnd};
use worker_protocol::{EndReason, Outcome};

/// A worker that is to be connected to.
pub struct Listening {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    pub stdout: BufReader<std::process::ChildStdout>,
    stderr: Receiver<String>,
    pub said: String,
}

/// A worker's command with the default interpreter, out of the developer's own surroundings.
pub fn command() -> Command {
    let mut command = Command::new(WORKER);
    command.arg("--python").arg(&pythons::default().path);
    clear(&mut command);
    command
}

pub fn clear(command: &mut Command) {
    for name in CLEARED {
        command.env_remove(name);
    }
}

impl Listening {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (say, stderr) = crossbeam_channel::unbounded();
        let from = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || from.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Listening { stdin: child.stdin.take(), child, stdout, stderr, said: String::new() }
    }

    /// A worker that listens on loopback: itself, its port, and the token that it printed.
    pub fn tcp() -> (Self, u16, String) {
        let mut command = command();
        command.args(["--listen", "tcp:127.0.0.1:0"]);
        let mut worker = Listening::start(command);
        let (port, token) = (worker.says("WORKER_PORT=").parse().unwrap(), worker.says("WORKER_TOKEN="));
        (worker, port, token)
    }

    /// A worker that listens on a Unix socket.
    pub fn unix(path: &Path) -> Self {
        let mut command = command();
        command.arg("--listen").arg(format!("unix:{}", path.display()));
        let mut worker = Listening::start(command);
        assert_eq!(worker.says("WORKER_SOCKET="), path.to_str().unwrap());
        worker
    }

    /// The next line of its stdout, after what must be its beginning.
    #[track_caller]
    pub fn says(&mut self, name: &str) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().strip_prefix(name).unwrap_or_else(|| panic!("wanted {name}, got {line:?}")).to_owned()
    }

    /// Waits for a word on its stderr.
    #[track_caller]
    pub fn warns(&mut self, word: &str) {
        let end = Instant::now() + LIMIT;
        while !self.said.contains(word) {
            match self.stderr.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => self.said += &line,
                Err(_) => panic!("{word:?} is not in {:?}", self.said),
            }
        }
    }

    /// Waits for its end; all that it wrote to stderr is in `said` afterwards.
    #[track_caller]
    pub fn ends(&mut self) -> ExitStatus {
        let end = Instant::now() + LIMIT;
        while let Ok(line) = self.stderr.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.said += &line;
        }
        assert!(Instant::now() < end, "it does not end; {:?}", self.said);
        self.child.wait().unwrap()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // One that has ended needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A supervisor's end of a connection.
pub struct Peer {
    to: Box<dyn Write>,
    from: BufReader<Box<dyn Read>>,
}

impl Peer {
    pub fn tcp(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Peer { to: Box::new(stream.try_clone().unwrap()), from: BufReader::new(Box::new(stream)) }
    }

    pub fn unix(path: &Path) -> Self {
        Peer::of(UnixStream::connect(path).unwrap())
    }

    pub fn of(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Peer { to: Box::new(stream.try_clone().unwrap()), from: BufReader::new(Box::new(stream)) }
    }

    pub fn send(&mut self, message: Value) {
        self.write(format!("{message}\n"));
    }

    pub fn write(&mut self, text: impl AsRef<[u8]>) {
        self.to.write_all(text.as_ref()).unwrap();
    }

    pub fn hello(&mut self, token: &str) {
        self.send(json!({"type": "hello", "token": token}));
    }

    /// The next line; empty at the end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line
    }

    /// Sees lines until one says this.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        loop {
            let line = self.line();
            assert!(line.ends_with('\n'), "the connection has closed before {text:?}");
            if line.contains(text) {
                return;
            }
        }
    }

    #[track_caller]
    pub fn next(&mut self) -> Event {
        let line = self.line();
        assert!(line.ends_with('\n'), "the connection has closed after {line:?}");
        Event::parse(line.trim_end().as_bytes())
    }

    /// Sees a refusal that says this, and the end of the connection.
    #[track_caller]
    pub fn refused(&mut self, word: &str) {
        let line = self.line();
        let error: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?} is no refusal"));
        assert_eq!(error["error"]["code"], -32600, "{line}");
        assert!(error["error"]["message"].as_str().unwrap().contains(word), "{word:?} is not in {line}");
        let mut rest = Vec::new();
        // A connection that closes with something unread may end in a reset.
        let _ = self.from.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }

    /// Sees `worker_ready`, which comes first, and `ready`.
    #[track_caller]
    pub fn starts(&mut self) -> worker_client::WorkerReady {
        let hello = match self.next() {
            Event::WorkerReady(hello) => hello,
            other => panic!("wanted worker_ready first, got {other:?}"),
        };
        match self.next() {
            Event::Ready(ready) if ready.runtime.is_some() => hello,
            other => panic!("wanted ready, got {other:?}"),
        }
    }

    /// Runs a cell that must succeed; what it printed.
    #[track_caller]
    pub fn run(&mut self, code: &str) -> String {
        self.send(json!({"type": "input_batch", "input": code, "id": "it"}));
        self.cell()
    }

    /// Sees a cell to its end; what it printed.
    #[track_caller]
    pub fn cell(&mut self) -> String {
        let mut text = String::new();
        loop {
            match self.next() {
                Event::OutputText(output) => text += &String::from_utf8_lossy(&output.bytes()),
                Event::Ready(ready) => {
                    assert_eq!(ready.outcome, Some(Outcome::Ok), "{text}");
                    return text;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Sees `session_end` with this reason, and the end of the connection.
    #[track_caller]
    pub fn ended(&mut self, reason: EndReason) -> SessionEnd {
        loop {
            match self.next() {
                Event::SessionEnd(end) => {
                    assert_eq!(end.reason, reason, "{end:?}");
                    assert_eq!(self.line(), "");
                    return end;
                }
                Event::OutputText(_) | Event::Ready(_) | Event::WorkerReady(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[track_caller]
    pub fn shutdown(&mut self) {
        self.send(json!({"type": "shutdown"}));
        self.ended(EndReason::Shutdown);
    }
}
