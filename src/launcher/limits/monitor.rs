//! A process outside of a session's limits that waits for the session's end and cleans up what the session cannot.
//!
//! Under Landlock a session may not remove its own directory from the one above it, no process can remove the control group
//! that it is in, and a session that the kernel has killed for want of memory cannot say so.

use crate::launcher::channel::link::Link;
use crate::launcher::limits::cgroup::Group;
use crate::launcher::{process, timeouts};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Instant;
use worker_protocol::config::SocketFile;
use worker_protocol::{EndReason, SessionEnd};

/// The session, as far as there is something of it to clean up.
pub struct Watched<'a> {
    /// The session's control group.
    pub group: Option<&'a Group>,
    /// The limit of memory in it.
    pub memory: Option<u64>,
    /// The session's temporary directory.
    pub folder: Option<&'a Path>,
    /// The socket file of `--listen`.
    pub socket_file: Option<&'a SocketFile>,
    /// The supervisor.
    pub link: &'a Link,
}

/// Starts it. Gives the pipe into which the session writes when it has said its end.
pub fn start(watched: &Watched<'_>) -> io::Result<OwnedFd> {
    let worker = sys::pidfd(std::process::id())?;
    let (said, end_pipe) = sys::pipe()?;
    let mut open = vec![worker.as_raw_fd(), said.as_raw_fd()];
    if watched.memory.is_some() {
        // Whoever holds the channel keeps it open, so only where there may be something to say.
        open.extend([watched.link.events().as_raw_fd(), watched.link.diagnostics()]);
    }
    process::run_detached(&open, || watch(watched, &worker, said))?;
    Ok(end_pipe)
}

/// Waits for the session's end and cleans up.
fn watch(watched: &Watched<'_>, worker: &OwnedFd, said: OwnedFd) {
    let mut ended = [PollFd::new(worker.as_fd(), PollFlags::POLLIN)];
    while poll(&mut ended, PollTimeout::NONE).is_err() {}
    if let Some(group) = watched.group {
        let kills = group.kills();
        group.kill();
        if let Some(limit) = watched.memory.filter(|_| kills > 0 && !has_spoken(said)) {
            let message = format!("out of memory: the session reached its limit of {limit} bytes and was killed");
            let end = SessionEnd::new(EndReason::Crash).with_message(message);
            watched.link.say_end(SessionEnd { signal: Some("SIGKILL".into()), ..end });
        }
        let start = Instant::now();
        while !group.remove() && start.elapsed() < timeouts::KILLED_GROUP {
            std::thread::sleep(timeouts::LOOK_AT_GROUP);
        }
    }
    if let Some(folder) = watched.folder {
        // Most often the session has emptied it, or more.
        let _ = std::fs::remove_dir_all(folder);
    }
    if let Some(file) = watched.socket_file {
        file.remove();
    }
}

/// Whether the session has said its end: it writes a byte into the pipe when it has.
fn has_spoken(pipe: OwnedFd) -> bool {
    let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    let something = poll(&mut ready, PollTimeout::ZERO).is_ok_and(|count| count > 0);
    something && matches!(File::from(pipe).read(&mut [0]), Ok(1))
}
