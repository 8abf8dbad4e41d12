//! What a session knows: the queue, the running cell, the waits for standard input, and how far its end has come.
//!
//! Plain data and plain decisions, no thread, no descriptor and no clock of its own: `control.rs` and `engine.rs` hold it
//! under one lock, ask it what is to be done, and do it.

use crate::protocol::{
    Code, DEFAULT_GRACE_MS, InputBatch, MAX_QUEUED_BYTES, MAX_QUEUED_CELLS, Refusal, Rpc, SessionEnd, To,
};
use crate::stdin::{Stdin, Want};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

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

    /// Puts a batch where it belongs, or says why it cannot be taken.
    pub fn route(&mut self, batch: InputBatch) -> Result<Routed, Refusal> {
        let id = batch.id.clone();
        self.route_checked(batch).map_err(|refusal| refusal.of_batch(id))
    }

    fn route_checked(&mut self, batch: InputBatch) -> Result<Routed, Refusal> {
        if self.ending.is_some() || self.is_gone || matches!(self.phase, Phase::Finalizing | Phase::Ended) {
            return Err(Refusal::new(Code::Ending, "the session is ending and takes no more input"));
        }
        match batch.to {
            Some(To::Cell) => self.queue_cell(batch),
            None => match self.main_wait() {
                Some(wait) => self.answer_wait(wait, &batch),
                None if batch.eof == Some(true) => Err(refuse(
                    "`eof` answers a wait for input, and the running cell waits for none: say `to: \"stdin\"`",
                )),
                None => self.queue_cell(batch),
            },
            Some(To::Stdin) => self.route_stdin(&batch),
        }
    }

    fn queue_cell(&mut self, batch: InputBatch) -> Result<Routed, Refusal> {
        if let Some(id) = &batch.id {
            let is_running = self.running().is_some_and(|running| running.cell.id.as_ref() == Some(id));
            if is_running || self.queue.iter().any(|cell| cell.id.as_ref() == Some(id)) {
                return Err(refuse(format!("a cell with the id {id:?} is already queued or running")));
            }
        }
        self.check_room(batch.input.len())?;
        if self.queue.len() >= MAX_QUEUED_CELLS {
            return Err(Refusal::new(Code::QueueFull, format!("the queue holds {MAX_QUEUED_CELLS} cells already")));
        }
        self.queued_bytes += batch.input.len();
        self.queue.push_back(QueuedCell {
            id: batch.id,
            code: batch.input,
            timeout: batch.timeout_ms.map(Duration::from_millis),
            stdin: Stdin::default(),
        });
        Ok(Routed::Queued)
    }

    fn check_room(&self, more: usize) -> Result<(), Refusal> {
        if self.queued_bytes + self.queued_stdin_bytes() + more > MAX_QUEUED_BYTES {
            let limit = MAX_QUEUED_BYTES >> 20;
            return Err(Refusal::new(Code::QueueFull, format!("the queue would hold more than {limit} MiB")));
        }
        Ok(())
    }

    fn route_stdin(&mut self, batch: &InputBatch) -> Result<Routed, Refusal> {
        if let Some(reader) = batch.reader {
            let wait = self.waits.iter().position(|wait| wait.reader == reader);
            let wait = wait.ok_or_else(|| refuse(format!("no reader {reader} waits for input")))?;
            return self.answer_wait(wait, batch);
        }
        if let Some(id) = &batch.id {
            if self.running().is_some_and(|running| running.cell.id.as_ref() == Some(id)) {
                let of_cell = |wait: &Wait| wait.cell.as_ref().is_some_and(|cell| cell.id.as_ref() == Some(id));
                return match self.waits.iter().position(of_cell) {
                    Some(wait) => self.answer_wait(wait, batch),
                    None => self.type_ahead(batch),
                };
            }
            self.check_room(batch.input.len())?;
            return match self.queue.iter_mut().find(|cell| cell.id.as_ref() == Some(id)) {
                Some(cell) => put(&mut cell.stdin, batch).map(|()| Routed::Ahead),
                None => Err(refuse(format!("no cell with the id {id:?} is queued or running"))),
            };
        }
        if !self.waits.is_empty() {
            return self.answer_wait(0, batch);
        }
        if self.running().is_some() {
            return self.type_ahead(batch);
        }
        self.check_room(batch.input.len())?;
        match self.queue.front_mut() {
            Some(cell) => put(&mut cell.stdin, batch).map(|()| Routed::Ahead),
            None => Err(refuse("nothing reads standard input, and no cell runs or is queued that could")),
        }
    }

    fn type_ahead(&mut self, batch: &InputBatch) -> Result<Routed, Refusal> {
        self.check_room(batch.input.len())?;
        let Some(running) = self.running_mut() else { return Err(refuse("no cell runs")) };
        if running.cell.stdin_ended.load(SeqCst) {
            return Err(refuse("standard input of the running cell has ended"));
        }
        put(&mut running.stdin, batch)?;
        if running.stdin.eof {
            running.cell.stdin_ended.store(true, SeqCst);
        }
        Ok(Routed::Ahead)
    }

    fn answer_wait(&mut self, wait: usize, batch: &InputBatch) -> Result<Routed, Refusal> {
        self.check_room(batch.input.len())?;
        let wait = &mut self.waits[wait];
        put(&mut wait.stdin, batch)?;
        wait.is_news = true;
        if wait.stdin.eof
            && let Some(cell) = &wait.cell
        {
            cell.stdin_ended.store(true, SeqCst);
        }
        Ok(if wait.is_main { Routed::ToMain } else { Routed::ToThread })
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

    /// Starts the end, or shortens one that has begun.
    pub fn shut_down(&mut self, grace_ms: Option<u64>, message: Option<String>, now: Instant) {
        let grace = grace_ms.map(Duration::from_millis);
        match &mut self.ending {
            Some(ending) => {
                if let (Some(grace), Stage::Draining) = (grace, ending.stage) {
                    ending.grace = grace;
                    ending.deadline = ending.deadline.min(now + grace);
                }
            }
            None => {
                let grace = grace.unwrap_or(Duration::from_millis(DEFAULT_GRACE_MS));
                // A grace of centuries is no deadline, but it must not overflow.
                let deadline = now + grace.min(Duration::from_secs(86_400 * 365));
                self.ending = Some(Ending { message, grace, stage: Stage::Draining, deadline });
            }
        }
    }

    /// The supervisor is gone: the running cell is stopped, and little time is left.
    pub fn supervisor_gone(&mut self, now: Instant) -> Due {
        if std::mem::replace(&mut self.is_gone, true) {
            return Due::Nothing;
        }
        self.queue.clear();
        self.queued_bytes = 0;
        let message = self.ending.take().and_then(|ending| ending.message);
        self.ending = Some(Ending { message, grace: GONE_LIMIT, stage: Stage::Last, deadline: now + GONE_LIMIT });
        // After the last words the runtime is gone and its handler with it: a signal would kill, and take the exit status.
        if matches!(self.phase, Phase::Ended) { Due::Nothing } else { Due::Strike }
    }

    /// The user's code has ended the runtime: `end` is what will be said of it, in time or not.
    pub fn begin_exit(&mut self, end: SessionEnd, now: Instant) {
        self.phase = Phase::Finalizing;
        self.exit = Some(end);
        if self.ending.is_none() {
            let deadline = now + EXIT_LIMIT;
            self.ending = Some(Ending { message: None, grace: EXIT_LIMIT, stage: Stage::Draining, deadline });
        }
    }

    /// When something will be due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let cell = self.running().filter(|running| !running.timed_out).and_then(|running| running.deadline);
        let ending = self.ending.as_ref().map(|ending| ending.deadline);
        let nudge = self.running().and_then(|running| running.nudge).map(|(at, _)| at);
        cell.into_iter().chain(ending).chain(nudge).min()
    }

    /// The main thread was struck: should it have entered a system call in that very moment, nudges end the call.
    pub fn struck(&mut self, now: Instant) {
        if let Some(running) = self.running_mut() {
            running.nudge = Some((now + FIRST_NUDGE, FIRST_NUDGE * 5));
        }
    }

    /// What is due at `now`.
    pub fn due(&mut self, now: Instant) -> Due {
        if let Some(running) = self.running_mut()
            && !running.timed_out
            && running.deadline.is_some_and(|deadline| deadline <= now)
        {
            running.timed_out = true;
            return Due::Strike;
        }
        if let Some(running) = self.running_mut()
            && let Some((at, pause)) = running.nudge
            && at <= now
        {
            running.nudge = (pause <= LAST_NUDGE).then_some((now + pause, pause * 5));
            return Due::Nudge;
        }
        let Some(ending) = &mut self.ending else { return Due::Nothing };
        if ending.deadline > now {
            return Due::Nothing;
        }
        match ending.stage {
            Stage::Last => Due::Force,
            Stage::Draining => {
                ending.stage = Stage::Last;
                ending.deadline = now + ending.grace.min(Duration::from_secs(86_400 * 365));
                let queued: Vec<QueuedCell> = self.queue.drain(..).collect();
                self.queued_bytes = 0;
                if let Phase::Running(running) = &mut self.phase {
                    running.discarded.extend(queued);
                }
                Due::Strike
            }
        }
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

    /// Numbers a reader.
    pub fn new_reader(&mut self) -> u64 {
        let reader = self.next_reader;
        self.next_reader += 1;
        reader
    }

    /// What a reader of `cell` can have at once. Empty bytes are the end of file.
    pub fn take_stdin(&mut self, reader: u64, cell: Option<&Arc<CellRef>>, want: Want) -> Option<Vec<u8>> {
        let is_ending = self.ending.is_some() || self.is_gone;
        let mine = self.waits.iter().position(|wait| wait.reader == reader);
        let has_elders =
            self.waits.iter().take(mine.unwrap_or(self.waits.len())).any(|wait| same_cell(wait.cell.as_ref(), cell));
        let has_ended = is_ending || cell.is_some_and(|cell| cell.stdin_ended.load(SeqCst));
        let running = match &mut self.phase {
            Phase::Running(running) if same_cell(Some(&running.cell), cell) => Some(running),
            _ => None,
        };
        let Some(at) = mine else {
            return match running {
                Some(running) if !has_elders => {
                    running.stdin.eof |= has_ended;
                    running.stdin.take(want)
                }
                _ => has_ended.then(Vec::new),
            };
        };
        let wait = &mut self.waits[at];
        if let Some(running) = running
            && !has_elders
            && running.stdin.len() > 0
        {
            // What another reader left comes after what was sent for this one.
            wait.stdin.push(&running.stdin.drain());
        }
        wait.stdin.eof |= has_ended;
        wait.stdin.take(want)
    }

    /// A wait is over, answered or not: what it leaves over is its cell's while that runs.
    pub fn end_wait(&mut self, reader: u64) {
        let Some(at) = self.waits.iter().position(|wait| wait.reader == reader) else { return };
        let mut wait = self.waits.remove(at);
        if let Phase::Running(running) = &mut self.phase
            && same_cell(Some(&running.cell), wait.cell.as_ref())
            && wait.stdin.len() > 0
        {
            running.stdin.push_front(&wait.stdin.drain());
        }
    }

    /// How much standard input waits to be read.
    pub fn queued_stdin_bytes(&self) -> usize {
        let running = self.running().map_or(0, |running| running.stdin.len());
        let waits: usize = self.waits.iter().map(|wait| wait.stdin.len()).sum();
        // Type-ahead of queued cells is rare; most have none.
        running + waits + self.queue.iter().map(|cell| cell.stdin.len()).sum::<usize>()
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

fn put(stdin: &mut Stdin, batch: &InputBatch) -> Result<(), Refusal> {
    if stdin.eof {
        return Err(refuse("standard input has ended: `eof` was said"));
    }
    stdin.push(batch.input.as_bytes());
    stdin.eof = batch.eof == Some(true);
    if !stdin.eof && !batch.input.ends_with('\n') {
        stdin.push(b"\n");
    }
    Ok(())
}
