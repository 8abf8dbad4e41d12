//! The processes that a session has started, found and ended when the session ends.
//!
//! Children that stayed are found as descendants and by process group; daemons that left both are found by a marker in
//! their environment, `WORKER_SESSION=<a uuid of the session's own>`.
//!
//! What is asked of each process of the host costs time on a host that runs thousands. So descendants are asked for first, an
//! environment is read only of who started after the session, and a session that never had a child has nothing to look for.
//! None of it is done while the session's state is locked.

use crate::timeouts::{END_OF_PROCESSES, SIGTERM_TO_SIGKILL};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use worker_protocol::config::MARKER;

/// How often the processes are looked up after a fault.
const MOST_READINGS: usize = 8;

fn me() -> i32 {
    std::process::id() as i32
}

/// Ends every other process of the session: first asked, then killed.
pub(crate) fn end_all(marker: &str) {
    let start = Instant::now();
    sys::become_subreaper();
    if !has_children(me()) && !sys::has_had_children() {
        return;
    }
    let mut search = Search::new(marker);
    let mut asked: HashSet<i32> = HashSet::new();
    loop {
        while sys::reap_any().is_some() {}
        let found = search.find();
        if found.is_empty() || start.elapsed() > END_OF_PROCESSES {
            // One may have ended since the last look.
            while sys::reap_any().is_some() {}
            return;
        }
        let patience_is_over = start.elapsed() > SIGTERM_TO_SIGKILL;
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

fn wait_for_any(pids: &[i32], limit: Duration) {
    let handles: Vec<_> = pids.iter().filter_map(|&pid| sys::pidfd(pid as u32).ok()).collect();
    let mut fds: Vec<_> =
        handles.iter().map(|fd| sys::pollfd(std::os::fd::AsRawFd::as_raw_fd(fd), libc::POLLIN)).collect();
    sys::poll(&mut fds, Some(limit));
}

/// Looks for the processes of the session, again and again.
struct Search {
    me: i32,
    leads_group: bool,
    entry: Vec<u8>,
    /// When this process started.
    start: u64,
    /// Those that started before it.
    older: HashSet<i32>,
}

impl Search {
    fn new(marker: &str) -> Search {
        let me = me();
        Search {
            me,
            leads_group: leads_group(me),
            entry: format!("{MARKER}={marker}").into_bytes(),
            start: sys::process_stat(me).map_or(0, |stat| stat.start),
            older: HashSet::new(),
        }
    }

    /// All processes of the session but this one.
    fn find(&mut self) -> Vec<i32> {
        let mut found = descendants(self.me);
        sys::each_process(|pid| {
            if pid > 1 && pid != self.me && !found.contains(&pid) && self.is_of_session(pid) {
                found.insert(pid);
            }
        });
        found.retain(|&pid| sys::process_stat(pid).is_some_and(|stat| !stat.is_zombie));
        found.into_iter().collect()
    }

    fn is_of_session(&mut self, pid: i32) -> bool {
        if self.leads_group && sys::group_of(pid) == Some(self.me) {
            return true;
        }
        if self.older.contains(&pid) {
            return false;
        }
        match sys::process_stat(pid) {
            Some(stat) if stat.start < self.start => {
                self.older.insert(pid);
                false
            }
            Some(_) => sys::was_started_with(pid, &self.entry),
            None => false,
        }
    }
}

/// The members of the process group that an interrupt of this process has been sent to.
#[derive(Debug, Default)]
pub(crate) struct Interrupted(HashSet<i32>);

impl Interrupted {
    /// Those to whom it is to be sent now: of the group that this process leads, all its descendants.
    pub fn now() -> Interrupted {
        let me = me();
        let is_any = leads_group(me) && sys::has_children();
        Interrupted(if is_any { members(me, descendants(me)).collect() } else { HashSet::new() })
    }

    /// Sends it.
    pub fn send(&self) {
        send_to(self.0.iter());
    }

    /// Sends it to those that have joined since and to those whose parents are gone, as long as `is_due`, which is asked
    /// just before; it gives what is to be kept while signals are sent.
    pub fn send_to_rest<T>(mut self, mut is_due: impl FnMut() -> Option<T>) {
        let me = me();
        if !leads_group(me) || !sys::has_children() {
            return;
        }
        // A shell may start a program between the look and the signal, and then wait for what was not told: look again
        // until there is nobody new.
        for look in [descendants, everybody_else] {
            loop {
                let new: Vec<_> = members(me, look(me)).filter(|pid| !self.0.contains(pid)).collect();
                if new.is_empty() {
                    break;
                }
                let Some(_kept) = is_due() else { return };
                send_to(new.iter());
                self.0.extend(new);
            }
        }
    }
}

fn send_to<'a>(pids: impl Iterator<Item = &'a i32>) {
    for &pid in pids {
        sys::signal_process(pid, libc::SIGINT);
    }
}

/// Sends SIGINT to every other process of the process group that this process leads, as long as `is_due`.
pub fn interrupt_group(is_due: impl Fn() -> bool) {
    Interrupted::default().send_to_rest(|| is_due().then_some(()));
}

fn leads_group(me: i32) -> bool {
    sys::process_group() == me
}

fn members(group: i32, pids: HashSet<i32>) -> impl Iterator<Item = i32> {
    pids.into_iter().filter(move |&pid| sys::group_of(pid) == Some(group))
}

fn everybody_else(me: i32) -> HashSet<i32> {
    let mut all = HashSet::new();
    sys::each_process(|pid| {
        if pid > 1 && pid != me {
            all.insert(pid);
        }
    });
    all
}

fn has_children(pid: i32) -> bool {
    let mut is_any = false;
    if !sys::each_child(pid, |_| is_any = true) {
        is_any = sys::has_children();
    }
    is_any
}

/// Children, their children, and so on.
fn descendants(ancestor: i32) -> HashSet<i32> {
    let mut all = HashSet::new();
    let mut left = vec![ancestor];
    while let Some(pid) = left.pop() {
        let knows = sys::each_child(pid, |child| {
            if all.insert(child) {
                left.push(child);
            }
        });
        if !knows && pid == ancestor {
            return descendants_by_parents(ancestor);
        }
    }
    all
}

/// The same where the kernel does not list a process's children.
fn descendants_by_parents(ancestor: i32) -> HashSet<i32> {
    let parents: Vec<(i32, i32)> =
        everybody_else(ancestor).into_iter().filter_map(|pid| Some((pid, sys::process_stat(pid)?.parent))).collect();
    let mut all = HashSet::from([ancestor]);
    loop {
        let before = all.len();
        all.extend(parents.iter().filter(|(_, parent)| all.contains(parent)).map(|(pid, _)| *pid).collect::<Vec<_>>());
        if all.len() == before {
            break;
        }
    }
    all.remove(&ancestor);
    all
}

/// Kills the processes of the group that this process leads, and its children. Allocates nothing: it runs after a fault.
pub(crate) fn kill_children_in_a_fault() {
    let me = me();
    let leads_group = leads_group(me);
    // One that was started while the table was read is in the next reading, and whoever started it can start no more.
    let mut before = None;
    for _ in 0..MOST_READINGS {
        let mut found = 0;
        let mut kill = |pid| {
            found += 1;
            sys::signal_process(pid, libc::SIGKILL);
        };
        sys::each_child(me, &mut kill);
        if leads_group {
            sys::each_process(|pid| {
                if pid != me && sys::group_of(pid) == Some(me) {
                    kill(pid);
                }
            });
        }
        if found == 0 || before.replace(found) == Some(found) {
            return;
        }
    }
}
