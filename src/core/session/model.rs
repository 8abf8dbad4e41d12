//! Drives the session state machine through random orders of messages, reads, cell ends and deadlines, as the control thread
//! and an engine would, and checks it against what the protocol promises.
//!
//! The model knows which cells were accepted and counts bytes of standard input; it knows nothing of how the state holds them.

use super::effects::Emit;
use super::parts::{CellRef, QueuedCell, Stage};
use super::reads::NewWait;
use super::routing::Routed;
use super::state::{NextTurn, Phase, State};
use super::stdin::Want;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use worker_protocol::{InputBatch, To};

/// A read in progress.
struct Read {
    number: u64,
    cell: Option<Arc<CellRef>>,
    is_main: bool,
    want: Want,
    is_waiting: bool,
}

struct Model {
    state: State,
    now: Instant,
    reads: Vec<Read>,
    /// Cells that were accepted and have not begun, by the mark in their code.
    queued: VecDeque<u64>,
    /// Cells that an interrupt took and that wait for their answer.
    discarded: VecDeque<u64>,
    running: Option<u64>,
    marks: u64,
    /// Bytes of standard input: taken from the supervisor, given to readers, said to be dropped, dropped as nobody's.
    accepted: usize,
    delivered: usize,
    dropped: usize,
    nobodys: usize,
}

/// Takes bytes as decisions.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn below(&mut self, limit: u8) -> Option<u8> {
        self.0.next().map(|byte| byte % limit)
    }
}

/// Runs what the bytes decide, and panics where a promise is broken.
pub(crate) fn run(bytes: &[u8]) {
    let now = Instant::now();
    let mut model = Model {
        state: State::new(now),
        now,
        reads: Vec::new(),
        queued: VecDeque::new(),
        discarded: VecDeque::new(),
        running: None,
        marks: 0,
        accepted: 0,
        delivered: 0,
        dropped: 0,
        nobodys: 0,
    };
    let mut choices = Choices(bytes.iter());
    while model.step(&mut choices).is_some() {
        model.check();
    }
}

/// The cells that a transition has answered as discarded.
fn discarded(events: Vec<Emit>) -> Vec<QueuedCell> {
    let cell = |event| match event {
        Emit::Discarded(cell) => Some(cell),
        Emit::Ready | Emit::Cancelled(_) => None,
    };
    events.into_iter().filter_map(cell).collect()
}

impl Model {
    fn step(&mut self, choices: &mut Choices<'_>) -> Option<()> {
        match choices.below(16)? {
            0..=2 => self.batch(choices)?,
            3 | 4 => self.stdin(choices)?,
            5 => self.interrupt(choices.below(4)?),
            6 | 7 => self.turn(),
            8 => self.end_cell(),
            9 | 10 => self.read(choices)?,
            11 | 12 => self.look(choices.below(8)?),
            13 => self.give_up(choices.below(8)?),
            14 => self.pass_time(choices.below(40)?),
            _ => self.end(choices.below(16)?),
        }
        Some(())
    }

    /// One of three names, or none.
    fn name(choice: u8) -> Option<String> {
        (choice < 3).then(|| format!("id{choice}"))
    }

    fn name_of_running(&self) -> Option<String> {
        self.state.running().and_then(|running| running.cell.id.clone())
    }

    fn batch(&mut self, choices: &mut Choices<'_>) -> Option<()> {
        let (kind, id) = (choices.below(4)?, Self::name(choices.below(5)?));
        self.marks += 1;
        let batch = InputBatch {
            input: self.marks.to_string(),
            to: (kind > 1).then_some(To::Cell),
            timeout_ms: (kind == 3).then_some(20),
            eof: None,
            reader: None,
            id: id.clone(),
        };
        let (input, is_free) = (batch.input.len() + 1, batch.to.is_none());
        let main_waits = self.reads.iter().any(|read| read.is_main && read.is_waiting) && self.running.is_some();
        let is_taken =
            id.is_some() && (self.name_of_running() == id || self.state.queue.iter().any(|cell| cell.id == id));
        let is_ending = self.is_ending();
        match self.state.on_batch(batch).map(|(routed, _)| routed) {
            Ok(Routed::Queued) => {
                assert!(!is_ending && !is_taken, "a cell was taken that is to be refused");
                assert!(!(is_free && main_waits), "an answer was taken for a cell");
                self.queued.push_back(self.marks);
            }
            Ok(Routed::ToMain) => {
                assert!(is_free && main_waits && !is_ending, "a cell was taken for an answer");
                self.accepted += input;
            }
            Ok(other) => panic!("a cell became {other:?}"),
            Err(refusal) => {
                let has_ended = self.main_stdin_has_ended();
                assert!(is_ending || is_taken || (main_waits && has_ended), "refused without need: {refusal:?}");
            }
        }
        Some(())
    }

    fn stdin(&mut self, choices: &mut Choices<'_>) -> Option<()> {
        let (target, which, ending) = (choices.below(3)?, choices.below(8)?, choices.below(8)?);
        self.marks += 1;
        let batch = InputBatch {
            input: self.marks.to_string(),
            to: Some(To::Stdin),
            id: if target == 1 { Self::name(which % 4) } else { None },
            timeout_ms: None,
            eof: (ending == 0).then_some(true),
            reader: (target == 2).then_some(u64::from(which)),
        };
        let size = batch.input.len() + usize::from(ending != 0);
        let is_ending = self.is_ending();
        if let Ok(routed) = self.state.on_batch(batch).map(|(routed, _)| routed) {
            assert!(!is_ending && routed != Routed::Queued, "{routed:?}");
            self.accepted += size;
        }
        Some(())
    }

    fn interrupt(&mut self, which: u8) {
        let id = Self::name(which);
        let was_idle = matches!(self.state.phase, Phase::Idle);
        let is_named = id.is_some() && self.name_of_running() == id;
        let is_running = self.running.is_some();
        let before = self.state.queued_stdin_bytes();
        let queued_stdin: usize = self.state.queue.iter().map(|cell| cell.stdin.len()).sum();
        let interrupt = self.state.on_interrupt(id.as_deref(), self.now);
        let sends_sigint = interrupt.effects.send_sigint;
        let discarded = discarded(interrupt.effects.events);
        match id {
            Some(id) => {
                assert_eq!(sends_sigint, is_named, "a name stops its own cell alone");
                assert!(!interrupt.was_idle);
                for cell in &discarded {
                    assert_eq!(cell.id.as_deref(), Some(id.as_str()));
                    let mark: u64 = cell.code.parse().expect("a mark");
                    self.queued.retain(|queued| *queued != mark);
                    self.dropped += cell.stdin.len();
                }
            }
            None => {
                assert!(self.state.queue.is_empty(), "the queue is discarded");
                assert_eq!(interrupt.was_idle, was_idle, "a bare `ready` answers an interrupt while idle");
                assert!(sends_sigint || !is_running, "what runs is interrupted");
                let answered_now = was_idle || matches!(self.state.phase, Phase::Ended | Phase::Finalizing);
                let queued = std::mem::take(&mut self.queued);
                if answered_now {
                    self.answer(&discarded, if was_idle { queued } else { VecDeque::new() });
                    if !was_idle {
                        self.nobodys += queued_stdin;
                    }
                } else {
                    assert!(discarded.is_empty(), "said after the cell that was stopped");
                    self.discarded.extend(queued);
                }
                if is_running {
                    assert!(self.state.queued_stdin_bytes() <= before);
                }
            }
        }
    }

    /// Cells that were discarded are answered in their order, with what they never read.
    fn answer(&mut self, cells: &[QueuedCell], wanted: VecDeque<u64>) {
        let marks: VecDeque<u64> = cells.iter().map(|cell| cell.code.parse().expect("a mark")).collect();
        assert_eq!(marks, wanted, "each discarded cell is answered once, in the order of the queue");
        self.dropped += cells.iter().map(|cell| cell.stdin.len()).sum::<usize>();
    }

    fn main_is_free(&self) -> bool {
        !self.reads.iter().any(|read| read.is_main)
    }

    fn turn(&mut self) {
        if let Some(effects) = self.state.on_started() {
            let wanted = std::mem::take(&mut self.discarded);
            self.answer(&discarded(effects.events), wanted);
            return;
        }
        if !matches!(self.state.phase, Phase::Idle) {
            return;
        }
        let is_last = self.state.ending.as_ref().is_some_and(|ending| ending.stage == Stage::Last);
        match self.state.on_free(self.now) {
            Some(NextTurn::Cell { cell, code, .. }) => {
                let wanted = self.queued.pop_front();
                assert!(!is_last, "a cell runs in the last stage of an end");
                assert_eq!(code.parse().ok(), wanted, "cells run in the order in which they came");
                assert_eq!(self.state.running().map(|running| running.cell.number), Some(cell.number));
                self.running = wanted;
            }
            Some(NextTurn::End) => assert!(self.is_ending(), "the end came by itself"),
            Some(NextTurn::Request(_)) => panic!("nobody has asked"),
            None => assert!(self.queued.is_empty() && !self.is_ending(), "a cell or an end was lost"),
        }
    }

    fn end_cell(&mut self) {
        if self.running.take().is_none() {
            return;
        }
        // What is asked ends before what asked.
        while let Some(at) = self.reads.iter().position(|read| read.is_main) {
            self.give_up_at(at);
        }
        let (running, effects) = self.state.on_cell_end(self.now).expect("a cell runs");
        self.dropped += running.dropped_stdin;
        let wanted = std::mem::take(&mut self.discarded);
        self.answer(&discarded(effects.events), wanted);
    }

    fn read(&mut self, choices: &mut Choices<'_>) -> Option<()> {
        let (is_main, want) = (choices.below(2)? == 0, choices.below(4)?);
        if (is_main && (self.running.is_none() || !self.main_is_free())) || self.reads.len() > 6 {
            return Some(());
        }
        let cell = self.state.running().map(|running| running.cell.clone());
        let want = [Want::Line, Want::Upto(2), Want::All, Want::Chars(3)][usize::from(want)];
        let number = self.state.on_new_reader();
        self.reads.push(Read { number, cell, is_main, want, is_waiting: false });
        self.look_at(self.reads.len() - 1);
        Some(())
    }

    fn look(&mut self, which: u8) {
        if usize::from(which) < self.reads.len() {
            self.look_at(usize::from(which));
        }
    }

    /// As a reader does when it is woken: takes what there is, or waits.
    fn look_at(&mut self, at: usize) {
        let read = &mut self.reads[at];
        match self.state.take_stdin(read.number, read.cell.as_ref(), read.want) {
            Some(data) => {
                let has_ended = self.state.is_ending()
                    || read
                        .cell
                        .as_ref()
                        .is_some_and(|cell| cell.stdin_ended.load(std::sync::atomic::Ordering::SeqCst));
                let is_enough = match read.want {
                    Want::Line => data.ends_with(b"\n"),
                    Want::Upto(most) => (1..=most).contains(&data.len()),
                    Want::Chars(count) => data.len() == count,
                    _ => false,
                };
                // A wait of a thread outside of any cell may have an end of file of its own.
                assert!(is_enough || has_ended || read.cell.is_none(), "{:?} got {data:?}", read.want);
                self.delivered += data.len();
                self.give_up_at(at);
            }
            None if !read.is_waiting => {
                read.is_waiting = true;
                let (reader, cell, is_main) = (read.number, read.cell.as_ref(), read.is_main);
                assert!(self.state.on_wait(NewWait { reader, cell, prompt: "", is_main }), "a new wait is not told of");
                self.state.on_wait_emitted(reader, true);
            }
            None => {}
        }
    }

    fn give_up(&mut self, which: u8) {
        if usize::from(which) < self.reads.len() {
            self.give_up_at(usize::from(which));
        }
    }

    fn give_up_at(&mut self, at: usize) {
        let read = self.reads.remove(at);
        let before = self.state.queued_stdin_bytes();
        self.state.on_wait_end(read.number);
        let after = self.state.queued_stdin_bytes();
        let is_over = !self
            .state
            .running()
            .is_some_and(|running| read.cell.as_ref().is_some_and(|cell| Arc::ptr_eq(cell, &running.cell)));
        assert!(is_over || before == after, "what a reader leaves is its cell's while that runs");
        self.nobodys += before - after;
    }

    fn pass_time(&mut self, by: u8) {
        self.now += Duration::from_millis(u64::from(by) * 50);
        let was_timed_out = self.state.running().is_some_and(|running| running.timed_out);
        let was_ending = self.state.ending.clone();
        let queued_stdin: usize = self.state.queue.iter().map(|cell| cell.stdin.len()).sum();
        let due = self.state.on_deadline(self.now);
        if due.resend_sigint {
            assert!(self.running.is_some(), "sent again without a cell");
        } else if due.force_end {
            assert!(was_ending.is_some_and(|ending| ending.deadline <= self.now), "forced too early");
        } else if due.send_sigint {
            let is_timed_out = self.state.running().is_some_and(|running| running.timed_out);
            if !is_timed_out || was_timed_out {
                assert!(was_ending.is_some_and(|ending| ending.deadline <= self.now), "interrupted too early");
                let queued = std::mem::take(&mut self.queued);
                if self.running.is_some() {
                    self.discarded.extend(queued);
                } else {
                    // Cells that no longer get a turn are answered by `session_end`.
                    self.nobodys += queued_stdin;
                }
            }
        } else {
            let next = self.state.next_deadline();
            assert!(next.is_none_or(|deadline| deadline > self.now), "a deadline passed in silence");
        }
    }

    fn end(&mut self, how: u8) {
        let queued_stdin: usize = self.state.queue.iter().map(|cell| cell.stdin.len()).sum();
        match how {
            0 => drop(self.state.on_shutdown(Some(500), None, self.now)),
            1 => {
                let was_gone = self.state.is_gone();
                let effects = self.state.on_supervisor_gone(self.now);
                assert_eq!(effects.send_sigint, !was_gone);
                self.queued.clear();
                self.nobodys += queued_stdin;
            }
            _ => {}
        }
    }

    fn is_ending(&self) -> bool {
        self.state.is_ending()
    }

    fn main_stdin_has_ended(&self) -> bool {
        self.state.waits.iter().any(|wait| wait.is_main && wait.stdin.eof)
    }

    fn check(&mut self) {
        let marks: VecDeque<u64> = self.state.queue.iter().map(|cell| cell.code.parse().expect("a mark")).collect();
        assert_eq!(marks, self.queued, "the queue holds what was accepted, in its order");
        assert_eq!(self.state.running().is_some(), self.running.is_some());
        let mut ids: Vec<_> =
            self.state.queue.iter().filter_map(|cell| cell.id.clone()).chain(self.name_of_running()).collect();
        ids.sort();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "two cells of one name");
        assert!(self.state.waits.iter().filter(|wait| wait.is_main).count() <= 1);
        // What an interrupt dropped of the running cell, or took with the queue, is emitted later.
        let unsaid = match &self.state.phase {
            Phase::Running(running) => {
                running.dropped_stdin + running.discarded.iter().map(|cell| cell.stdin.len()).sum::<usize>()
            }
            Phase::Starting { discarded } => discarded.iter().map(|cell| cell.stdin.len()).sum(),
            _ => 0,
        };
        let known = self.delivered + self.dropped + self.nobodys + unsaid + self.state.queued_stdin_bytes();
        assert_eq!(known, self.accepted, "standard input was lost or doubled");
    }
}
