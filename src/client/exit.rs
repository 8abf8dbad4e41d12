//! How a session ended, told in one word from the exit status, the last event and what the supervisor itself did.

use super::event::SessionEnd;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use worker_protocol::EndReason;

/// How a session ended.
#[derive(Debug, Clone)]
pub struct Exit {
    /// The one reason.
    pub reason: Reason,
    /// The last event, unless the worker died without it.
    pub last: Option<SessionEnd>,
    /// What the system says of the process.
    pub status: ExitStatus,
    /// The last lines of the worker's own stderr, if they were kept.
    pub stderr: String,
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A `shutdown`, or the end of the request side. Forced: the grace was over and something still ran.
    Shutdown {
        /// The grace was over before everything had ended.
        forced: bool,
    },
    /// The user's code ended the runtime with this number.
    Exit(i64),
    /// The process ended with this status and no word: `os._exit`, `exec` of another program.
    Vanished(i32),
    /// It died by this signal, which the supervisor did not send.
    Signal(i32),
    /// The session could not start; the text says why and what to do.
    StartupFailed(String),
    /// The kernel killed it for want of memory.
    OutOfMemory,
    /// The supervisor killed it with this signal, since it did not end by itself.
    Killed(i32),
    /// The worker gave up on a peer that broke the protocol.
    ProtocolError(String),
}

/// What is known when a worker has ended.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    /// What the system says of the process.
    pub status: ExitStatus,
    /// The last event, if it has come.
    pub last: Option<&'a SessionEnd>,
    /// `worker_ready` and the first `ready` have been seen.
    pub started: bool,
    /// The signal that the supervisor sent last to make it end.
    pub sent: Option<i32>,
    /// The kernel killed something of the session's for want of memory meanwhile.
    pub out_of_memory: bool,
    /// The end of the worker's own stderr, if it was kept.
    pub stderr: &'a str,
}

impl Evidence<'_> {
    /// It ran under a limit of memory, and whoever watches over that has said that it was killed.
    fn reached_its_memory(&self) -> bool {
        let message = self.last.and_then(|last| last.message.as_deref());
        message.is_some_and(|message| message.starts_with("out of memory"))
    }

    /// The one reason that the evidence allows.
    pub fn reason(&self) -> Reason {
        let message = || {
            let said = self.last.and_then(|last| last.message.clone()).unwrap_or_default();
            if said.is_empty() { self.stderr.trim().to_owned() } else { said }
        };
        // A signal is the last word: a worker may say an end and be killed on the way out.
        if let Some(signal) = self.status.signal() {
            return match self.sent {
                Some(sent) if sent == signal => Reason::Killed(signal),
                _ if signal == libc::SIGKILL && (self.out_of_memory || self.reached_its_memory()) => {
                    Reason::OutOfMemory
                }
                _ => Reason::Signal(signal),
            };
        }
        let code = self.status.code().unwrap_or_default();
        match self.last.map(|last| last.reason) {
            Some(EndReason::Shutdown) => {
                let forced = self.last.and_then(|last| last.message.as_deref()) == Some("forced");
                Reason::Shutdown { forced }
            }
            Some(EndReason::RuntimeExit) => {
                Reason::Exit(self.last.and_then(|last| last.exit_code).unwrap_or(code.into()))
            }
            Some(EndReason::StartupFailed) => Reason::StartupFailed(message()),
            Some(EndReason::ProtocolError) => Reason::ProtocolError(message()),
            // A crash that was announced and then did not end the process by its signal.
            Some(EndReason::Crash) => Reason::Vanished(code),
            None if !self.started => Reason::StartupFailed(message()),
            None => Reason::Vanished(code),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Shutdown { forced: false } => write!(f, "ended as asked"),
            Reason::Shutdown { forced: true } => {
                write!(f, "ended as asked, by force after its grace")
            }
            Reason::Exit(code) => write!(f, "the user's code ended it with {code}"),
            Reason::Vanished(code) => write!(f, "the process ended with status {code} and no word"),
            Reason::Signal(signal) => write!(f, "died by {}", signal_name(*signal)),
            Reason::StartupFailed(why) => write!(f, "could not start: {why}"),
            Reason::OutOfMemory => write!(f, "killed by the kernel, out of memory"),
            Reason::Killed(signal) => {
                write!(f, "killed by its supervisor with {}", signal_name(*signal))
            }
            Reason::ProtocolError(why) => write!(f, "broke off: {why}"),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

/// The name of a signal, such as `SIGSEGV`.
pub fn signal_name(signal: i32) -> String {
    match nix::sys::signal::Signal::try_from(signal) {
        Ok(known) => known.as_str().to_owned(),
        Err(_) => format!("signal {signal}"),
    }
}

/// Notices that the kernel killed for want of memory: in the worker's control group where that counts it, else
/// anywhere on the machine.
#[derive(Debug)]
pub(super) struct OomWatch {
    file: PathBuf,
    before: Option<u64>,
}

impl OomWatch {
    /// Starts to watch, while the worker lives.
    pub fn start(pid: u32) -> Self {
        let group = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let path = group.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
        let of_group = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/')).join("memory.events");
        let file = if of_group.exists() { of_group } else { PathBuf::from("/proc/vmstat") };
        let before = oom_kills(&file);
        OomWatch { file, before }
    }

    /// Whether it happened since.
    pub fn has_killed(&self) -> bool {
        matches!((self.before, oom_kills(&self.file)), (Some(before), Some(now)) if now > before)
    }
}

fn oom_kills(file: &Path) -> Option<u64> {
    counter(&std::fs::read_to_string(file).ok()?, "oom_kill")
}

fn counter(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        (key == name).then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(reason: EndReason, message: Option<&str>, exit_code: Option<i64>) -> SessionEnd {
        SessionEnd { reason, message: message.map(str::to_owned), exit_code, signal: None }
    }

    fn evidence(raw: i32, last: Option<&SessionEnd>) -> Evidence<'_> {
        let status = ExitStatus::from_raw(raw);
        Evidence { status, last, started: true, sent: None, out_of_memory: false, stderr: "" }
    }

    #[test]
    fn ends_that_are_said() {
        let said = end(EndReason::Shutdown, None, None);
        assert_eq!(evidence(0, Some(&said)).reason(), Reason::Shutdown { forced: false });
        let said = end(EndReason::Shutdown, Some("forced"), None);
        assert_eq!(evidence(0, Some(&said)).reason(), Reason::Shutdown { forced: true });
        let said = end(EndReason::RuntimeExit, None, Some(300));
        assert_eq!(evidence(44 << 8, Some(&said)).reason(), Reason::Exit(300));
        let said = end(EndReason::StartupFailed, Some("no python"), Some(1));
        assert_eq!(evidence(1 << 8, Some(&said)).reason(), Reason::StartupFailed("no python".into()));
    }

    #[test]
    fn deaths_without_a_word() {
        assert_eq!(evidence(7 << 8, None).reason(), Reason::Vanished(7));
        assert_eq!(evidence(libc::SIGKILL, None).reason(), Reason::Signal(libc::SIGKILL));
        let mut usage = evidence(2 << 8, None);
        usage.started = false;
        usage.stderr = "worker: no such flag\n";
        assert_eq!(usage.reason(), Reason::StartupFailed("worker: no such flag".into()));
    }

    #[test]
    fn a_kill_tells_who_did_it() {
        let mut killed = evidence(libc::SIGKILL, None);
        killed.out_of_memory = true;
        assert_eq!(killed.reason(), Reason::OutOfMemory);
        killed.sent = Some(libc::SIGKILL);
        assert_eq!(killed.reason(), Reason::Killed(libc::SIGKILL));
        let said = end(EndReason::Crash, Some("out of memory: the session reached its limit"), None);
        assert_eq!(evidence(libc::SIGKILL, Some(&said)).reason(), Reason::OutOfMemory);
        let said = end(EndReason::Crash, None, None);
        let crash = evidence(libc::SIGSEGV, Some(&said));
        assert_eq!(crash.reason(), Reason::Signal(libc::SIGSEGV));
        assert_eq!(crash.reason().to_string(), "died by SIGSEGV");
    }

    #[test]
    fn counters_are_found_by_their_whole_name() {
        assert_eq!(counter("oom 3\noom_kill 2\noom_group_kill 1\n", "oom_kill"), Some(2));
        assert_eq!(counter("oom 3\n", "oom_kill"), None);
    }
}
