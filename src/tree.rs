//! The processes that a session has started, found and ended when the session ends.
//!
//! Children that stayed are found as descendants and by process group; daemons that left both are found by a marker in
//! their environment, `WORKER_SESSION=<a uuid of the session's own>`. Elsewhere than on Linux the process group is all there is.

use crate::sys;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

/// The variable that marks every process of a session.
pub const MARKER: &str = "WORKER_SESSION";

/// How long processes have between SIGTERM and SIGKILL.
const MERCY: Duration = Duration::from_millis(200);
/// How long the whole search may take.
const LIMIT: Duration = Duration::from_millis(1200);

/// How often the table of processes is read after a fault.
#[cfg(target_os = "linux")]
const MOST_READINGS: usize = 8;

/// Ends every other process of the session: first asked, then killed.
pub(crate) fn end_all(marker: &str) {
    let start = Instant::now();
    let mut asked: HashSet<i32> = HashSet::new();
    sys::become_subreaper();
    loop {
        while sys::reap_any().is_some() {}
        let found = find(marker);
        if found.is_empty() || start.elapsed() > LIMIT {
            // One may have ended since the last look.
            while sys::reap_any().is_some() {}
            return;
        }
        let patience_is_over = start.elapsed() > MERCY;
        for &pid in &found {
            if patience_is_over {
                sys::signal_process(pid, libc::SIGKILL);
            } else if asked.insert(pid) {
                sys::signal_process(pid, libc::SIGTERM);
                // A stopped process takes no SIGTERM before it goes on.
                sys::signal_process(pid, libc::SIGCONT);
            }
        }
        wait_for_any(&found, Duration::from_millis(20));
    }
}

/// Sends SIGINT to every other process of the process group that this process leads.
pub(crate) fn interrupt_group() {
    let me = std::process::id() as i32;
    if sys::process_group() != me {
        return;
    }
    // A shell may start a program between the look and the signal, and then wait for what was not told: look again until
    // there is nobody new.
    let mut told = HashSet::new();
    loop {
        let group =
            processes().into_iter().filter(|process| process.group == me && process.pid != me && !process.is_zombie);
        let new: Vec<_> = group.filter(|process| told.insert(process.pid)).collect();
        if new.is_empty() {
            return;
        }
        for process in new {
            sys::signal_process(process.pid, libc::SIGINT);
        }
    }
}

/// Kills the processes of the group that this process leads, and its children. Allocates nothing: it runs after a fault.
pub(crate) fn kill_children_in_a_fault() {
    #[cfg(target_os = "linux")]
    {
        let me = std::process::id() as i32;
        let leads_group = sys::process_group() == me;
        // One that was started while the table was read is in the next reading, and whoever started it can start no more.
        let mut before = None;
        for _ in 0..MOST_READINGS {
            let mut found = 0;
            sys::each_process(|pid, parent, group| {
                if pid != me && (parent == me || (group == me && leads_group)) {
                    found += 1;
                    sys::signal_process(pid, libc::SIGKILL);
                }
            });
            if found == 0 || before.replace(found) == Some(found) {
                return;
            }
        }
    }
}

fn wait_for_any(pids: &[i32], limit: Duration) {
    let handles: Vec<_> = pids.iter().filter_map(|&pid| sys::pidfd(pid as u32).ok()).collect();
    let mut fds: Vec<_> =
        handles.iter().map(|fd| sys::pollfd(std::os::fd::AsRawFd::as_raw_fd(fd), libc::POLLIN)).collect();
    sys::poll(&mut fds, Some(limit));
}

struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    is_zombie: bool,
}

/// All processes of the session but this one.
fn find(marker: &str) -> Vec<i32> {
    let me = std::process::id() as i32;
    let all = processes();
    let parents: HashMap<i32, i32> = all.iter().map(|process| (process.pid, process.parent)).collect();
    let leads_group = sys::process_group() == me;
    let marker = format!("{MARKER}={marker}");
    all.iter()
        .filter(|process| process.pid != me && process.pid > 1 && !process.is_zombie)
        .filter(|process| {
            descends_from(me, process.pid, &parents)
                || (leads_group && process.group == me)
                || has_marker(process.pid, marker.as_bytes())
        })
        .map(|process| process.pid)
        .collect()
}

fn descends_from(ancestor: i32, mut pid: i32, parents: &HashMap<i32, i32>) -> bool {
    // A table read while it changes could hold a circle.
    for _ in 0..1000 {
        match parents.get(&pid) {
            Some(&parent) if parent == ancestor => return true,
            Some(&parent) if parent > 1 => pid = parent,
            _ => return false,
        }
    }
    false
}

fn processes() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| {
            // The kernel gives it whole to one read, and it is shorter than this.
            let mut stat = [0; 1024];
            let length = File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut stat)).ok()?;
            let stat = &stat[..length];
            // The name, in parentheses, may hold anything; what follows the last one is plain.
            let rest = &stat[stat.iter().rposition(|&byte| byte == b')')? + 1..];
            let rest = std::str::from_utf8(rest).ok()?;
            let mut fields = rest.split_ascii_whitespace();
            let state = fields.next()?;
            let parent = fields.next()?.parse().ok()?;
            let group = fields.next()?.parse().ok()?;
            Some(Process { pid, parent, group, is_zombie: state == "Z" || state == "X" })
        })
        .collect()
}

fn has_marker(pid: i32, marker: &[u8]) -> bool {
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|&byte| byte == 0).any(|entry| entry == marker))
}
