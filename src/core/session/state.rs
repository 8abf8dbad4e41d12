//! The state machine: what the main thread is about, and what it is to do next.

use super::effects::Effects;
use super::parts::{CellRef, Ending, QueuedCell, Request, Running, Stage, Wait};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use worker_protocol::{Code, Refusal, SessionEnd};

/// So many requests may wait for the main thread.
const MAX_REQUESTS: usize = 100;

/// What the main thread is about.
#[derive(Debug)]
pub(super) enum Phase {
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
    /// `session_end` has been emitted, or is about to be.
    Ended,
}

/// Whether the main thread works on a request, which it does between cells and while a cell waits for input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answering {
    Nothing,
    Request,
    /// An interrupt came meanwhile: the answer is a refusal.
    Cancelled,
}

/// All that a session knows.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) phase: Phase,
    pub(super) queue: VecDeque<QueuedCell>,
    /// The size of the code in the queue.
    pub(super) queued_bytes: usize,
    /// In the order in which the reads began.
    pub(super) waits: Vec<Wait>,
    pub(super) requests: VecDeque<Request>,
    pub(super) answering: Answering,
    /// The main thread, between cells, runs something of the runtime's own.
    pub(super) is_serving: bool,
    pub(super) ending: Option<Ending>,
    /// The end that the user's code asked for.
    pub(super) exit: Option<SessionEnd>,
    /// The main thread waits for its wake-up.
    main_is_parked: bool,
    pub(super) next_reader: u64,
    next_cell: u64,
    cells_run: u64,
    last_activity: Instant,
}

/// What the main thread is to do.
#[derive(Debug)]
pub(crate) enum NextTurn {
    /// Run this.
    Cell { cell: Arc<CellRef>, code: String, effects: Effects },
    /// Answer this.
    Request(Request),
    /// Finalise the runtime.
    End,
}

/// What `status` tells of the state.
#[derive(Debug)]
pub(crate) struct Status {
    /// The state in one word.
    pub word: &'static str,
    /// The name of the running cell.
    pub id: Option<String>,
    pub queued_cells: usize,
    /// Threads other than the main one that wait for standard input.
    pub background_waits: usize,
    pub queued_stdin_bytes: usize,
    pub cells_run: u64,
    /// When a cell began or ended last.
    pub last_activity: Instant,
}

impl State {
    pub fn new(now: Instant) -> State {
        State {
            phase: Phase::Starting { discarded: Vec::new() },
            queue: VecDeque::new(),
            queued_bytes: 0,
            waits: Vec::new(),
            requests: VecDeque::new(),
            answering: Answering::Nothing,
            is_serving: false,
            ending: None,
            exit: None,
            main_is_parked: false,
            next_reader: 1,
            next_cell: 1,
            cells_run: 0,
            last_activity: now,
        }
    }

    /// The runtime is up. None when it was up before, or is not to come up any more.
    pub fn on_started(&mut self) -> Option<Effects> {
        let Phase::Starting { discarded } = &mut self.phase else { return None };
        let mut effects = Effects::default();
        effects.discard(std::mem::take(discarded));
        self.phase = Phase::Idle;
        Some(effects)
    }

    /// The main thread is free: what it does next, and none when it is to wait.
    pub fn on_free(&mut self, now: Instant) -> Option<NextTurn> {
        if matches!(self.phase, Phase::Finalizing | Phase::Ended) || self.is_gone() {
            return Some(NextTurn::End);
        }
        if let Some(request) = self.on_request_taken() {
            return Some(NextTurn::Request(request));
        }
        if self.ending.as_ref().is_some_and(|ending| ending.stage == Stage::Last) {
            return Some(NextTurn::End);
        }
        self.start_cell(now).or_else(|| self.ending.is_some().then_some(NextTurn::End))
    }

    fn start_cell(&mut self, now: Instant) -> Option<NextTurn> {
        let queued = self.queue.pop_front()?;
        self.queued_bytes -= queued.code.len();
        let cell =
            Arc::new(CellRef { number: self.next_cell, id: queued.id, stdin_ended: AtomicBool::new(queued.stdin.eof) });
        self.next_cell += 1;
        self.last_activity = now;
        let deadline = queued.timeout.and_then(|timeout| now.checked_add(timeout));
        self.phase = Phase::Running(Box::new(Running {
            cell: cell.clone(),
            started: now,
            deadline,
            timed_out: false,
            resend: None,
            stdin: queued.stdin,
            dropped_stdin: 0,
            discarded: Vec::new(),
        }));
        let effects = Effects { wake_control: deadline.is_some(), ..Effects::default() };
        Some(NextTurn::Cell { cell, code: queued.code, effects })
    }

    /// The running cell is over: what its `ready` tells, and the cells that are answered after it. None when none ran.
    pub fn on_cell_end(&mut self, now: Instant) -> Option<(Box<Running>, Effects)> {
        if !matches!(self.phase, Phase::Running(_)) {
            return None;
        }
        let Phase::Running(mut running) = std::mem::replace(&mut self.phase, Phase::Idle) else { return None };
        self.cells_run += 1;
        self.last_activity = now;
        running.dropped_stdin += running.stdin.len();
        let mut effects = Effects::default();
        effects.discard(std::mem::take(&mut running.discarded));
        Some((running, effects))
    }

    /// The main thread begins to wait for its wake-up, or has ended that.
    pub fn on_parked(&mut self, is_parked: bool) {
        self.main_is_parked = is_parked;
    }

    /// The main thread begins to run something of the runtime's own between cells, or has ended that.
    pub fn on_serving(&mut self, is_serving: bool) {
        self.is_serving = is_serving;
    }

    /// A request has come for the main thread; it is refused when that cannot take it soon.
    pub fn on_request(&mut self, request: Request) -> Result<Effects, Refusal> {
        let can_answer = match self.phase {
            Phase::Idle => self.queue.is_empty() && self.ending.is_none(),
            Phase::Running(_) => self.main_waits(),
            _ => false,
        };
        if !can_answer || self.requests.len() >= MAX_REQUESTS {
            return Err(Refusal::new(Code::Busy, "the interpreter is busy: ask again when the cell has ended"));
        }
        self.requests.push_back(request);
        Ok(self.wake_all())
    }

    /// The main thread is free for a request, if there is one.
    pub fn on_request_taken(&mut self) -> Option<Request> {
        let request = self.requests.pop_front()?;
        self.answering = Answering::Request;
        Some(request)
    }

    /// The main thread has an answer; tells whether an interrupt has cancelled the request meanwhile.
    pub fn on_answer(&mut self) -> bool {
        std::mem::replace(&mut self.answering, Answering::Nothing) == Answering::Cancelled
    }

    /// Everybody who waits has something to look at.
    pub(super) fn wake_all(&self) -> Effects {
        Effects { wake_main: self.main_is_parked, wake_threads: true, ..Effects::default() }
    }

    /// The main thread has something to look at.
    pub(super) fn wake_main(&self) -> Effects {
        Effects { wake_main: self.main_is_parked, ..Effects::default() }
    }

    pub fn running(&self) -> Option<&Running> {
        match &self.phase {
            Phase::Running(running) => Some(running),
            _ => None,
        }
    }

    pub(super) fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.phase {
            Phase::Running(running) => Some(running),
            _ => None,
        }
    }

    pub(super) fn main_wait(&self) -> Option<usize> {
        self.running()?;
        self.waits.iter().position(|wait| wait.is_main)
    }

    /// Whether the running cell waits for input.
    pub fn main_waits(&self) -> bool {
        self.main_wait().is_some()
    }

    /// Whether the main thread could begin with a batch at once: it is between cells with nothing queued, or its cell waits
    /// for input.
    pub fn can_take_batch(&self) -> bool {
        match self.phase {
            Phase::Idle => self.queue.is_empty(),
            Phase::Running(_) => self.main_waits(),
            _ => false,
        }
    }

    pub fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. })
    }

    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// Whether cells wait.
    pub fn has_queued_cells(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The number of the last cell that was started; 0: none.
    pub fn last_cell(&self) -> u64 {
        self.next_cell - 1
    }

    pub fn status(&self) -> Status {
        Status {
            word: self.status_word(),
            id: self.running().and_then(|running| running.cell.id.clone()),
            queued_cells: self.queue.len(),
            background_waits: self.waits.iter().filter(|wait| !wait.is_main).count(),
            queued_stdin_bytes: self.queued_stdin_bytes(),
            cells_run: self.cells_run,
            last_activity: self.last_activity,
        }
    }

    fn status_word(&self) -> &'static str {
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
