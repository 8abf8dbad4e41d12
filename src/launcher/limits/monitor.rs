//! A process outside of a session's limits that waits for the session's end and cleans up what the session cannot.
//!
//! Under Landlock a session may not remove its own directory from the one above, and nobody can remove a control group
//! that he is in. And the dead cannot tell that the kernel killed them for want of memory.

use crate::launcher::channel::link::Link;
use crate::launcher::limits::cgroup::Group;
use crate::launcher::sys::{self, Fork};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};
use worker_protocol::config::SocketFile;
use worker_protocol::{EndReason, SessionEnd};

/// How long the processes of a control group may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at a control group that is not empty yet.
const PAUSE: Duration = Duration::from_millis(5);

/// What is to be cleaned up.
pub struct Kept<'a> {
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

/// Starts it, twice forked so that the session has no child that it did not start. Gives the pipe into which the session
/// writes when it has said its end.
pub fn start(kept: &Kept<'_>) -> io::Result<OwnedFd> {
    let worker = sys::duplicate(sys::open_process(std::process::id().cast_signed())?.as_raw_fd())?;
    let (reader, writer) = os_pipe::pipe()?;
    let (said, end_pipe) = (sys::duplicate(reader.as_raw_fd())?, sys::duplicate(writer.as_raw_fd())?);
    drop((reader, writer));
    match sys::fork()? {
        Fork::Parent(pid) => {
            sys::wait_for(pid);
            return Ok(end_pipe);
        }
        Fork::Child => match sys::fork() {
            Ok(Fork::Child) => {}
            _ => sys::leave(0),
        },
    }
    // In a group of its own an interrupt of the session does not reach it.
    let _ = nix::unistd::setsid();
    let _ = std::env::set_current_dir("/");
    let mut open = vec![worker.as_raw_fd(), said.as_raw_fd()];
    if kept.memory.is_some() {
        // Whoever holds the channel keeps it open, so only where there may be something to say.
        open.extend([kept.link.events().as_raw_fd(), kept.link.diagnostics()]);
    }
    sys::close_all_but(&open);
    keep(kept, &worker, said);
    sys::leave(0)
}

fn keep(kept: &Kept<'_>, worker: &OwnedFd, said: OwnedFd) {
    let mut ended = [PollFd::new(worker.as_fd(), PollFlags::POLLIN)];
    while poll(&mut ended, PollTimeout::NONE).is_err() {}
    if let Some(group) = kept.group {
        let kills = group.kills();
        group.kill();
        if let Some(limit) = kept.memory.filter(|_| kills > 0 && !has_spoken(said)) {
            let message = format!("out of memory: the session reached its limit of {limit} bytes and was killed");
            let end = SessionEnd::new(EndReason::Crash).with_message(message);
            kept.link.say_end(SessionEnd { signal: Some("SIGKILL".into()), ..end });
        }
        let start = Instant::now();
        while !group.remove() && start.elapsed() < PATIENCE {
            std::thread::sleep(PAUSE);
        }
    }
    if let Some(folder) = kept.folder {
        // Most often the session has emptied it, or more.
        let _ = std::fs::remove_dir_all(folder);
    }
    if let Some(file) = kept.socket_file {
        file.remove();
    }
}

/// Whether the session has said its end.
fn has_spoken(pipe: OwnedFd) -> bool {
    let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    let something = poll(&mut ready, PollTimeout::ZERO).is_ok_and(|count| count > 0);
    something && matches!(File::from(pipe).read(&mut [0]), Ok(1))
}
