//! Reads of standard input: numbered, served in order of arrival, and what they leave over.

use super::parts::{CellRef, Wait};
use super::state::{Phase, State};
use super::stdin::Want;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// A reader that begins to wait, or goes on waiting.
#[derive(Debug)]
pub(crate) struct NewWait<'a> {
    pub reader: u64,
    pub cell: Option<&'a Arc<CellRef>>,
    /// What it asks with.
    pub prompt: &'a str,
    /// It is the main thread.
    pub is_main: bool,
}

/// What answers a batch where each batch has exactly one answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BatchAnswer {
    /// Somebody waits for input.
    Wait { reader: u64, prompt: String },
    /// The session can take the next batch.
    Ready,
}

/// Whether both are the same cell, or none.
fn is_same_cell(one: Option<&Arc<CellRef>>, other: Option<&Arc<CellRef>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

impl State {
    /// Numbers a reader.
    pub fn on_new_reader(&mut self) -> u64 {
        let reader = self.next_reader;
        self.next_reader += 1;
        reader
    }

    /// What a reader of `cell` can have at once. Empty bytes are the end of file.
    pub fn take_stdin(&mut self, reader: u64, cell: Option<&Arc<CellRef>>, want: Want) -> Option<Vec<u8>> {
        let is_ending = self.is_ending();
        let mine = self.waits.iter().position(|wait| wait.reader == reader);
        let has_elders =
            self.waits.iter().take(mine.unwrap_or(self.waits.len())).any(|wait| is_same_cell(wait.cell.as_ref(), cell));
        let has_ended = is_ending || cell.is_some_and(|cell| cell.stdin_ended.load(SeqCst));
        let running = match &mut self.phase {
            Phase::Running(running) if is_same_cell(Some(&running.cell), cell) => Some(running),
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

    /// A reader waits: tells whether an `input_wait` is due, since it is new or since something arrived that was not enough.
    pub fn on_wait(&mut self, new: NewWait<'_>) -> bool {
        if let Some(wait) = self.waits.iter_mut().find(|wait| wait.reader == new.reader) {
            return std::mem::replace(&mut wait.needs_more, false);
        }
        self.waits.push(Wait {
            reader: new.reader,
            cell: new.cell.cloned(),
            prompt: new.prompt.to_owned(),
            is_emitted: false,
            is_main: new.is_main,
            stdin: Default::default(),
            needs_more: false,
        });
        true
    }

    /// Whether the `input_wait` of this reader was emitted, or is left until it answers a batch ([`State::on_batch_answer_due`]).
    pub fn on_wait_emitted(&mut self, reader: u64, is_emitted: bool) {
        if let Some(wait) = self.waits.iter_mut().find(|wait| wait.reader == reader) {
            wait.is_emitted = is_emitted;
        }
    }

    /// Whether anybody waits.
    pub fn has_waits(&self) -> bool {
        !self.waits.is_empty()
    }

    /// Whether another reader is about to emit its `input_wait` once more.
    pub fn another_needs_more(&self, reader: u64) -> bool {
        self.waits.iter().any(|wait| wait.needs_more && wait.reader != reader)
    }

    /// Where each batch has exactly one answer: what answers one now, if the time has come. A wait that has not been emitted
    /// answers it; else the batch is answered once the main thread can take another.
    pub fn on_batch_answer_due(&mut self) -> Option<BatchAnswer> {
        if self.waits.iter().any(|wait| wait.needs_more) {
            return None;
        }
        let can_take = self.can_take_batch();
        let unsaid = self.waits.iter().position(|wait| !wait.is_emitted);
        match self.waits.get_mut(unsaid.unwrap_or(0)) {
            Some(wait) if can_take || unsaid.is_some() => {
                wait.is_emitted = true;
                Some(BatchAnswer::Wait { reader: wait.reader, prompt: wait.prompt.clone() })
            }
            None if can_take => Some(BatchAnswer::Ready),
            _ => None,
        }
    }

    /// A wait is over, answered or not: what it leaves over is its cell's while that runs.
    pub fn on_wait_end(&mut self, reader: u64) {
        let Some(at) = self.waits.iter().position(|wait| wait.reader == reader) else { return };
        let mut wait = self.waits.remove(at);
        if let Phase::Running(running) = &mut self.phase
            && is_same_cell(Some(&running.cell), wait.cell.as_ref())
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
}
