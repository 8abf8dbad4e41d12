//! How long a session waits, and why so long.

use std::time::Duration;

/// After its first byte, printed text is flushed. Long enough to join the pieces of a line, too short to be seen.
pub(crate) const FLUSH_AFTER: Duration = Duration::from_millis(2);

/// A message and a SIGINT within this time are one interrupt, in nanoseconds: a supervisor that sends both does it at once, and
/// no person presses twice so fast.
pub(crate) const SAME_INTERRUPT_NS: u64 = 100_000_000;

/// A cell that was sent SIGINT and does not end is sent it again after this time, since the first may have come just before a
/// system call; and after five times as long each time…
pub(crate) const FIRST_RESEND: Duration = Duration::from_millis(2);
/// … as long as that is not more than this: then the cell handles the interrupt, or cannot be interrupted.
pub(crate) const LAST_RESEND: Duration = Duration::from_secs(2);

/// For an interrupted command to end before it is left to itself: most end at once, and a person waits for the prompt.
pub(crate) const INTERRUPTED_COMMAND: Duration = Duration::from_millis(200);

/// For the runtime to finalise when the user's code has ended it. Then what holds it up is interrupted, and after as long again
/// the process is gone. Exit handlers write files, say; a thread that never ends must not keep the session.
pub(crate) const EXIT: Duration = Duration::from_secs(5);
/// For everything, when the supervisor is gone: nobody waits for the session any more.
pub(crate) const SUPERVISOR_GONE: Duration = Duration::from_millis(2500);
/// The longest grace. One of centuries is no deadline, but it must not overflow.
pub(crate) const LONGEST_GRACE: Duration = Duration::from_secs(86_400 * 365);

/// For other processes of the session between SIGTERM and SIGKILL: time for a handler that removes a file.
pub(crate) const SIGTERM_TO_SIGKILL: Duration = Duration::from_millis(200);
/// For the whole search for them: one that forks without end must not keep the session.
pub(crate) const END_OF_PROCESSES: Duration = Duration::from_millis(1200);

/// For the last words to reach a supervisor that does not read.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(700);

/// For a supervisor that does not read at C's `exit()`, as at the end of a runtime.
pub(crate) const C_EXIT: Duration = Duration::from_secs(5);
/// For the state at C's `exit()`: who calls it while holding the lock would wait for himself.
pub(crate) const STATE_AT_C_EXIT: Duration = Duration::from_secs(1);

/// For the output thread, by the handler of a fault: it needs some milliseconds where it is alive.
pub(crate) const OUTPUT_THREAD_AT_FAULT: Duration = Duration::from_millis(500);
/// For the emitter's lock after a fault: nobody holds it for long, but the thread that crashed may hold it for ever.
pub(crate) const LOCK_AT_FAULT: Duration = Duration::from_millis(150);
/// For the supervisor in one write after a fault: with the lock this is less than twice what the handler waits for the output
/// thread.
pub(crate) const WRITE_AT_FAULT: Duration = Duration::from_millis(800);

/// Between two looks at the deadlines once the channel was closed by the user's code and nothing can be polled any more.
pub(crate) const CLOSED_CHANNEL: Duration = Duration::from_millis(20);
