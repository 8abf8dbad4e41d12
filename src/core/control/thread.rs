//! The control thread: reads requests, acts on interrupts and deadlines, and notices when the supervisor is gone.
//!
//! It waits in one `poll` and for nothing else, so it answers and interrupts while the interpreter is stuck in native code
//! and while the supervisor does not read.

use crate::control::shared::Shared;
use crate::session::{Effects, Request};
use crate::signals::interrupt;
use crate::timeouts::CLOSED_CHANNEL;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use worker_protocol::framing::{Line, Lines};
use worker_protocol::{Code, EndReason, Incoming, InputBatch, MAX_LINE, Refusal, Response, Rpc, SessionEnd, line};

/// Starts the thread. It runs until the process ends.
pub(crate) fn spawn(shared: Arc<Shared>, requests: OwnedFd) -> io::Result<()> {
    std::thread::Builder::new()
        .name("worker-control".into())
        .stack_size(512 << 10)
        .spawn(move || {
            sys::block_signals_in_this_thread();
            let listener = shared.config.listener;
            Control { shared, requests: Some(requests), listener }.run();
        })
        .map(drop)
}

struct Control {
    shared: Arc<Shared>,
    /// None once it is at its end.
    requests: Option<OwnedFd>,
    /// Where a second supervisor knocks.
    listener: Option<RawFd>,
}

impl Control {
    fn run(mut self) {
        let mut lines = Lines::default();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let (deadline, is_gone) = {
                let state = self.shared.state.lock();
                (state.next_deadline(), state.is_gone())
            };
            let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let request_fd = self.requests.as_ref().map_or(-1, AsRawFd::as_raw_fd);
            let event_fd = if is_gone { -1 } else { self.shared.emitter.sink.fd() };
            let config = &self.shared.config;
            let mut fds = [
                sys::pollfd(request_fd, libc::POLLIN),
                sys::pollfd(self.shared.control_wake.fd(), libc::POLLIN),
                sys::pollfd(event_fd, 0),
                sys::pollfd(config.parent_pidfd.unwrap_or(-1), libc::POLLIN),
                sys::pollfd(config.control_stdin.unwrap_or(-1), libc::POLLIN),
                sys::pollfd(self.listener.unwrap_or(-1), libc::POLLIN),
            ];
            sys::poll(&mut fds, timeout);
            let [request, wake, event, parent, stdin, listener] = fds.map(|fd| fd.revents);
            if wake != 0 {
                self.shared.control_wake.clear();
                self.take_signal();
                if self.shared.emitter.has_lost_channel() {
                    self.supervisor_gone();
                }
            }
            if (request | event | wake) & libc::POLLNVAL != 0 {
                // User code has closed descriptors that are not its own: without a channel there is no session.
                std::mem::forget(self.requests.take());
                self.supervisor_gone();
                std::thread::sleep(CLOSED_CHANNEL);
            }
            if event & (libc::POLLERR | libc::POLLHUP) != 0 || parent != 0 {
                self.supervisor_gone();
            }
            if stdin != 0 && sys::read(config.control_stdin.unwrap_or(-1), &mut buffer).unwrap_or(0) == 0 {
                self.supervisor_gone();
            }
            if listener != 0 {
                self.turn_away();
            }
            if request != 0 && self.requests.is_some() {
                match sys::read(request_fd, &mut buffer) {
                    Ok(n) if n > 0 => lines.feed(&buffer[..n], |line| self.take_line(line)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    _ => {
                        lines.finish(|line| self.take_line(line));
                        self.requests = None;
                        self.shut_down(None, None);
                    }
                }
            }
            self.take_deadlines();
        }
    }

    /// Tells a second supervisor that there is one.
    fn turn_away(&mut self) {
        let Some(listener) = self.listener else { return };
        match sys::accept_nowait(listener) {
            Ok(socket) => {
                let refusal = Refusal::new(Code::Invalid, "this worker has its supervisor: it takes one");
                // One that does not take a line sees the end.
                let _ = sys::send_nowait(socket.as_raw_fd(), &line(&Response::refusal(&refusal)));
                self.diagnose("a second connection was refused: a worker takes one supervisor");
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) => {}
            // Out of descriptors, say: knocks stay unanswered, rather than heard without end.
            Err(_) => self.listener = None,
        }
    }

    /// Writes a line to the first stderr if there is room for it: this thread waits for nobody.
    fn diagnose(&self, text: &str) {
        let fd = self.shared.config.diagnostics_fd;
        let mut room = [sys::pollfd(fd, libc::POLLOUT)];
        if sys::poll(&mut room, Some(Duration::ZERO)) && room[0].revents & libc::POLLOUT != 0 {
            // Nobody is told when nobody listens.
            let _ = sys::write(fd, format!("worker: {text}\n").as_bytes());
        }
    }

    fn take_line(&self, line: Line<'_>) {
        let incoming = match line {
            Line::TooLong => Err(Refusal::new(
                Code::LineTooLong,
                format!("the line is longer than {} MiB and was skipped: send less in one batch", MAX_LINE >> 20),
            )),
            Line::Whole(line) => Incoming::parse(line),
        };
        let incoming = match incoming {
            Err(refusal) if self.shared.policy.refusals_end_the_session => self.protocol_error(&refusal.message),
            Ok(incoming) => Ok(self.shared.codec.decode(incoming).unwrap_or_else(|why| self.protocol_error(why))),
            refused => refused,
        };
        match incoming {
            Ok(Incoming::Input(batch)) => self.take_batch(batch),
            Ok(Incoming::Interrupt { id }) => {
                self.shared.interrupt(id.as_deref(), true);
            }
            Ok(Incoming::Shutdown { grace_ms }) => self.shut_down(grace_ms, None),
            Ok(Incoming::Request(rpc)) => self.take_request(rpc),
            Err(refusal) => self.shared.answer(&Value::Null, &Err(refusal)),
        }
    }

    fn take_batch(&self, mut batch: InputBatch) {
        let shared = &self.shared;
        let refused = shared.change(|state| {
            interrupt::take_batch(state.is_idle());
            shared.codec.direct(&mut batch, state.has_waits());
            match state.on_batch(batch) {
                Ok((_, effects)) => {
                    shared.codec.on_batch();
                    (None, effects)
                }
                Err(refusal) => (Some(refusal), Effects::default()),
            }
        });
        let Some(refusal) = refused else { return };
        if shared.policy.refusals_end_the_session && refusal.code != Code::Ending {
            // There are no words for a refusal, and a batch without an answer would be waited for in vain.
            self.protocol_error(&refusal.message);
        }
        shared.answer(&Value::Null, &Err(refusal));
    }

    fn shut_down(&self, grace_ms: Option<u64>, message: Option<String>) {
        let grace_ms = grace_ms.or(self.shared.policy.grace_ms);
        self.shared.change(|state| ((), state.on_shutdown(grace_ms, message, Instant::now())));
    }

    fn take_signal(&self) {
        if interrupt::take_signalled() {
            self.shared.state.lock().on_signal(Instant::now());
        }
        if let Some(name) = interrupt::take_end_signal() {
            if self.shared.state.lock().is_ending() {
                self.force(name);
            }
            self.shut_down(None, Some(name.to_owned()));
        }
    }

    fn supervisor_gone(&self) {
        self.shared.emitter.set_gone();
        self.shared.change_by_signal(|state| state.on_supervisor_gone(Instant::now()));
    }

    fn take_deadlines(&self) {
        let now = Instant::now();
        if self.shared.state.lock().next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        if self.shared.change_by_signal(|state| state.on_deadline(now)) {
            self.force("forced");
        }
    }

    /// Ends the process at once; an end that the user's code asked for keeps its reason and its number.
    fn force(&self, message: &str) {
        let asked = self.shared.state.lock().exit().cloned();
        let end = asked.unwrap_or(SessionEnd::new(EndReason::Shutdown)).with_message(message);
        let status = end.exit_status();
        self.shared.force_end(end, status)
    }

    fn protocol_error(&self, message: &str) -> ! {
        self.shared.force_end(SessionEnd::new(EndReason::ProtocolError).with_message(message), 1)
    }

    fn take_request(&self, rpc: Rpc) {
        let id = rpc.id.clone();
        let answer = match rpc.method.as_str() {
            "status" => Ok(self.status()),
            "interrupt" => params::<InterruptParams>(&rpc)
                .map(|params| json!({"delivered": self.shared.interrupt(params.id.as_deref(), false)})),
            "shutdown" => params::<ShutdownParams>(&rpc).map(|params| {
                self.shut_down(params.grace_ms, None);
                json!({})
            }),
            method if self.shared.capabilities.requests.contains(&method) => match self.hand_over(rpc) {
                Ok(()) => return,
                Err(refusal) => Err(refusal),
            },
            method => {
                let known = self.shared.capabilities.requests.join(", ");
                Err(Refusal::new(
                    Code::UnknownMethod,
                    format!("unknown method {method:?}: this worker answers {known}"),
                ))
            }
        };
        self.shared.answer(&id, &answer.map_err(|refusal| Refusal { rpc_id: id.clone(), ..refusal }));
    }

    /// Gives a request to the main thread, if that can take it.
    fn hand_over(&self, rpc: Rpc) -> Result<(), Refusal> {
        if !rpc.params.is_object() {
            return Err(Refusal::new(Code::BadParams, "`params` is an object"));
        }
        self.shared.change(|state| match state.on_request(Request { rpc }) {
            Ok(effects) => (Ok(()), effects),
            Err(refusal) => (Err(refusal), Effects::default()),
        })
    }

    fn status(&self) -> Value {
        let state = self.shared.state.lock().status();
        let now = Instant::now();
        json!({
            "state": state.word,
            "id": state.id,
            "queued_cells": state.queued_cells,
            "background_waits": state.background_waits,
            "queued_stdin_bytes": state.queued_stdin_bytes,
            "session_id": self.shared.config.session_id,
            "pid": std::process::id(),
            "uptime_ms": now.duration_since(self.shared.started_at).as_millis() as u64,
            "last_activity_ms": now.duration_since(state.last_activity).as_millis() as u64,
            "cells_run": state.cells_run,
            "rss_bytes": sys::resident_bytes(),
        })
    }
}

#[derive(Deserialize)]
struct InterruptParams {
    #[serde(default)]
    id: Option<String>,
}

#[derive(Deserialize)]
struct ShutdownParams {
    #[serde(default)]
    grace_ms: Option<u64>,
}

fn params<T: serde::de::DeserializeOwned>(rpc: &Rpc) -> Result<T, Refusal> {
    if !rpc.params.is_object() {
        return Err(Refusal::new(Code::BadParams, "`params` is an object"));
    }
    serde_json::from_value(rpc.params.clone()).map_err(|error| Refusal::new(Code::BadParams, error.to_string()))
}
