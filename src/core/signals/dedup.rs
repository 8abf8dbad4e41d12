//! Which interrupts are one: a supervisor may send the message and the signal together.

use super::flags::{MAIN, STRUCK, has_delivered, signal_main};
use super::mask::take_pending;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// A message and a signal within this time are one interrupt, in nanoseconds.
const SAME: u64 = 100_000_000;

/// The last interrupt: its time shifted left by one, and 1 if it was a signal. 0: none that could be the same.
static LAST: AtomicU64 = AtomicU64::new(0);
/// The last interrupt was a signal, and its cell's `ready` has answered it: its value in [`LAST`]. 0: no such one.
static ANSWERED: AtomicU64 = AtomicU64::new(0);
/// Which of the two ways an interrupt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Message = 0,
    Signal = 1,
}

/// Records an interrupt; false when it is the other half of one that was recorded just before.
pub(crate) fn claim(way: Way) -> bool {
    let now = sys::monotonic_ns() & (u64::MAX >> 1);
    let mine = now << 1 | way as u64;
    LAST.fetch_update(SeqCst, SeqCst, |last| {
        let is_same = last != 0 && (last & 1) != way as u64 && now.saturating_sub(last >> 1) < SAME;
        (!is_same).then_some(mine)
    })
    .is_ok()
}

/// A cell's end is about to be said: it answers the signal that stopped the cell, and the message that belongs to that.
pub(crate) fn note_answer() {
    let last = LAST.load(SeqCst);
    let is_signal = last & 1 == Way::Signal as u64;
    ANSWERED.store(if is_signal && has_delivered() { last } else { 0 }, SeqCst);
}

/// Whether the last interrupt was a signal that a cell's `ready` has answered. Tells so once.
pub(crate) fn take_answer() -> bool {
    let answered = ANSWERED.swap(0, SeqCst);
    answered != 0 && answered == LAST.load(SeqCst)
}

/// A batch was taken: what comes from now on is another interrupt. A SIGINT that is still on its way was sent before the
/// batch: while idle it is forgotten, and with a cell running it is that cell's.
pub(crate) fn take_batch(is_idle: bool) {
    if take_pending() && !is_idle && claim(Way::Signal) {
        STRUCK.store(true, SeqCst);
        signal_main(MAIN.load(SeqCst) as libc::pthread_t);
    }
    LAST.store(0, SeqCst);
}

/// A cell starts. What an interrupt that came as a signal was meant for, if anything, is over.
pub(crate) fn forget_signal() {
    // A message that is recorded keeps its signal away from the cell.
    let _ = LAST.fetch_update(SeqCst, SeqCst, |last| (last & 1 == Way::Signal as u64).then_some(0));
}
