//! What a session knows: the queue, the running cell, the waits for standard input, and how far its end has come.
//!
//! Plain data and plain decisions, no thread, no descriptor and no clock of its own: `control.rs` and `engine.rs` hold it
//! under one lock, ask it what is to be done, and do it.

pub(crate) mod adopted;
mod ending;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod model;
mod reads;
mod routing;
pub(crate) mod stdin;

use crate::session::stdin::{Stdin, Want};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use worker_protocol::{
    Code, DEFAULT_GRACE_MS, InputBatch, MAX_QUEUED_BYTES, MAX_QUEUED_CELLS, Refusal, Rpc, SessionEnd, To,
};

/// How long the runtime may take to finalise when the user's code has ended it: then what holds it up is interrupted, and
/// after as long again the process is gone.
pub(crate) const EXIT_LIMIT: Duration = Duration::from_secs(5);
/// How long everything may take when the supervisor is gone.
pub(crate) const GONE_LIMIT: Duration = Duration::from_millis(2500);

/// A cell that was struck and does not end is nudged after this time, and after five times as long each time…
const FIRST_NUDGE: Duration = Duration::from_millis(2);
/// … as long as that is not more than this.
const LAST_NUDGE: Duration = Duration::from_secs(2);

/// A cell's name and number, shared by all that speak of it, also after it is over.
#[derive(Debug)]
pub struct CellRef {
    /// Counted from 1 in the order in which cells run.
    pub number: u64,
    /// The supervisor's name for it.
    pub id: Option<String>,
    /// Its standard input is at its end for good.
    pub(crate) stdin_ended: AtomicBool,
}

/// A cell that waits for its turn.
#[derive(Debug)]
pub(crate) struct QueuedCell {
    pub id: Option<String>,
    pub code: String,
    pub timeout: Option<Duration>,
    pub stdin: Stdin,
}

/// The cell that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub cell: Arc<CellRef>,
    pub started: Instant,
    pub deadline: Option<Instant>,
    pub timed_out: bool,
    /// It was struck: when it is nudged next, and how long after that again.
    pub nudge: Option<(Instant, Duration)>,
    pub stdin: Stdin,
    /// Standard input that an interrupt threw away.
    pub dropped_stdin: usize,
    /// Cells that an interrupt took from the queue; answered after this one.
    pub discarded: Vec<QueuedCell>,
}

/// What the main thread is about.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The runtime is coming up.
    Starting {
        /// Cells that an interrupt took from the queue; answered after the first `ready`.
        discarded: Vec<QueuedCell>,
    },
    /// Between cells.
    Idle,
    /// In a cell.
    Running(Box<Running>),
    /// No more cells; the runtime finalises.
    Finalizing,
    /// `session_end` has been said.
    Ended,
}

/// Somebody who waits for standard input.
#[derive(Debug)]
pub(crate) struct Wait {
    pub reader: u64,
    pub cell: Option<Arc<CellRef>>,
    /// What the reader asked with.
    pub prompt: String,
    /// The supervisor was told of it.
    pub is_said: bool,
    /// The main thread waits here; a batch that names no target is its answer.
    pub is_main: bool,
    /// What has been sent for this wait.
    pub stdin: Stdin,
    /// Something arrived that was not enough: the wait is said again.
    pub is_news: bool,
}

/// Why and until when a session ends.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// The name of the signal that asked for it.
    pub message: Option<String>,
    pub grace: Duration,
    pub stage: Stage,
    pub deadline: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// What is queued and running may finish.
    Draining,
    /// The running cell was interrupted and the queue discarded; then the process is gone.
    Last,
}

/// What the main thread is asked besides running cells.
#[derive(Debug)]
pub struct Request {
    /// Method and parameters.
    pub rpc: Rpc,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct State {
    pub phase: Phase,
    pub queue: VecDeque<QueuedCell>,
    queued_bytes: usize,
    pub waits: Vec<Wait>,
    pub requests: VecDeque<Request>,
    /// The main thread works on a request.
    pub is_answering: bool,
    /// The main thread, idle, serves something of the runtime's own.
    pub is_serving: bool,
    /// An interrupt came while it did.
    pub answer_is_cancelled: bool,
    pub ending: Option<Ending>,
    /// The end that the user's code asked for.
    pub exit: Option<SessionEnd>,
    /// The supervisor is gone.
    pub is_gone: bool,
    /// The main thread waits for its wake-up.
    pub main_is_parked: bool,
    next_reader: u64,
    next_cell: u64,
    pub cells_run: u64,
    pub last_activity: Instant,
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Routed {
    /// It is a cell in the queue.
    Queued,
    /// It is standard input for a wait of the main thread.
    ToMain,
    /// It is standard input for a wait of another thread.
    ToThread,
    /// It is standard input that nobody waits for yet.
    Ahead,
}

/// What an interrupt asks for.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    /// Strike the main thread.
    pub strike: bool,
    /// Say these cells discarded at once.
    pub discarded: Vec<QueuedCell>,
    /// Say a bare `ready`, unless a response says it.
    pub bare_ready: bool,
    /// Answer these requests as cancelled.
    pub cancelled: Vec<Request>,
    /// There was something to stop.
    pub delivered: bool,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// Strike the main thread: a cell's time is up, or the grace of a shutdown.
    Strike,
    /// Nudge the main thread, which was struck.
    Nudge,
    /// End the process now.
    Force,
}

fn refuse(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::Invalid, message)
}

impl State {
    pub fn new(now: Instant) -> State {
        State {
            phase: Phase::Starting { discarded: Vec::new() },
            queue: VecDeque::new(),
            queued_bytes: 0,
            waits: Vec::new(),
            requests: VecDeque::new(),
            is_answering: false,
            is_serving: false,
            answer_is_cancelled: false,
            ending: None,
            exit: None,
            is_gone: false,
            main_is_parked: false,
            next_reader: 1,
            next_cell: 1,
            cells_run: 0,
            last_activity: now,
        }
    }

    pub fn running(&self) -> Option<&Running> {
        match &self.phase {
            Phase::Running(running) => Some(running),
            _ => None,
        }
    }

    pub fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.phase {
            Phase::Running(running) => Some(running),
            _ => None,
        }
    }

    fn main_wait(&self) -> Option<usize> {
        self.running()?;
        self.waits.iter().position(|wait| wait.is_main)
    }

    /// Whether the running cell waits for input.
    pub fn main_waits(&self) -> bool {
        self.main_wait().is_some()
    }

    /// Stops what runs: `id` alone, or everything that runs and is queued.
    pub fn interrupt(&mut self, id: Option<&str>) -> Interrupt {
        let mut todo = Interrupt::default();
        if let Some(id) = id {
            if self.running().is_some_and(|running| running.cell.id.as_deref() == Some(id)) {
                todo.strike = true;
            } else if let Some(at) = self.queue.iter().position(|cell| cell.id.as_deref() == Some(id)) {
                todo.discarded.extend(self.queue.remove(at));
                self.recount();
            }
            todo.delivered = todo.strike || !todo.discarded.is_empty();
            return todo;
        }
        let queued: Vec<QueuedCell> = self.queue.drain(..).collect();
        self.queued_bytes = 0;
        todo.cancelled.extend(self.requests.drain(..));
        if self.is_answering {
            self.answer_is_cancelled = true;
            todo.strike = true;
        }
        todo.strike |= self.is_serving;
        todo.delivered = todo.strike || !todo.cancelled.is_empty() || !queued.is_empty();
        match &mut self.phase {
            Phase::Starting { discarded } => {
                discarded.extend(queued);
                todo.strike = true;
                todo.delivered = true;
            }
            Phase::Idle => {
                todo.discarded = queued;
                todo.bare_ready = true;
            }
            Phase::Running(running) => {
                running.discarded.extend(queued);
                running.dropped_stdin += running.stdin.drain().len();
                let main = self.waits.iter_mut().filter(|wait| wait.is_main);
                running.dropped_stdin += main.map(|wait| wait.stdin.drain().len()).sum::<usize>();
                todo.strike = true;
                todo.delivered = true;
            }
            Phase::Finalizing => {
                todo.strike = true;
                todo.delivered = true;
            }
            Phase::Ended => {}
        }
        todo
    }

    fn recount(&mut self) {
        self.queued_bytes = self.queue.iter().map(|cell| cell.code.len()).sum();
    }

    /// Takes the next cell of the queue and makes it the running one.
    pub fn start_cell(&mut self, now: Instant) -> Option<(Arc<CellRef>, String)> {
        let queued = self.queue.pop_front()?;
        self.queued_bytes -= queued.code.len();
        let cell =
            Arc::new(CellRef { number: self.next_cell, id: queued.id, stdin_ended: AtomicBool::new(queued.stdin.eof) });
        self.next_cell += 1;
        self.last_activity = now;
        self.phase = Phase::Running(Box::new(Running {
            cell: cell.clone(),
            started: now,
            deadline: queued.timeout.and_then(|timeout| now.checked_add(timeout)),
            timed_out: false,
            nudge: None,
            stdin: queued.stdin,
            dropped_stdin: 0,
            discarded: Vec::new(),
        }));
        Some((cell, queued.code))
    }

    /// The number of the last cell that was started; 0: none.
    pub fn last_cell(&self) -> u64 {
        self.next_cell - 1
    }

    /// The running cell is over: what there is to say of it.
    pub fn finish_cell(&mut self, now: Instant) -> Option<Box<Running>> {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Running(mut running) => {
                self.cells_run += 1;
                self.last_activity = now;
                running.dropped_stdin += running.stdin.len();
                Some(running)
            }
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// Whether the main thread can work on a request now.
    pub fn can_answer(&self) -> bool {
        match self.phase {
            Phase::Idle => self.queue.is_empty() && self.ending.is_none(),
            Phase::Running(_) => self.main_waits(),
            _ => false,
        }
    }

    /// The session's state in the words of `status`.
    pub fn status_word(&self) -> &'static str {
        match self.phase {
            Phase::Starting { .. } => "starting",
            Phase::Finalizing | Phase::Ended => "stopping",
            _ if self.ending.is_some() => "stopping",
            Phase::Idle => "idle",
            Phase::Running(_) if self.main_waits() => "waiting",
            Phase::Running(_) => "busy",
        }
    }
}

fn same_cell(one: Option<&Arc<CellRef>>, other: Option<&Arc<CellRef>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}
