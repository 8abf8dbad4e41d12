//! What the engine's side and the control side of a session share, and the ways in which both act on it.
//!
//! Lock order: the runtime's own lock (the GIL), then the state, then the emitter. Nobody takes the runtime's lock while
//! holding either, and the control and output threads never take it at all. What is emitted about a change of state is
//! appended under the state's lock, so that it is emitted in the order in which it happened; appending never waits.

use crate::control::codec::{Codec, Policy};
use crate::output::emitter::Emitter;
use crate::process::descendants::Interrupted;
use crate::process::host::HostProcess;
use crate::session::adopted::adopted_cell;
use crate::session::{BatchAnswer, CellRef, Effects, Emit, Interrupt, Request, Running, State};
use crate::signals::interrupt;
use crate::timeouts::LAST_WORDS;
use parking_lot::{Condvar, Mutex, MutexGuard};
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;
use sys::Wake;
use worker_protocol::config::Config;
use worker_protocol::{
    Capabilities, Code, Event, NAME, Outcome, ProtocolInfo, Ready, Refusal, Response, SessionEnd, VERSION, WORKER, line,
};

#[derive(Debug)]
pub(crate) struct Shared {
    pub state: Mutex<State>,
    /// Something changed that a waiting thread, other than the main one, may want to know.
    pub changed: Condvar,
    pub emitter: Arc<Emitter>,
    /// Ends the main thread's wait.
    pub main_wake: Wake,
    /// Ends the control thread's wait.
    pub control_wake: Arc<Wake>,
    pub started_at: Instant,
    pub process: HostProcess,
    pub config: Config,
    pub codec: Box<dyn Codec>,
    pub policy: Policy,
    pub capabilities: Capabilities,
    /// What fd 0 is while nobody has put something else there.
    pub stdin_identity: Option<(libc::dev_t, libc::ino_t)>,
}

impl Shared {
    /// Emits an event in the dialect of the session, after everything emitted so far; false when there are no words for it.
    /// Never waits.
    pub fn emit(&self, event: &Event<'_>) -> bool {
        let line = self.codec.encode(event);
        line.inspect(|line| self.emitter.append(line)).is_some()
    }

    /// The same, for what nobody else may flush for a long time.
    pub fn emit_soon(&self, event: &Event<'_>) {
        self.emit(event);
        self.emitter.flush_soon();
    }

    pub fn emit_worker_ready(&self) {
        self.emit(&Event::WorkerReady {
            protocol: ProtocolInfo { name: NAME, version: VERSION },
            worker: WORKER,
            session_id: &self.config.session_id,
            lang: self.config.lang.name(),
            pid: std::process::id(),
            capabilities: &self.capabilities,
        });
        self.emitter.flush();
    }

    /// Makes a transition of the state and does what it asks for; nobody sees the one without the other.
    pub fn change<T>(&self, transition: impl FnOnce(&mut State) -> (T, Effects)) -> T {
        let mut state = self.state.lock();
        let (result, effects) = transition(&mut state);
        self.apply(state, effects, Interrupted::default());
        result
    }

    /// The same for a transition that may ask for SIGINT; true when it asks for the end of the process. On the control thread.
    pub fn change_by_signal(&self, transition: impl FnOnce(&mut State) -> Effects) -> bool {
        // Asked of the system before the state is locked.
        let others = self.process.others();
        let mut state = self.state.lock();
        let effects = transition(&mut state);
        let force_end = effects.force_end;
        self.apply(state, effects, others);
        force_end
    }

    /// Does what a transition asks for, and lets the state go. `others`: the processes that a SIGINT goes to besides.
    ///
    /// The main thread is signalled while the state is locked, so that no signal comes in another cell than it is for. It is woken
    /// afterwards, or it would wake into the lock.
    fn apply(&self, state: MutexGuard<'_, State>, effects: Effects, others: Interrupted) {
        if effects.send_sigint {
            self.process.send_sigint(&self.main_wake, &others);
        } else if effects.resend_sigint {
            interrupt::resend();
        }
        let has_events = !effects.events.is_empty();
        self.emit_effects(effects.events);
        if effects.wake_control {
            self.control_wake.set();
        }
        if effects.wake_threads {
            self.changed.notify_all();
        }
        let last_cell = state.last_cell();
        drop(state);
        if effects.wake_main {
            self.main_wake.set();
        }
        if has_events {
            self.emitter.flush();
        }
        if effects.send_sigint {
            self.interrupt_rest(others, last_cell);
        }
    }

    /// Emits what a transition asks for. The caller holds the state's lock.
    pub fn emit_effects(&self, events: Vec<Emit>) {
        events.into_iter().for_each(|event| self.emit_effect(event));
    }

    fn emit_effect(&self, event: Emit) {
        match event {
            Emit::Ready => {
                self.emit(&Event::Ready(Ready::default()));
            }
            Emit::Discarded(cell) => {
                let stdin = cell.stdin.len();
                self.emit(&Event::Ready(Ready {
                    id: cell.id.as_deref(),
                    outcome: Some(Outcome::Discarded),
                    elapsed_ms: Some(0.0),
                    discarded_stdin_bytes: (stdin > 0).then_some(stdin),
                    ..Ready::default()
                }));
            }
            Emit::Cancelled(request) => self.answer(&request.rpc.id, &Err(cancelled_refusal(&request))),
        }
    }

    /// Emits how a cell ended, and from then on output carries no cell's id. `effects`: what its end asks for.
    pub fn emit_cell_end<'a>(&self, state: &mut State, running: &'a Running, mut ready: Ready<'a>, effects: &Effects) {
        ready.id = running.cell.id.as_deref();
        // Microseconds are as fine as this is worth telling.
        ready.elapsed_ms = Some(running.started.elapsed().as_micros() as f64 / 1000.0);
        ready.discarded_stdin_bytes = (running.dropped_stdin > 0).then_some(running.dropped_stdin);
        ready.timed_out = running.timed_out;
        let is_last = !state.has_queued_cells() && effects.events.is_empty();
        if self.policy.answers_each_batch && state.has_waits() && is_last {
            // The next batch is for that wait, so its prompt is the answer.
            self.emitter.append_and_set_cell(b"", None);
            return self.answer_batch(state);
        }
        let line = self.codec.encode(&Event::Ready(ready)).unwrap_or_default();
        self.emitter.append_and_set_cell(&line, None);
    }

    /// Where each batch has one answer: answers a batch that nothing else will answer, if it is time.
    pub fn answer_batch(&self, state: &mut State) {
        if !self.codec.owes_answer() {
            return;
        }
        match state.on_batch_answer_due() {
            Some(BatchAnswer::Wait { reader, prompt }) => {
                self.emit_soon(&Event::InputWait { prompt: &prompt, hidden: false, reader, id: None });
            }
            Some(BatchAnswer::Ready) => self.emit_soon(&Event::Ready(Ready::default())),
            None => {}
        }
    }

    /// Answers a JSON-RPC request, or a line that was refused.
    pub fn answer(&self, id: &Value, answer: &Result<Value, Refusal>) {
        if self.policy.answers_requests {
            self.emitter.append_answer(&match answer {
                Ok(result) => line(&Response::result(id, result)),
                Err(refusal) => line(&Response::refusal(refusal)),
            });
        }
    }

    /// Interrupts as a message asks; tells whether there was something to stop. `with_ready`: when idle a bare `ready` answers
    /// it. On the control thread.
    pub fn interrupt(&self, id: Option<&str>, with_ready: bool) -> bool {
        let others = self.process.others();
        let mut state = self.state.lock();
        let Interrupt { mut effects, was_idle, has_stopped } = state.on_interrupt(id, Instant::now());
        // Recorded also when no signal is sent: the one that belongs to this message must not interrupt anything either.
        let is_first = interrupt::is_first(interrupt::Way::Message);
        let is_answered = !is_first && was_idle && interrupt::take_answer();
        if !is_answered {
            self.codec.on_interrupt();
            if was_idle && with_ready {
                effects.events.push(Emit::Ready);
            }
        }
        effects.send_sigint &= is_first;
        self.apply(state, effects, others);
        has_stopped
    }

    /// Passes an interrupt on to processes that were not there when the main thread was signalled: until the next cell starts,
    /// whose processes it is not for. `last_cell`: the last one that had started by then.
    fn interrupt_rest(&self, others: Interrupted, last_cell: u64) {
        self.process.interrupt_rest(others, || {
            let state = self.state.lock();
            (state.last_cell() == last_cell).then_some(state)
        });
    }

    /// Ends the process without the runtime's help.
    pub fn force_end(&self, end: SessionEnd, status: i32) -> ! {
        self.last_words(end);
        self.process.exit(status)
    }

    /// Ends what is left of the session's processes, takes what they wrote, and removes the session's files.
    pub fn clear_up(&self) {
        self.process.end_others(&self.config.marker);
        if let Some(dir) = &self.config.temp_dir {
            // A directory that somebody removed already is removed.
            let _ = std::fs::remove_dir_all(dir);
        }
        if let Some(file) = &self.config.socket_file {
            file.remove();
        }
        self.emitter.drain_capture_at_end();
    }

    /// Clears up, and emits `session_end`.
    pub fn last_words(&self, end: SessionEnd) {
        self.clear_up();
        if let Some(line) = self.codec.encode(&Event::SessionEnd(end)) {
            self.emitter.append_last(&line);
        }
        self.emitter.flush_within(LAST_WORDS);
        if let Some(pipe) = self.config.end_pipe {
            // Nobody needs it that is not there.
            let _ = sys::write(pipe, b"1");
        }
    }

    /// The cell that the calling thread belongs to.
    pub fn current_cell(&self, state: &State) -> Option<Arc<CellRef>> {
        if interrupt::is_main_thread() { state.running().map(|running| running.cell.clone()) } else { adopted_cell() }
    }
}

/// What a request is told that an interrupt cancelled.
pub(crate) fn cancelled_refusal(request: &Request) -> Refusal {
    Refusal {
        rpc_id: request.rpc.id.clone(),
        ..Refusal::new(Code::Busy, "an interrupt cancelled the request: ask again")
    }
}
