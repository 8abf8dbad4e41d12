//! The threads beside a running worker: one reads its events, one waits for its end, one keeps its stderr.
//!
//! Each owns its end of things and ends by itself when the worker does; none takes a lock.

use super::event::Event;
use crossbeam_channel::{Receiver, Sender};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::process::ChildStderr;
use std::thread;

/// How much of the worker's stderr is kept.
const STDERR_KEPT: usize = 16 << 10;

/// What the threads that read and wait have to tell.
#[expect(clippy::large_enum_variant, reason = "almost every notice is an event, and boxing each would cost more")]
pub(super) enum Notice {
    Event(Event),
    Closed,
    Exited,
}

/// Waits for the process to end, and leaves its status for the owner to take, so that the process id stays ours
/// until then.
pub(super) fn await_exit(pid: Pid, notices: &Sender<Notice>) {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    while let Err(nix::Error::EINTR) = waitid(Id::Pid(pid), flags) {}
    // Nobody is left to tell when the owner is gone.
    let _ = notices.send(Notice::Exited);
}

pub(super) fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

pub(super) fn read_events(events: Box<dyn Read + Send>, notices: &Sender<Notice>) {
    let mut events = BufReader::with_capacity(64 << 10, events);
    let mut line = Vec::new();
    loop {
        line.clear();
        match events.read_until(b'\n', &mut line) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => break,
        }
        let whole = line.trim_ascii();
        if !whole.is_empty() && notices.send(Notice::Event(Event::parse(whole))).is_err() {
            return;
        }
    }
    // Nobody is left to tell when the owner is gone.
    let _ = notices.send(Notice::Closed);
}

pub(super) fn keep_stderr(mut stderr: ChildStderr) -> io::Result<Receiver<Vec<u8>>> {
    let (done, kept) = crossbeam_channel::bounded(1);
    named("worker-stderr").spawn(move || {
        let mut tail: VecDeque<u8> = VecDeque::new();
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut chunk) {
            tail.extend(&chunk[..count]);
            tail.drain(..tail.len().saturating_sub(STDERR_KEPT));
        }
        // Nobody asks when the owner is gone.
        let _ = done.send(tail.into());
    })?;
    Ok(kept)
}
