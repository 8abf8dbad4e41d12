//! A running worker: its events in order, its answers, and its end.

use super::batch::{Batch, Requests, Sender};
use super::error::{CallError, NoEvent, StartError};
use super::event::{Event, Ready, SessionEnd, WorkerReady};
use super::exit::{Evidence, Exit, OomWatch};
use super::threads::{Notice, await_exit, keep_stderr, named, read_events};
use super::timeouts;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::process::Child;
use std::time::{Duration, Instant};

/// A running worker. Dropping it kills what is left of it.
pub struct Worker {
    child: Child,
    sender: Sender,
    notices: Receiver<Notice>,
    /// Events that came while something else was waited for.
    stash: VecDeque<Event>,
    stderr: Option<Receiver<Vec<u8>>>,
    memory: OomWatch,
    channel: ChannelState,
    next_request: u64,
    facts: Facts,
    exit: Option<Exit>,
}

/// What a worker is made from.
pub(super) struct Parts {
    /// The process.
    pub child: Child,
    /// Where requests are written.
    pub requests: Requests,
    /// Where events are read.
    pub events: Box<dyn Read + Send>,
    /// How many events may wait to be received.
    pub backlog: usize,
}

/// What has been seen of the channel and the process.
#[derive(Clone, Copy)]
enum ChannelState {
    Open,
    /// The process is gone; what it wrote may still be on its way.
    Exited(Instant),
    Closed {
        exited: bool,
    },
}

/// What the events, and the signals that were sent, tell about a later end.
#[derive(Default)]
struct Facts {
    last: Option<SessionEnd>,
    started: bool,
    sent: Option<i32>,
}

impl Worker {
    pub(super) fn from_parts(parts: Parts) -> io::Result<Self> {
        let Parts { mut child, requests, events, backlog } = parts;
        let (notify, notices) = crossbeam_channel::bounded(backlog);
        let pid = child.id();
        let stderr = child.stderr.take().map(keep_stderr).transpose()?;
        let events_to = notify.clone();
        named("worker-events").spawn(move || read_events(events, &events_to))?;
        named("worker-exit").spawn(move || await_exit(pid_of(pid), &notify))?;
        Ok(Worker {
            memory: OomWatch::start(pid),
            child,
            sender: Sender::new(requests),
            notices,
            stash: VecDeque::new(),
            stderr,
            channel: ChannelState::Open,
            next_request: 1,
            facts: Facts::default(),
            exit: None,
        })
    }

    /// The worker's process id, which is its process group's too.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The way to the worker, for other threads.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Sends one batch.
    pub fn send(&self, batch: &Batch) -> io::Result<()> {
        self.sender.send(batch)
    }

    /// Interrupts what runs and discards the queue.
    pub fn interrupt(&self) -> io::Result<()> {
        self.sender.interrupt()
    }

    /// The next event, if one comes before the deadline.
    pub fn recv(&mut self, deadline: Instant) -> Result<Event, NoEvent> {
        match self.stash.pop_front() {
            Some(event) => Ok(event),
            None => self.pull(deadline),
        }
    }

    /// The next event, if one comes in this time.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Event, NoEvent> {
        self.recv(Instant::now() + timeout)
    }

    /// All events until the worker closes its channel; each step waits as long as it takes.
    pub fn events(&mut self) -> impl Iterator<Item = Event> + '_ {
        std::iter::from_fn(move || {
            loop {
                match self.recv_timeout(Duration::from_secs(3600)) {
                    Ok(event) => return Some(event),
                    Err(NoEvent::TimedOut) => {}
                    Err(NoEvent::Closed) => return None,
                }
            }
        })
    }

    /// Waits until the worker can take its first cell. What else comes meanwhile stays to be received; a profile
    /// that asks for input must be driven with [`Worker::recv`] instead.
    pub fn until_ready(&mut self, timeout: Duration) -> Result<(WorkerReady, Ready), StartError> {
        let deadline = Instant::now() + timeout;
        let mut hello = None;
        let mut others = VecDeque::new();
        let result = loop {
            match self.recv(deadline) {
                Ok(Event::WorkerReady(event)) => hello = Some(event),
                Ok(Event::Ready(ready)) => {
                    if let Some(hello) = hello.take() {
                        break Ok((hello, ready));
                    }
                    others.push_back(Event::Ready(ready));
                }
                Ok(event) => others.push_back(event),
                Err(NoEvent::TimedOut) => break Err(StartError::TimedOut),
                Err(NoEvent::Closed) => {
                    break Err(match self.wait(deadline) {
                        Some(exit) => StartError::Ended(Box::new(exit)),
                        None => StartError::TimedOut,
                    });
                }
            }
        };
        others.append(&mut self.stash);
        self.stash = others;
        result
    }

    /// Asks and waits for the answer. Events that come meanwhile stay to be received, in their order.
    pub fn call(&mut self, method: &str, params: Value, timeout: Duration) -> Result<Value, CallError> {
        let id = Value::from(format!("call-{}", self.next_request));
        self.next_request += 1;
        self.sender.request(id.clone(), method, params)?;
        let deadline = Instant::now() + timeout;
        loop {
            match self.pull(deadline)? {
                Event::Response(response) if response.id == id => {
                    return match response.error {
                        Some(error) => Err(error.into()),
                        None => Ok(response.result.unwrap_or_default()),
                    };
                }
                event => self.stash.push_back(event),
            }
        }
    }

    /// Waits for the end and tells how it came. Events that come meanwhile stay to be received.
    pub fn wait(&mut self, deadline: Instant) -> Option<Exit> {
        loop {
            if let Some(exit) = &self.exit {
                return Some(exit.clone());
            }
            if let ChannelState::Closed { exited: true } = self.channel {
                self.exit = Some(self.reap()?);
                continue;
            }
            match self.pull(deadline) {
                Ok(event) => self.stash.push_back(event),
                Err(NoEvent::TimedOut) => return None,
                Err(NoEvent::Closed) => self.await_exit(deadline)?,
            }
        }
    }

    /// Ends the session: asks, and after twice the grace sends SIGTERM, then SIGKILL to the whole process group.
    /// Events that come meanwhile stay to be received. None if even that does not end it.
    pub fn shutdown(&mut self, grace: Duration) -> Option<Exit> {
        // A worker that has hung up cannot be asked; it ends by itself or by the signals.
        let _ = self.sender.ask_to_end(Some(grace));
        if let Some(exit) = self.wait(Instant::now() + grace * 2 + timeouts::AFTER_GRACE) {
            return Some(exit);
        }
        self.signal(libc::SIGTERM);
        if let Some(exit) = self.wait(Instant::now() + timeouts::AFTER_SIGTERM) {
            return Some(exit);
        }
        self.kill()
    }

    /// Kills the process group at once and tells how it ended.
    pub fn kill(&mut self) -> Option<Exit> {
        if self.exit.is_none() {
            self.facts.sent = Some(libc::SIGKILL);
            // Nothing to do about one that is gone already.
            let _ = killpg(pid_of(self.pid()), Signal::SIGKILL);
        }
        self.wait(Instant::now() + timeouts::AFTER_SIGKILL)
    }

    /// Sends a signal to the worker's process alone; a SIGINT stops the cell. False if it is gone.
    pub fn signal(&mut self, signal: i32) -> bool {
        let Ok(signal) = Signal::try_from(signal) else {
            return false;
        };
        if self.exit.is_some() {
            return false;
        }
        if matches!(signal, Signal::SIGTERM | Signal::SIGKILL) {
            self.facts.sent = Some(signal as i32);
        }
        kill(pid_of(self.pid()), signal).is_ok()
    }

    /// The next event from the reading thread.
    fn pull(&mut self, deadline: Instant) -> Result<Event, NoEvent> {
        loop {
            let until = match self.channel {
                ChannelState::Closed { .. } => return Err(NoEvent::Closed),
                ChannelState::Open => deadline,
                ChannelState::Exited(at) => deadline.min(at + timeouts::CHANNEL_OF_THE_DEAD),
            };
            match self.notices.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Notice::Event(event)) => {
                    self.facts.note(&event);
                    return Ok(event);
                }
                Ok(Notice::Exited) => self.channel = ChannelState::Exited(Instant::now()),
                Ok(Notice::Closed) => {
                    let exited = matches!(self.channel, ChannelState::Exited(_));
                    self.channel = ChannelState::Closed { exited };
                }
                Err(RecvTimeoutError::Timeout) if until < deadline => {
                    // A process that outlived the worker holds its channel.
                    self.channel = ChannelState::Closed { exited: true };
                }
                Err(RecvTimeoutError::Timeout) => return Err(NoEvent::TimedOut),
                Err(RecvTimeoutError::Disconnected) => self.channel = ChannelState::Closed { exited: true },
            }
        }
    }

    fn await_exit(&mut self, deadline: Instant) -> Option<()> {
        if let ChannelState::Closed { exited: false } = self.channel {
            match self.notices.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => return None,
                Ok(_) | Err(RecvTimeoutError::Disconnected) => {
                    self.channel = ChannelState::Closed { exited: true };
                }
            }
        }
        Some(())
    }

    fn reap(&mut self) -> Option<Exit> {
        let out_of_memory = self.memory.has_killed();
        let status = self.child.wait().ok()?;
        let kept = self.stderr.take().and_then(|kept| kept.recv_timeout(timeouts::STDERR_OF_THE_DEAD).ok());
        let stderr = String::from_utf8_lossy(&kept.unwrap_or_default()).into_owned();
        let Facts { last, started, sent } = &self.facts;
        let evidence =
            Evidence { status, last: last.as_ref(), started: *started, sent: *sent, out_of_memory, stderr: &stderr };
        let reason = evidence.reason();
        Some(Exit { reason, last: last.clone(), status, stderr })
    }
}

impl Facts {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Ready(_) => self.started = true,
            Event::SessionEnd(end) => self.last = Some(end.clone()),
            _ => {}
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A thread that waits to hand over an event must not hold up the end: nobody will receive any more.
        if self.exit.is_none() {
            let _ = killpg(pid_of(self.pid()), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed())
}
