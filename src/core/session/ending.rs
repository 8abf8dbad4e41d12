//! How a session ends, and everything else that is due at a time.

use super::*;

impl State {
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
}
