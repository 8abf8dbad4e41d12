//! What the engine's side and the control side of a session share, and the ways in which both act on it.
//!
//! Lock order: the runtime's own lock (the GIL), then the state, then the emitter. Nobody takes the runtime's lock while
//! holding either, and the control and output threads never take it at all. What is said about a change of state is
//! appended under the state's lock, so that it is said in the order in which it happened; appending never waits.

use crate::control::dialect::Speaker;
use crate::output::emitter::Emitter;
use crate::process::descendants::Interrupted;
use crate::process::host::HostProcess;
use crate::session::adopted::adopted_cell;
use crate::session::{CellRef, Interrupt, Phase, QueuedCell, Request, Running, State};
use crate::signals::interrupt;
use parking_lot::{Condvar, Mutex};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use sys::Wake;
use worker_protocol::config::Config;
use worker_protocol::{
    Capabilities, Code, Event, NAME, Outcome, ProtocolInfo, Ready, Refusal, Response, SessionEnd, VERSION, WORKER, line,
};

/// How long the last words may take to reach a supervisor that does not read.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(700);

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
    pub speaker: Speaker,
    pub capabilities: Capabilities,
    /// What fd 0 is while nobody has put something else there.
    pub stdin_identity: Option<(libc::dev_t, libc::ino_t)>,
}

impl Shared {
    /// Says something in the dialect of the session, after everything said so far; false when it has no words for it. Never waits.
    pub fn say(&self, event: &Event<'_>) -> bool {
        let line = self.speaker.encode(event);
        line.inspect(|line| self.emitter.append(line)).is_some()
    }

    /// The same, for what nobody else may flush for a long time.
    pub fn say_soon(&self, event: &Event<'_>) {
        self.say(event);
        self.emitter.flush_soon();
    }

    pub fn say_worker_ready(&self) {
        self.say(&Event::WorkerReady {
            protocol: ProtocolInfo { name: NAME, version: VERSION },
            worker: WORKER,
            session_id: &self.config.session_id,
            lang: self.config.lang.name(),
            pid: std::process::id(),
            capabilities: &self.capabilities,
        });
        self.emitter.flush();
    }

    /// Says that cells ended without having run.
    pub fn say_discarded(&self, cells: Vec<QueuedCell>) {
        for cell in cells {
            let stdin = cell.stdin.len();
            self.say(&Event::Ready(Ready {
                id: cell.id.as_deref(),
                outcome: Some(Outcome::Discarded),
                elapsed_ms: Some(0.0),
                discarded_stdin_bytes: (stdin > 0).then_some(stdin),
                ..Ready::default()
            }));
        }
    }

    /// Says how a cell ended, and from then on output carries no cell's id.
    pub fn say_cell_end<'a>(&self, state: &mut State, running: &'a Running, mut ready: Ready<'a>) {
        ready.id = running.cell.id.as_deref();
        // Microseconds are as fine as this is worth saying.
        ready.elapsed_ms = Some(running.started.elapsed().as_micros() as f64 / 1000.0);
        ready.discarded_stdin_bytes = (running.dropped_stdin > 0).then_some(running.dropped_stdin);
        ready.timed_out = running.timed_out;
        let line = match state.waits.first() {
            // The next batch is for that wait, so its prompt is the answer.
            Some(_) if self.speaker.is_mcp_repl() && state.queue.is_empty() && running.discarded.is_empty() => {
                self.emitter.append_and_set_cell(b"", None);
                return self.answer_batch(state);
            }
            _ => self.speaker.encode(&Event::Ready(ready)).unwrap_or_default(),
        };
        self.emitter.append_and_set_cell(&line, None);
    }

    /// In the second dialect: answers a batch that nothing else will answer. A wait that could not be said so far is the
    /// answer; else the batch is answered once the main thread can take another.
    pub fn answer_batch(&self, state: &mut State) {
        if !self.speaker.owes_answer() || state.waits.iter().any(|wait| wait.is_news) {
            return;
        }
        let can_take = match state.phase {
            Phase::Idle => state.queue.is_empty(),
            Phase::Running(_) => state.main_waits(),
            _ => false,
        };
        let unsaid = state.waits.iter().position(|wait| !wait.is_said);
        match state.waits.get_mut(unsaid.unwrap_or(0)) {
            Some(wait) if can_take || unsaid.is_some() => {
                wait.is_said = true;
                self.say_soon(&Event::InputWait { prompt: &wait.prompt, hidden: false, reader: wait.reader, id: None });
            }
            None if can_take => self.say_soon(&Event::Ready(Ready::default())),
            _ => {}
        }
    }

    /// Answers a JSON-RPC request, or a line that was refused.
    pub fn answer(&self, id: &Value, answer: &Result<Value, Refusal>) {
        if self.speaker.is_mcp_repl() {
            return;
        }
        self.emitter.append_answer(&match answer {
            Ok(result) => line(&Response::result(id, result)),
            Err(refusal) => line(&Response::refusal(refusal)),
        });
    }

    /// Interrupts as a message asks. `says_ready`: when idle a bare `ready` answers it.
    pub fn interrupt(&self, id: Option<&str>, says_ready: bool) -> bool {
        let others = self.process.others();
        let mut state = self.state.lock();
        let Interrupt { strike, discarded, bare_ready, cancelled, delivered } = state.interrupt(id);
        // The claim is made even when nothing is struck: the signal that belongs to this message must strike nothing either.
        let is_first = interrupt::claim(interrupt::Way::Message);
        let is_answered = !is_first && bare_ready && interrupt::take_answer();
        if !is_answered {
            self.speaker.note_interrupt();
        }
        if strike {
            if is_first {
                self.process.strike(&self.main_wake, &others);
            }
            // Also when the signal came first: a system call that began at that moment has not noticed it.
            state.struck(Instant::now());
        }
        self.say_discarded(discarded);
        for request in cancelled {
            self.answer(&request.rpc.id, &Err(cancelled_refusal(&request)));
        }
        if bare_ready && says_ready && !is_answered {
            self.say(&Event::Ready(Ready::default()));
        }
        let last_cell = state.last_cell();
        drop(state);
        self.emitter.flush();
        if strike && is_first {
            self.interrupt_rest(others, last_cell);
        }
        delivered
    }

    /// Passes an interrupt on to processes that were not there when the main thread was struck: until the next cell starts,
    /// whose processes it is not for. `last_cell`: the last one that had started by then.
    pub fn interrupt_rest(&self, others: Interrupted, last_cell: u64) {
        self.process.interrupt_rest(others, || {
            let state = self.state.lock();
            (state.last_cell() == last_cell).then_some(state)
        });
    }

    /// The state changed: whoever waits looks again.
    pub fn wake_waiters(&self, state: &State) {
        if state.main_is_parked {
            self.main_wake.set();
        }
        self.changed.notify_all();
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
        self.emitter.settle_for_good();
    }

    /// Clears up, and says `session_end`.
    pub fn last_words(&self, end: SessionEnd) {
        self.clear_up();
        if let Some(line) = self.speaker.encode(&Event::SessionEnd(end)) {
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
