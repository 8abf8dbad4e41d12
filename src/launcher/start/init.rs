//! PID 1 of a container: the worker becomes its child, and this process does what an init does.
//!
//! It waits for every process that ends, so that none stays a zombie; it passes on the signals that are sent to it;
//! and soon after the worker it ends with that one's exit status, upon which the kernel ends whatever is left.

use crate::launcher::{process, timeouts};
use nix::sys::signal::SigSet;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};
use std::io;
use std::os::fd::RawFd;
use std::time::Instant;

/// The first stderr.
const STDERR: RawFd = 2;

/// As PID 1 this forks and comes back in the child; anywhere else it does nothing.
pub fn become_init() -> io::Result<()> {
    if std::process::id() != 1 {
        return Ok(());
    }
    // Blocked before there is a child, so that none is lost.
    let before = SigSet::thread_get_mask()?;
    SigSet::all().thread_block()?;
    match process::fork()? {
        ForkResult::Child => Ok(before.thread_set_mask()?),
        ForkResult::Parent { child } => watch_over(child),
    }
}

fn watch_over(worker: Pid) -> ! {
    // Above all the channel: open in this process too, it would not close when the worker closes it.
    sys::close_all_but(&[STDERR]);
    let mut over: Option<(i32, Instant)> = None;
    loop {
        let left = over.map(|(_, end)| end.saturating_duration_since(Instant::now()));
        let Some((signal, from_terminal)) = sys::next_signal(left) else {
            sys::exit_now(over.map_or(0, |(status, _)| status));
        };
        if signal == libc::SIGCHLD {
            let (status, is_alone) = reap(worker);
            over = over.or(status.map(|status| (status, Instant::now() + timeouts::CLEAN_UP)));
            if let Some((status, _)) = over.filter(|_| is_alone) {
                sys::exit_now(status);
            }
        } else if !from_terminal {
            // What comes from the terminal (the kernel) has gone to the worker as well. If the worker is gone, SIGCHLD follows.
            sys::signal_process(worker.as_raw(), signal);
        }
    }
}

/// Waits for all that have ended: the exit status once the worker has, and whether nobody is left.
fn reap(worker: Pid) -> (Option<i32>, bool) {
    let mut status = None;
    loop {
        let ended = waitpid(None, Some(WaitPidFlag::WNOHANG));
        let is_worker = |pid: Pid| pid == worker;
        match ended {
            Ok(WaitStatus::Exited(pid, code)) if is_worker(pid) => status = Some(code),
            // As a shell reports it.
            Ok(WaitStatus::Signaled(pid, signal, _)) if is_worker(pid) => status = Some(128 + signal as i32),
            Ok(WaitStatus::StillAlive) => return (status, false),
            Err(_) => return (status, true),
            Ok(_) => {}
        }
    }
}
