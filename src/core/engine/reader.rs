//! Reading standard input: one [`Reader`] for each read that a program makes, from its first look to its data.

use crate::control::shared::Shared;
use crate::output::emitter::Interrupted;
use crate::session::stdin::Want;
use crate::session::{CellRef, NewWait, Request, State};
use crate::signals::interrupt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use sys::Waited;
use worker_protocol::Event;

pub use crate::session::adopted::adopt_cell;

/// What a read asks for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What it asks with; said in `input_wait`.
    pub prompt: &'a str,
    /// A password: what is delivered is not said.
    pub hidden: bool,
    /// How much it wants.
    pub want: Want,
}

/// What a call of [`Reader::wait`] came back with.
#[derive(Debug)]
pub enum Got {
    /// What was asked for; empty at the end of file.
    Data(Vec<u8>),
    /// Work on this, respond, and call again (main thread).
    Request(Request),
    /// One of the caller's own descriptors has something, or the time ran out.
    Poll,
}

/// A read of standard input. Dropping it ends its wait.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    number: u64,
    prompt: String,
    hidden: bool,
    want: Want,
    cell: Option<Arc<CellRef>>,
    is_waiting: bool,
    is_over: bool,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, ask: Ask<'_>) -> Reader {
        let (number, cell) = {
            let mut state = shared.state.lock();
            (state.on_new_reader(), shared.current_cell(&state))
        };
        Reader {
            shared,
            number,
            prompt: ask.prompt.to_owned(),
            hidden: ask.hidden,
            want: ask.want,
            cell,
            is_waiting: false,
            is_over: false,
        }
    }

    /// What is there already, without ever waiting.
    pub fn try_take(&mut self) -> Option<Vec<u8>> {
        let shared = self.shared.clone();
        let mut state = shared.state.lock();
        let data = state.take_stdin(self.number, self.cell.as_ref(), self.want)?;
        self.deliver(&mut state, &data);
        Some(data)
    }

    /// Waits for the data: what [`wait`](super::wait) is given. On the main thread `Err` means that a signal came.
    ///
    /// `also` and `timeout` are the caller's own reasons to come back, honoured on the main thread.
    pub fn wait(&mut self, also: &mut [libc::pollfd], timeout: Option<Duration>) -> Result<Got, Interrupted> {
        if interrupt::is_main_thread() { self.wait_on_main(also, timeout) } else { Ok(self.wait_on_thread(timeout)) }
    }

    fn wait_on_main(&mut self, also: &mut [libc::pollfd], timeout: Option<Duration>) -> Result<Got, Interrupted> {
        let end = timeout.map(|timeout| Instant::now() + timeout);
        let mask = interrupt::open_mask();
        let mut fds = vec![sys::pollfd(self.shared.main_wake.fd(), libc::POLLIN)];
        fds.extend_from_slice(also);
        let shared = self.shared.clone();
        loop {
            // Whatever was printed is emitted before the wait is.
            if !self.is_waiting {
                shared.emitter.drain_capture(Some(&mask))?;
            }
            {
                let mut state = shared.state.lock();
                if let Some(data) = state.take_stdin(self.number, self.cell.as_ref(), self.want) {
                    self.deliver(&mut state, &data);
                    return Ok(Got::Data(data));
                }
                if let Some(request) = state.on_request_taken() {
                    return Ok(Got::Request(request));
                }
                self.announce(&mut state, true);
                state.on_parked(true);
            }
            shared.emitter.flush();
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let waited = sys::ppoll(&mut fds, left, &mask);
            shared.state.lock().on_parked(false);
            let is_woken = fds[0].revents != 0;
            if is_woken {
                shared.main_wake.clear();
            }
            match waited {
                Waited::Signal => return Err(Interrupted),
                Waited::Timeout => return Ok(Got::Poll),
                Waited::Ready => {
                    also.copy_from_slice(&fds[1..]);
                    if shared.process.take_sigint() {
                        return Err(Interrupted);
                    }
                    if also.iter().any(|fd| fd.revents != 0) {
                        return Ok(Got::Poll);
                    }
                }
            }
        }
    }

    fn wait_on_thread(&mut self, timeout: Option<Duration>) -> Got {
        let end = timeout.map(|timeout| Instant::now() + timeout);
        let shared = self.shared.clone();
        if !self.is_waiting {
            // A thread's wait for the channel is not interruptible, so nothing but the data can come of this.
            let _ = shared.emitter.drain_capture(None);
        }
        let mut state = shared.state.lock();
        loop {
            if state.has_ended() {
                // The runtime is gone, and this thread must not come back to it.
                drop(state);
                loop {
                    std::thread::park();
                }
            }
            if let Some(data) = state.take_stdin(self.number, self.cell.as_ref(), self.want) {
                self.deliver(&mut state, &data);
                return Got::Data(data);
            }
            if self.announce(&mut state, false) {
                drop(state);
                shared.emitter.flush();
                state = shared.state.lock();
                continue;
            }
            match end {
                None => shared.changed.wait(&mut state),
                Some(end) => {
                    if shared.changed.wait_until(&mut state, end).timed_out() {
                        return Got::Poll;
                    }
                }
            }
        }
    }

    /// Registers the wait and emits it; emits it again when something arrived that was not enough. True when it was emitted.
    fn announce(&mut self, state: &mut State, is_main: bool) -> bool {
        self.is_waiting = true;
        let (reader, cell) = (self.number, self.cell.as_ref());
        if !state.on_wait(NewWait { reader, cell, prompt: &self.prompt, is_main }) {
            return false;
        }
        // This would pass for the answer to a batch that another reader is about to take.
        let is_early = self.shared.policy.answers_each_batch && state.another_needs_more(reader);
        let is_emitted = !is_early
            && self.shared.emit(&Event::InputWait {
                prompt: &self.prompt,
                hidden: self.hidden,
                reader,
                id: self.cell.as_ref().and_then(|cell| cell.id.as_deref()),
            });
        state.on_wait_emitted(reader, is_emitted);
        true
    }

    /// Ends the wait, so that what is sent from now on is not taken for its answer, and emits what is delivered. The caller
    /// holds the state's lock, so that this comes before whatever the data causes.
    fn deliver(&mut self, state: &mut State, data: &[u8]) {
        self.is_over = true;
        if std::mem::take(&mut self.is_waiting) {
            state.on_wait_end(self.number);
        }
        if !data.is_empty() && !matches!(self.want, Want::Peek(_)) {
            self.emit_line(data);
        }
        self.shared.answer_batch(state);
    }

    fn emit_line(&self, data: &[u8]) {
        let text = String::from_utf8_lossy(data.strip_suffix(b"\n").unwrap_or(data));
        self.shared.emit_soon(&Event::InputLine {
            prompt: &self.prompt,
            text: (!self.hidden).then_some(&text),
            hidden: self.hidden,
            reader: self.number,
            id: self.cell.as_ref().and_then(|cell| cell.id.as_deref()),
        });
    }

    /// The number of this read, as `input_wait` carries it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the data has been given.
    pub fn is_over(&self) -> bool {
        self.is_over
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.is_waiting && !sys::in_child() {
            let mut state = self.shared.state.lock();
            state.on_wait_end(self.number);
            self.shared.answer_batch(&mut state);
        }
    }
}
