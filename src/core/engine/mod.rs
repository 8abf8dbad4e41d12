//! The engine's side of a session: what a hosted runtime may ask of the core.
//!
//! The engine pulls: it asks for the next cell and for standard input, and it tells how a cell ended. That fits a runtime
//! that we drive (Python) and one that drives us (R).

mod c_exit;
mod channel;
#[cfg(test)]
mod echo;
mod output;
pub mod reader;
mod wait;

pub use output::Image;
pub use wait::{Runtime, wait};

use crate::control::codec::{self, Codec};
use crate::control::shared::{Shared, cancelled_refusal};
use crate::control::thread as control_thread;
use crate::engine::reader::{Ask, Reader};
use crate::output::capture::{self, Capture};
use crate::output::emitter::{Emitter, Sink};
use crate::output::thread as output_thread;
use crate::process::descendants;
use crate::process::fork;
use crate::process::host::HostProcess;
use crate::session::{CellRef, NextTurn, Request, State};
use crate::signals::crash;
use crate::signals::interrupt;
use crate::timeouts::LAST_WORDS;
use parking_lot::{Condvar, Mutex};
use std::io;
use std::os::fd::AsRawFd;
#[cfg(test)]
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use sys::{Waited, Wake};
use worker_protocol::config::Config;
use worker_protocol::{Capabilities, EndReason, ErrorInfo, Event, Outcome, Ready, Refusal, RuntimeInfo, SessionEnd};

/// The session could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A descriptor or a thread could not be had.
    #[error("the session cannot be set up: {0}")]
    System(#[from] io::Error),
}

/// What the main thread is to do next.
#[derive(Debug)]
pub enum Turn {
    /// Run this.
    Cell(Cell),
    /// Work on this and respond.
    Request(Request),
    /// A signal came while idle: run the runtime's checks, swallow what comes of it, and ask again.
    Signal,
    /// One of the caller's own descriptors has something, or the time ran out.
    Poll,
    /// No more cells: finalise the runtime.
    End,
}

/// A cell to run.
#[derive(Debug)]
pub struct Cell {
    /// Its number, from 1, and its name.
    pub cell: Arc<CellRef>,
    /// Its source.
    pub code: String,
}

/// What a session is made of.
struct Parts {
    config: Config,
    capabilities: Capabilities,
    sink: Sink,
    capture: Option<Capture>,
    stdin_identity: Option<(libc::dev_t, libc::ino_t)>,
    process: HostProcess,
    codec: Box<dyn Codec>,
}

impl Parts {
    fn assemble(self, started_at: Instant) -> io::Result<Shared> {
        let Parts { config, capabilities, sink, capture, stdin_identity, process, codec } = self;
        let policy = codec.policy();
        let control_wake = Arc::new(Wake::new()?);
        Ok(Shared {
            state: Mutex::new(State::new(started_at)),
            changed: Condvar::new(),
            emitter: Arc::new(Emitter::new(
                sink,
                capture,
                policy.encoding,
                policy.flushes_each_write,
                control_wake.clone(),
            )?),
            main_wake: Wake::new()?,
            control_wake,
            started_at,
            process,
            codec,
            policy,
            config,
            capabilities,
            stdin_identity,
        })
    }
}

/// A hosted runtime's handle on its session. Clones are the same session.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Shared>);

impl Engine {
    /// Takes over fds 0, 1 and 2 and the channel, starts the control and the output thread, and emits `worker_ready`.
    ///
    /// Call it once, on the main thread, before the runtime starts. SIGINT is blocked in this thread afterwards. A failure is
    /// told to the supervisor and on the first stderr.
    pub fn open(config: &Config, capabilities: Capabilities) -> Result<Engine, OpenError> {
        // A failure closes the channel's own descriptors.
        let channel = sys::dup_high(config.channel.event_fd);
        Engine::open_all(config, capabilities).inspect_err(|error| {
            fork::write_diagnostic(config.diagnostics_fd, &error.to_string());
            let end = SessionEnd { exit_code: Some(1), ..SessionEnd::new(EndReason::StartupFailed) };
            let line = codec::open(config.dialect).encode(&Event::SessionEnd(end.with_message(error.to_string())));
            if let (Ok(channel), Some(line)) = (&channel, line) {
                // Nobody is told when nobody listens.
                let _ = sys::write(channel.as_raw_fd(), &line);
                if let Some(pipe) = config.startup_pipe {
                    // Nor is there more to tell for who watches over the start.
                    let _ = sys::write(pipe, b"1");
                }
            }
            if let Some(folder) = &config.temp_dir {
                // It is empty, and what is left of it does no harm.
                let _ = std::fs::remove_dir(folder);
            }
        })
    }

    fn open_all(config: &Config, capabilities: Capabilities) -> Result<Engine, OpenError> {
        let config = config.clone();
        let started_at = Instant::now();
        interrupt::adopt_main_thread();
        let (requests, events) = channel::take(&config.channel)?;
        // They came through an exec if the interpreter was executed, and go no further.
        let others =
            [Some(config.diagnostics_fd), config.parent_pidfd, config.control_stdin, config.listener, config.end_pipe];
        others.into_iter().flatten().try_for_each(|fd| sys::set_cloexec(fd, true))?;
        let sink = Sink::new(events)?;
        let codec = codec::open(config.dialect);
        let takes_over = codec.policy().takes_over_stdio;
        let capture = if takes_over { Some(Capture::install()?) } else { None };
        // Where fd 0 stays as it is, what a program puts in its place later is the program's own.
        let stdin_identity = if takes_over { Some(capture::install_empty_stdin()?) } else { sys::identity(0).ok() };
        let parts = Parts { config, capabilities, sink, capture, stdin_identity, process: HostProcess::Own, codec };
        let shared = Arc::new(parts.assemble(started_at)?);
        let emitter = shared.emitter.clone();
        let mut ours = vec![requests.as_raw_fd(), emitter.sink.fd()];
        ours.extend(emitter.capture.iter().flat_map(Capture::fds));
        ours.extend(shared.config.listener);
        sys::own_process(sys::InChild { close: ours, call: &[interrupt::adopt_forked_thread, crash::forget_notes] });
        shared.emit_worker_ready();
        interrupt::catch_end_signals(shared.control_wake.fd());
        sys::go_on_when_the_parent_dies();
        output_thread::spawn(emitter.clone(), crash::attend)?;
        crash::install(emitter, &shared.config, descendants::kill_children_in_a_fault)?;
        control_thread::spawn(shared.clone(), requests)?;
        let engine = Engine(shared);
        c_exit::watch(&engine);
        Ok(engine)
    }

    /// A session of a test: all of the core over a channel, and nothing of the process. The calling thread is its main one.
    #[cfg(test)]
    pub(crate) fn in_memory(config: Config, requests: OwnedFd, events: OwnedFd) -> io::Result<Engine> {
        interrupt::adopt_test_thread();
        let capabilities =
            Capabilities { images: true, displays: true, requests: vec!["status", "echo"], limits: None };
        let process = HostProcess::Test { is_interrupted: Default::default() };
        let (sink, codec) = (Sink::new(events)?, codec::open(config.dialect));
        let parts = Parts { config, capabilities, sink, capture: None, stdin_identity: None, process, codec };
        let shared = Arc::new(parts.assemble(Instant::now())?);
        shared.emit_worker_ready();
        output_thread::spawn(shared.emitter.clone(), || {})?;
        control_thread::spawn(shared.clone(), requests)?;
        Ok(Engine(shared))
    }

    /// What a test's engine does where a runtime's would be interrupted.
    #[cfg(test)]
    pub(crate) fn take_sigint(&self) -> bool {
        self.0.process.take_sigint()
    }

    /// The runtime is up: emits the first `ready`. From now on cells are given out.
    pub fn started(&self, runtime: &RuntimeInfo) {
        self.drain_capture();
        self.0.emitter.take_startup_stderr(true);
        self.0.process.drop_sigint();
        let mut state = self.0.state.lock();
        let Some(effects) = state.on_started() else { return };
        let startup_ms = self.0.started_at.elapsed().as_micros() as f64 / 1000.0;
        self.0.emit(&Event::Ready(Ready { runtime: Some(runtime), startup_ms: Some(startup_ms), ..Ready::default() }));
        self.0.emit_effects(effects.events);
        drop(state);
        self.0.emitter.flush();
    }

    /// Waits for the next thing to do. Main thread, between cells, detached from the runtime's lock, SIGINT held and the
    /// runtime's own flag checked since; SIGINT is open only inside the wait.
    ///
    /// `also` and `timeout` are the caller's own reasons to come back.
    pub fn next(&self, also: &mut [libc::pollfd], timeout: Option<Duration>) -> Turn {
        let shared = &*self.0;
        let end = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            {
                let mut state = shared.state.lock();
                if let Some(turn) = self.take_turn(&mut state) {
                    return turn;
                }
                state.on_parked(true);
            }
            let mask = interrupt::open_mask();
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let waited = if also.is_empty() {
                let mut fds = [sys::pollfd(shared.main_wake.fd(), libc::POLLIN)];
                sys::ppoll(&mut fds, left, &mask)
            } else {
                let mut fds = vec![sys::pollfd(shared.main_wake.fd(), libc::POLLIN)];
                fds.extend_from_slice(also);
                let waited = sys::ppoll(&mut fds, left, &mask);
                also.copy_from_slice(&fds[1..]);
                waited
            };
            shared.state.lock().on_parked(false);
            match waited {
                Waited::Signal => return Turn::Signal,
                Waited::Timeout => return Turn::Poll,
                Waited::Ready => shared.main_wake.clear(),
            }
            if shared.process.take_sigint() {
                return Turn::Signal;
            }
            if also.iter().any(|fd| fd.revents != 0) {
                return Turn::Poll;
            }
        }
    }

    /// Runs `body` between cells: it serves something of the runtime's own, such as an event handler, and an interrupt is to stop
    /// it. It leaves SIGINT blocked. Afterwards no such interrupt is left, but for what the runtime has noted itself.
    pub fn serve<T>(&self, body: impl FnOnce() -> T) -> T {
        self.0.state.lock().on_serving(true);
        let result = body();
        self.0.state.lock().on_serving(false);
        self.0.process.drop_sigint();
        result
    }

    fn take_turn(&self, state: &mut State) -> Option<Turn> {
        let now = Instant::now();
        if self.0.emitter.has_lost_channel() {
            // The main thread is here and needs no signal; others wait for input that does not come any more.
            let _ = state.on_supervisor_gone(now);
            self.0.changed.notify_all();
        }
        Some(match state.on_free(now)? {
            NextTurn::End => Turn::End,
            NextTurn::Request(request) => {
                self.0.process.drop_sigint();
                Turn::Request(request)
            }
            NextTurn::Cell { cell, code, effects } => {
                if effects.wake_control {
                    self.0.control_wake.set();
                }
                self.0.emitter.append_and_set_cell(b"", cell.id.as_deref());
                // A signal that came before this stopped nothing, also one that another thread has passed on and that is still
                // on its way: the message that belongs to it still has its cell to stop.
                self.0.process.drop_sigint();
                interrupt::forget_signal();
                Turn::Cell(Cell { cell, code })
            }
        })
    }

    /// The running cell is over: everything it printed, then its `ready`. Main thread; blocks SIGINT and leaves it
    /// blocked. Afterwards no interrupt that was meant for the cell is left, but for what the runtime has noted
    /// itself: check and swallow that. Waits for the supervisor, detached, if there is no room for what was printed.
    pub fn finish_cell(&self, runtime: &impl Runtime, outcome: Outcome, error: Option<&ErrorInfo>) {
        interrupt::block_signals();
        if !self.0.emitter.try_drain_capture() {
            runtime.detach(|| self.drain_capture());
        }
        let mut state = self.0.state.lock();
        interrupt::note_answer();
        if let Some((running, effects)) = state.on_cell_end(Instant::now()) {
            let ready = Ready { outcome: Some(outcome), error, ..Ready::default() };
            self.0.emit_cell_end(&mut state, &running, ready, &effects);
            self.0.emit_effects(effects.events);
        }
        drop(state);
        self.0.process.drop_sigint();
        self.0.emitter.flush();
    }

    /// Reads the raw pipes and waits until there is room, whatever signals come.
    fn drain_capture(&self) {
        while self.0.emitter.drain_capture(None).is_err() {}
    }

    /// Answers a request that a turn or a reader gave.
    pub fn respond(&self, request: &Request, answer: Result<serde_json::Value, Refusal>) {
        let mut state = self.0.state.lock();
        let answer = if state.on_answer() {
            Err(cancelled_refusal(request))
        } else {
            answer.map_err(|refusal| Refusal { rpc_id: request.rpc.id.clone(), ..refusal })
        };
        self.0.answer(&request.rpc.id, &answer);
        if state.running().is_none() {
            drop(state);
            self.0.process.drop_sigint();
        }
    }

    /// Starts a read of standard input. Any thread.
    pub fn reader(&self, ask: Ask<'_>) -> Reader {
        Reader::new(self.0.clone(), ask)
    }

    /// Whether raw fd 0 is still the empty pipe that the session put there, so that reads of it are the session's.
    pub fn owns_stdin(&self) -> bool {
        !fork::in_child() && self.keeps_stdin()
    }

    /// The same in a forked child too, where that pipe is at its end.
    pub fn keeps_stdin(&self) -> bool {
        self.0.stdin_identity.is_none_or(|identity| sys::identity(0).is_ok_and(|now| now == identity))
    }

    /// The cell that the calling thread belongs to: the running one, or the one that started the thread.
    pub fn current_cell(&self) -> Option<Arc<CellRef>> {
        self.0.current_cell(&self.0.state.lock())
    }

    /// The user's code has ended the runtime, which is to be emitted as `end`: cells that still wait get no other answer.
    pub fn begin_exit(&self, end: &SessionEnd) {
        self.drain_capture();
        self.0.change(|state| {
            self.0.emitter.append_and_set_cell(b"", None);
            ((), state.on_exit(end.clone(), Instant::now()))
        });
    }

    /// The last `End` turn was taken and the runtime is about to finalise.
    pub fn begin_finalizing(&self) {
        self.0.state.lock().on_finalizing();
    }

    /// After finalisation: ends what is left of the session's processes, delivers what they wrote, and says
    /// `session_end`. Gives the exit status. `end` is the runtime's own reason; without it the session was shut down.
    pub fn end(&self, end: Option<SessionEnd>) -> i32 {
        if fork::in_child() {
            return 0;
        }
        let message = self.0.state.lock().on_end();
        let end = end.unwrap_or(SessionEnd { message, ..SessionEnd::new(EndReason::Shutdown) });
        let status = end.exit_status();
        self.0.last_words(end);
        status
    }

    /// What a runtime that does not come up has printed to raw fd 2: why it did not.
    pub fn startup_stderr(&self) -> String {
        self.drain_capture();
        self.0.emitter.take_startup_stderr(false)
    }

    /// The user's code ends the process without finalising (`os._exit`): nothing of the session outlives it, and everything
    /// printed is delivered, but no `session_end` is emitted. Detached from the runtime's lock.
    pub fn leave(&self) {
        if !fork::in_child() {
            self.0.clear_up();
            self.0.emitter.flush_within(LAST_WORDS);
        }
    }

    /// A line for whoever runs the worker: goes to the first stderr, never into the session's output.
    pub fn diagnose(&self, text: &str) {
        // Nobody is told when nobody listens.
        let _ = sys::write_all(self.0.config.diagnostics_fd, format!("worker: {text}\n").as_bytes());
    }
}
