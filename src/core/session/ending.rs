//! How a session ends, and everything else that is due at a time.

use super::effects::Effects;
use super::parts::{Ending, Stage};
use super::state::{Phase, State};
use crate::timeouts::{EXIT, LONGEST_GRACE, SUPERVISOR_GONE};
use std::time::{Duration, Instant};
use worker_protocol::{DEFAULT_GRACE_MS, SessionEnd};

impl State {
    /// A shutdown was asked for: starts the end, or shortens one that has begun. `grace_ms`: how long what is queued and
    /// running may take. `message`: the name of the signal that asked.
    pub fn on_shutdown(&mut self, grace_ms: Option<u64>, message: Option<String>, now: Instant) -> Effects {
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
                let deadline = now + grace.min(LONGEST_GRACE);
                self.ending = Some(Ending { message, grace, stage: Stage::Draining, deadline, is_gone: false });
            }
        }
        self.wake_all()
    }

    /// The supervisor is gone: the running cell is stopped, and little time is left.
    pub fn on_supervisor_gone(&mut self, now: Instant) -> Effects {
        if self.is_gone() {
            return Effects::default();
        }
        self.take_queue();
        let message = self.ending.take().and_then(|ending| ending.message);
        let (stage, deadline) = (Stage::Last, now + SUPERVISOR_GONE);
        self.ending = Some(Ending { message, grace: SUPERVISOR_GONE, stage, deadline, is_gone: true });
        // After the last words the runtime is gone and its handler with it: a signal would kill, and take the exit status.
        let send_sigint = !self.has_ended();
        if send_sigint {
            self.schedule_resend(now);
        }
        Effects { send_sigint, ..self.wake_all() }
    }

    /// The user's code has ended the runtime: `end` is what `session_end` will carry, in time or not.
    pub fn on_exit(&mut self, end: SessionEnd, now: Instant) -> Effects {
        self.phase = Phase::Finalizing;
        self.exit = Some(end);
        if self.ending.is_none() {
            let (stage, deadline) = (Stage::Draining, now + EXIT);
            self.ending = Some(Ending { message: None, grace: EXIT, stage, deadline, is_gone: false });
        }
        Effects { wake_control: true, ..self.wake_all() }
    }

    /// The main thread takes no more cells and finalises the runtime.
    pub fn on_finalizing(&mut self) {
        self.phase = Phase::Finalizing;
    }

    /// The runtime is gone and the session's end is about to be emitted; gives the name of the signal that asked for it.
    pub fn on_end(&mut self) -> Option<String> {
        self.phase = Phase::Ended;
        self.ending.as_ref().and_then(|ending| ending.message.clone())
    }

    /// Whether the session is on its way to its end.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Whether the supervisor is gone.
    pub fn is_gone(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.is_gone)
    }

    /// The end that the user's code has asked for.
    pub fn exit(&self) -> Option<&SessionEnd> {
        self.exit.as_ref()
    }

    /// When something will be due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let cell = self.running().filter(|running| !running.timed_out).and_then(|running| running.deadline);
        let ending = self.ending.as_ref().map(|ending| ending.deadline);
        let resend = self.running().and_then(|running| running.resend).map(|resend| resend.at);
        cell.into_iter().chain(ending).chain(resend).min()
    }

    /// A deadline may have passed: a cell's time, the pause before SIGINT is sent again, the grace of an end.
    pub fn on_deadline(&mut self, now: Instant) -> Effects {
        let interrupt = Effects { send_sigint: true, ..self.wake_all() };
        if let Some(running) = self.running_mut()
            && !running.timed_out
            && running.deadline.is_some_and(|deadline| deadline <= now)
        {
            running.timed_out = true;
            self.schedule_resend(now);
            return interrupt;
        }
        if self.take_resend(now) {
            return Effects { resend_sigint: true, ..Effects::default() };
        }
        let Some(ending) = self.ending.as_mut().filter(|ending| ending.deadline <= now) else {
            return Effects::default();
        };
        if ending.stage == Stage::Last {
            return Effects { force_end: true, ..Effects::default() };
        }
        ending.stage = Stage::Last;
        ending.deadline = now + ending.grace.min(LONGEST_GRACE);
        let queued = self.take_queue();
        if let Some(running) = self.running_mut() {
            running.discarded.extend(queued);
        }
        self.schedule_resend(now);
        interrupt
    }
}
