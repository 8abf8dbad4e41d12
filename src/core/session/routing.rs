//! Where a batch of input goes: into the queue, to a wait, or ahead of the one who will read it.

use super::effects::Effects;
use super::parts::{QueuedCell, Wait};
use super::state::{Phase, State};
use super::stdin::Stdin;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use worker_protocol::{Code, InputBatch, MAX_QUEUED_BYTES, MAX_QUEUED_CELLS, Refusal, To};

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

fn refuse(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::Invalid, message)
}

impl State {
    /// A batch has come: it is put where it belongs, or refused with the reason.
    pub fn on_batch(&mut self, batch: InputBatch) -> Result<(Routed, Effects), Refusal> {
        let id = batch.id.clone();
        let routed = self.route(batch).map_err(|refusal| refusal.of_batch(id))?;
        let effects = match routed {
            Routed::Queued | Routed::ToMain => self.wake_main(),
            // A thread that waits, or one that looks for input (`select`).
            Routed::ToThread | Routed::Ahead => self.wake_all(),
        };
        Ok((routed, effects))
    }

    fn route(&mut self, batch: InputBatch) -> Result<Routed, Refusal> {
        if self.is_ending() || matches!(self.phase, Phase::Finalizing | Phase::Ended) {
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
        wait.needs_more = true;
        if wait.stdin.eof
            && let Some(cell) = &wait.cell
        {
            cell.stdin_ended.store(true, SeqCst);
        }
        Ok(if wait.is_main { Routed::ToMain } else { Routed::ToThread })
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
