//! Which interrupts are one: a supervisor may send the message and the signal together.

use super::flags::{has_delivered, signal_safe_set, signal_safe_signal_main_thread};
use super::mask::take_pending;
use super::sigint_state::Bits;
use crate::timeouts::SAME_INTERRUPT_NS;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The last interrupt as a [`Record`]; [`NONE`]: none that another one could belong to.
static LAST: AtomicU64 = AtomicU64::new(NONE.0);
/// The same, if it was a signal and its cell's `ready` has answered it; else [`NONE`].
static ANSWERED: AtomicU64 = AtomicU64::new(NONE.0);

/// Which of the two ways an interrupt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// A line from the supervisor.
    Message = 0,
    /// SIGINT from another process.
    Signal = 1,
}

/// When an interrupt came, shifted left by one, and its way in the lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record(u64);

/// No interrupt.
const NONE: Record = Record(0);

impl Record {
    /// An interrupt that came by `way` at `now`.
    fn at(way: Way, now: u64) -> Record {
        Record(now << 1 | way as u64)
    }

    /// Whether it came as a signal.
    fn is_signal(self) -> bool {
        self.0 & 1 == Way::Signal as u64
    }

    /// When it came.
    fn time(self) -> u64 {
        self.0 >> 1
    }
}

/// Whether an interrupt that comes by `way` at `now` is the other half of the last one. `now` may be before the last one's
/// time: the clock was read, then another thread recorded its interrupt.
fn is_same(last: Record, way: Way, now: u64) -> bool {
    let is_other_way = last.is_signal() != (way == Way::Signal);
    last != NONE && is_other_way && now.saturating_sub(last.time()) < SAME_INTERRUPT_NS
}

/// Records an interrupt; false when it is the other half of one that was recorded just before.
pub(crate) fn is_first(way: Way) -> bool {
    signal_safe_record(way)
}

/// The same. Of a message and its signal that come at once on two threads, one alone is told that it is the first.
///
/// Safe in a signal handler: `clock_gettime`, and compare-exchange around a pure function.
pub(super) fn signal_safe_record(way: Way) -> bool {
    let now = sys::monotonic_ns();
    let record = Record::at(way, now);
    LAST.fetch_update(SeqCst, SeqCst, |last| (!is_same(Record(last), way, now)).then_some(record.0)).is_ok()
}

/// A cell's end is about to be said: it answers the signal that stopped the cell, and the message that belongs to that.
pub(crate) fn note_answer() {
    let last = Record(LAST.load(SeqCst));
    let answered = if last.is_signal() && has_delivered() { last } else { NONE };
    ANSWERED.store(answered.0, SeqCst);
}

/// Whether the last interrupt was a signal that a cell's `ready` has answered. Tells so once.
pub(crate) fn take_answer() -> bool {
    let answered = ANSWERED.swap(NONE.0, SeqCst);
    answered != NONE.0 && answered == LAST.load(SeqCst)
}

/// A batch was taken: what comes from now on is another interrupt. A SIGINT that is pending for the process was sent before
/// the batch: while idle it is forgotten, and with a cell running it is that cell's.
pub(crate) fn take_batch(is_idle: bool) {
    if take_pending() && !is_idle && is_first(Way::Signal) {
        signal_safe_set(Bits::on_send);
        signal_safe_signal_main_thread();
    }
    LAST.store(NONE.0, SeqCst);
}

/// A cell starts. What an interrupt that came as a signal was meant for, if anything, is over.
pub(crate) fn forget_signal() {
    // A message that is recorded keeps its signal away from the cell.
    let _ = LAST.fetch_update(SeqCst, SeqCst, |last| Record(last).is_signal().then_some(NONE.0));
}

#[cfg(test)]
mod tests {
    use super::Way::{Message, Signal};
    use super::*;

    /// The last interrupt (none, or its way and time), the next one's way and time, and whether the two are one.
    type Row = (Option<(Way, u64)>, Way, u64, bool);

    const LATER: u64 = 5_000_000_000;

    #[test]
    fn message_and_signal_within_the_time_are_one() {
        let rows: [Row; 14] = [
            (None, Message, LATER, false),
            (None, Signal, LATER, false),
            // Just after the system's start, too.
            (None, Message, 0, false),
            (None, Signal, 0, false),
            (Some((Message, LATER)), Message, LATER, false),
            (Some((Signal, LATER)), Signal, LATER, false),
            (Some((Message, LATER)), Signal, LATER, true),
            (Some((Signal, LATER)), Message, LATER, true),
            (Some((Message, LATER)), Signal, LATER + SAME_INTERRUPT_NS - 1, true),
            (Some((Signal, LATER)), Message, LATER + SAME_INTERRUPT_NS - 1, true),
            (Some((Message, LATER)), Signal, LATER + SAME_INTERRUPT_NS, false),
            (Some((Signal, LATER)), Message, LATER + SAME_INTERRUPT_NS, false),
            // The second was timed before the first was recorded.
            (Some((Message, LATER)), Signal, LATER - 1, true),
            (Some((Signal, LATER)), Message, LATER - 1, true),
        ];
        for (last, way, now, wanted) in rows {
            let record = last.map_or(NONE, |(way, time)| Record::at(way, time));
            assert_eq!(is_same(record, way, now), wanted, "{last:?}, then {way:?} at {now}");
        }
    }
}
