//! What the state is made of: cells, waits for standard input, requests, and the end that has begun.

use super::stdin::Stdin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use worker_protocol::Rpc;

/// A cell's name and number, shared by all that refer to it, also after it is over.
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
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// Standard input that was sent for it ahead of its turn.
    pub stdin: Stdin,
}

/// The cell that runs, or has just ended.
#[derive(Debug)]
pub(crate) struct Running {
    pub cell: Arc<CellRef>,
    pub started: Instant,
    pub deadline: Option<Instant>,
    pub timed_out: bool,
    pub(super) resend: Option<Resend>,
    pub(super) stdin: Stdin,
    /// Bytes of standard input that an interrupt threw away, or that nobody read.
    pub dropped_stdin: usize,
    /// Cells that an interrupt took from the queue; answered after this one.
    pub(super) discarded: Vec<QueuedCell>,
}

/// When SIGINT is sent to the running cell again, should the first have come just before a system call began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resend {
    pub at: Instant,
    /// How long after that once more.
    pub pause: Duration,
}

/// Somebody who waits for standard input.
#[derive(Debug)]
pub(super) struct Wait {
    pub reader: u64,
    pub cell: Option<Arc<CellRef>>,
    /// What the reader asks with.
    pub prompt: String,
    /// The supervisor has been sent an `input_wait` for it.
    pub is_emitted: bool,
    /// The main thread waits here; a batch that names no target is its answer.
    pub is_main: bool,
    /// What has been sent for this wait.
    pub stdin: Stdin,
    /// Something arrived that was not enough: `input_wait` is due once more.
    pub needs_more: bool,
}

/// Why and until when a session ends.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    /// The name of the signal that asked for it.
    pub message: Option<String>,
    pub grace: Duration,
    pub stage: Stage,
    pub deadline: Instant,
    /// The supervisor is gone.
    pub is_gone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
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
