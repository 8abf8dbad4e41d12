//! What a transition of the state asks of whoever holds the lock.

use super::parts::{QueuedCell, Request};

/// What is to be done after a transition. Events are emitted and signals are sent before the lock is let go, so that they come in
/// the order of the transitions.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Effects {
    /// Emitted in this order.
    pub events: Vec<Emit>,
    /// Send SIGINT to the main thread, and to the session's other processes.
    pub send_sigint: bool,
    /// Send the main thread the signal once more, in case that the first came just before a system call.
    pub resend_sigint: bool,
    /// The main thread waits and has something to look at.
    pub wake_main: bool,
    /// Other threads that wait for standard input have something to look at.
    pub wake_threads: bool,
    /// The control thread waits for a deadline that is later than the next one is now.
    pub wake_control: bool,
    /// Time is up: end the process.
    pub force_end: bool,
}

/// What is emitted.
#[derive(Debug)]
pub(crate) enum Emit {
    /// A `ready` that belongs to no cell.
    Ready,
    /// The `ready` of a cell that never ran.
    Discarded(QueuedCell),
    /// The refusal of a request that an interrupt cancelled.
    Cancelled(Request),
}

impl Effects {
    /// Cells that never ran are answered.
    pub(super) fn discard(&mut self, cells: impl IntoIterator<Item = QueuedCell>) {
        self.events.extend(cells.into_iter().map(Emit::Discarded));
    }
}
