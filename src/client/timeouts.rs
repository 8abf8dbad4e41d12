//! How long a supervisor waits for a worker that should be over, and why so long.

use std::time::Duration;

/// For a worker to end by itself when twice its grace is over: it has said its end by then and only cleans up.
pub(super) const AFTER_GRACE: Duration = Duration::from_secs(1);

/// For a worker to end at SIGTERM, which it takes as a shutdown without grace.
pub(super) const AFTER_SIGTERM: Duration = Duration::from_secs(1);

/// For the kernel to end a killed worker. A system call that cannot be interrupted, on a slow disk say, finishes first.
pub(super) const AFTER_SIGKILL: Duration = Duration::from_secs(5);

/// For the channel of a dead worker to close. A process that the cell started may hold it open for ever.
pub(super) const CHANNEL_OF_THE_DEAD: Duration = Duration::from_secs(1);

/// For the stderr of a dead worker to close, for the same reason.
pub(super) const STDERR_OF_THE_DEAD: Duration = Duration::from_secs(1);
