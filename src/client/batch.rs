//! What a supervisor sends: batches of input, interrupts, shutdowns and requests, each one line.

use serde::Serialize;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One `input_batch`.
///
/// ```
/// # use worker_client::Batch;
/// # use std::time::Duration;
/// let cell = Batch::cell("1 + 1").id("first").timeout(Duration::from_secs(5));
/// let answer = Batch::stdin("Ada").reader(1);
/// ```
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename = "input_batch")]
pub struct Batch {
    input: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eof: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reader: Option<u64>,
}

impl Batch {
    /// Text that the session's state routes: the answer of a running cell's wait, else a cell.
    pub fn new(input: impl Into<String>) -> Self {
        Batch { input: input.into(), to: None, id: None, timeout_ms: None, eof: None, reader: None }
    }

    /// One complete cell, whatever waits.
    pub fn cell(code: impl Into<String>) -> Self {
        Batch { to: Some("cell"), ..Batch::new(code) }
    }

    /// Standard input, whatever runs.
    pub fn stdin(text: impl Into<String>) -> Self {
        Batch { to: Some("stdin"), ..Batch::new(text) }
    }

    /// Names the cell, or the cell whose standard input this is.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Interrupts the cell after so much time from its start.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(timeout.as_millis().try_into().unwrap_or(u64::MAX));
        self
    }

    /// Standard input of the cell is at its end after this.
    pub fn eof(mut self) -> Self {
        self.eof = Some(true);
        self
    }

    /// Answers this wait alone.
    pub fn reader(mut self, reader: u64) -> Self {
        self.reader = Some(reader);
        self
    }
}

/// The way to the worker; clones share it, so that another thread can interrupt.
#[derive(Clone)]
pub struct Sender(Arc<Mutex<Requests>>);

/// What requests are written to.
pub(super) enum Requests {
    /// A socket, which events come from as well.
    Socket(UnixStream),
    /// The write end of a pipe.
    Pipe(Box<dyn Write + Send>),
    /// Nothing more can be sent.
    Closed,
}

impl Sender {
    pub(super) fn new(requests: Requests) -> Self {
        Sender(Arc::new(Mutex::new(requests)))
    }

    /// Sends one batch.
    pub fn send(&self, batch: &Batch) -> io::Result<()> {
        self.message(batch)
    }

    /// Interrupts what runs and discards the queue.
    pub fn interrupt(&self) -> io::Result<()> {
        self.message(&json!({"type": "interrupt"}))
    }

    /// Interrupts this cell alone, or takes it out of the queue.
    pub fn interrupt_cell(&self, id: &str) -> io::Result<()> {
        self.message(&json!({"type": "interrupt", "id": id}))
    }

    /// Asks the session to end; [`Worker::shutdown`](super::Worker::shutdown) sees it through.
    pub fn ask_to_end(&self, grace: Option<Duration>) -> io::Result<()> {
        self.message(&match grace {
            Some(grace) => json!({"type": "shutdown", "grace_ms": grace.as_millis() as u64}),
            None => json!({"type": "shutdown"}),
        })
    }

    /// Sends a JSON-RPC request under an id of the caller's.
    pub fn request(&self, id: impl Into<Value>, method: &str, params: Value) -> io::Result<()> {
        let id: Value = id.into();
        self.message(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
    }

    /// Sends any message.
    pub fn message(&self, message: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.raw(&line)
    }

    /// Sends bytes as they are, for tests of what a worker makes of bad lines.
    pub fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        match &mut *self.lock() {
            Requests::Socket(socket) => socket.write_all(bytes),
            Requests::Pipe(pipe) => pipe.write_all(bytes).and_then(|()| pipe.flush()),
            Requests::Closed => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Ends the request side: the worker finishes its queue within the grace and ends.
    pub fn close(&self) -> io::Result<()> {
        match std::mem::replace(&mut *self.lock(), Requests::Closed) {
            Requests::Socket(socket) => socket.shutdown(Shutdown::Write),
            Requests::Pipe(_) | Requests::Closed => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        // A line is written whole or the channel is broken, so there is no half-done state to fear.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(batch: &Batch) -> String {
        serde_json::to_string(batch).unwrap()
    }

    #[test]
    fn a_batch_says_only_what_was_asked() {
        assert_eq!(text(&Batch::new("x")), r#"{"type":"input_batch","input":"x"}"#);
        assert_eq!(
            text(&Batch::cell("x").id("a").timeout(Duration::from_millis(20))),
            r#"{"type":"input_batch","input":"x","to":"cell","id":"a","timeout_ms":20}"#
        );
        assert_eq!(
            text(&Batch::stdin("y").reader(3).eof()),
            r#"{"type":"input_batch","input":"y","to":"stdin","eof":true,"reader":3}"#
        );
    }

    #[test]
    fn a_closed_way_takes_nothing() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let sender = Sender::new(Requests::Socket(ours));
        sender.interrupt().unwrap();
        sender.close().unwrap();
        assert_eq!(sender.interrupt().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        sender.close().unwrap();
    }
}
