//! How long the launcher waits for others before it goes on without them, and why so long.

use std::time::Duration;

/// For the first line of a client that has connected. A program says it at once, a person who tries it by hand needs a moment;
/// one that stays silent takes up one of a few places so long.
pub const FIRST_LINE: Duration = Duration::from_secs(10);

/// For an interpreter to say what it is. A first start from a slow disk takes seconds; a program that is no interpreter may
/// never answer.
pub const PROBE: Duration = Duration::from_secs(5);

/// For a supervisor to make room on its channel for the message of a failed start. One that reads does so at once; one that
/// has stopped reading must not keep a worker that is over.
pub const LAST_MESSAGE: Duration = Duration::from_secs(2);

/// For the processes of a control group to be gone once they are killed. The kernel lets a system call that cannot be
/// interrupted finish first.
pub const KILLED_GROUP: Duration = Duration::from_secs(5);

/// Between two looks whether a control group is empty: soon enough that nobody notices, and rarely enough to cost nothing.
pub const LOOK_AT_GROUP: Duration = Duration::from_millis(5);

/// For the monitor, which cleans up after a session, before the init of a container ends and the kernel ends it too.
pub const CLEAN_UP: Duration = Duration::from_secs(1);
