//! Interrupts: what they stop, and when SIGINT is sent again.

use super::effects::{Effects, Emit};
use super::parts::{QueuedCell, Resend};
use super::state::{Answering, Phase, State};
use crate::timeouts::{FIRST_RESEND, LAST_RESEND};
use std::time::Instant;

/// What an interrupt comes to.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    /// What is to be done.
    pub effects: Effects,
    /// The session was idle: a bare `ready` answers the interrupt, unless a response does.
    pub was_idle: bool,
    /// There was something to stop.
    pub has_stopped: bool,
}

impl State {
    /// An interrupt by message stops the cell `id` alone, or everything that runs and is queued.
    pub fn on_interrupt(&mut self, id: Option<&str>, now: Instant) -> Interrupt {
        let mut interrupt = match id {
            Some(id) => self.interrupt_cell(id),
            None => self.interrupt_all(),
        };
        interrupt.has_stopped |= interrupt.effects.send_sigint || !interrupt.effects.events.is_empty();
        if interrupt.effects.send_sigint {
            self.schedule_resend(now);
        }
        interrupt
    }

    fn interrupt_cell(&mut self, id: &str) -> Interrupt {
        let mut interrupt = Interrupt::default();
        if self.running().is_some_and(|running| running.cell.id.as_deref() == Some(id)) {
            interrupt.effects.send_sigint = true;
        } else if let Some(at) = self.queue.iter().position(|cell| cell.id.as_deref() == Some(id)) {
            interrupt.effects.discard(self.queue.remove(at));
            self.queued_bytes = self.queue.iter().map(|cell| cell.code.len()).sum();
        }
        interrupt
    }

    fn interrupt_all(&mut self) -> Interrupt {
        let mut interrupt = Interrupt::default();
        let effects = &mut interrupt.effects;
        let queued = self.take_queue();
        interrupt.has_stopped = !queued.is_empty();
        match &mut self.phase {
            Phase::Starting { discarded } => {
                discarded.extend(queued);
                effects.send_sigint = true;
            }
            Phase::Idle => {
                effects.discard(queued);
                interrupt.was_idle = true;
            }
            Phase::Running(running) => {
                running.discarded.extend(queued);
                running.dropped_stdin += running.stdin.drain().len();
                let main = self.waits.iter_mut().filter(|wait| wait.is_main);
                running.dropped_stdin += main.map(|wait| wait.stdin.drain().len()).sum::<usize>();
                effects.send_sigint = true;
            }
            Phase::Finalizing => effects.send_sigint = true,
            Phase::Ended => {}
        }
        effects.events.extend(self.requests.drain(..).map(Emit::Cancelled));
        if self.answering != Answering::Nothing {
            self.answering = Answering::Cancelled;
            effects.send_sigint = true;
        }
        effects.send_sigint |= self.is_serving;
        interrupt
    }

    /// The main thread has got a SIGINT that nobody sent through the session: a system call that began at that moment has not
    /// noticed it.
    pub fn on_signal(&mut self, now: Instant) {
        self.schedule_resend(now);
    }

    pub(super) fn schedule_resend(&mut self, now: Instant) {
        if let Phase::Running(running) = &mut self.phase {
            running.resend = Some(Resend { at: now + FIRST_RESEND, pause: FIRST_RESEND * 5 });
        }
    }

    /// Whether SIGINT is to be sent again now; then the next time is set.
    pub(super) fn take_resend(&mut self, now: Instant) -> bool {
        let Phase::Running(running) = &mut self.phase else { return false };
        let Some(Resend { pause, .. }) = running.resend.filter(|resend| resend.at <= now) else { return false };
        running.resend = (pause <= LAST_RESEND).then(|| Resend { at: now + pause, pause: pause * 5 });
        true
    }

    /// Takes every cell that waits.
    pub(super) fn take_queue(&mut self) -> Vec<QueuedCell> {
        self.queued_bytes = 0;
        self.queue.drain(..).collect()
    }
}
