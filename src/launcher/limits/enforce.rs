//! Limits that a session runs under: whether this machine can enforce what was asked for, and its enforcement.
//!
//! The rule: a limit holds, to the word and for every process of the session, from before the runtime starts; or the
//! worker does not start at all. Nothing is silently weaker than it was asked for.

use crate::launcher::channel::link::Link;
use crate::launcher::limits::cgroup::{self, CgroupError, Group};
use crate::launcher::limits::monitor::{self, Watched};
use crate::launcher::limits::sandbox::{self, SandboxError};
use crate::launcher::options::limits::Limits;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Map, Value, json};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// The fewest descriptors with which a session can be opened.
const LEAST_OPEN_FILES: u64 = 64;
/// The least memory in which a runtime starts.
const LEAST_MEMORY: u64 = 32 << 20;
/// The fewest processes (threads count): the session's own threads and one to spare.
const LEAST_PROCESSES: u64 = 8;
/// At the soft limit of CPU time the kernel sends SIGXCPU, so many seconds later, at the hard one, SIGKILL. In between the
/// engine says that the session ends.
const LAST_CPU_SECONDS: u64 = 5;

/// Why a limit cannot be enforced.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// No control group.
    #[error("--limit {0}: {1}")]
    Cgroup(&'static str, CgroupError),
    /// The system allows less already.
    #[error(
        "--limit {name}={wanted}: this process may have {allowed} at most (ulimit -H); ask for less, or start it with more"
    )]
    Hard {
        /// Which limit.
        name: &'static str,
        /// What was asked for.
        wanted: u64,
        /// What is allowed.
        allowed: u64,
    },
    /// No session would start.
    #[error("--limit {name}={wanted}: a session does not start with less than {least}")]
    TooLow {
        /// Which limit.
        name: &'static str,
        /// What was asked for.
        wanted: u64,
        /// What is needed.
        least: u64,
    },
    /// Landlock or seccomp.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The system refuses something else.
    #[error("the limits cannot be set: {0}")]
    Io(#[from] io::Error),
}

/// A limit of each process.
struct ProcessLimit {
    name: &'static str,
    resource: Resource,
    soft: u64,
    hard: u64,
}

/// The limits that count for the session as a whole: name, the controller that enforces it, value.
fn of_session(limits: &Limits) -> Vec<(&'static str, &'static str, u64)> {
    let memory = limits.memory.map(|bytes| ("memory", "memory", bytes));
    let processes = limits.processes.map(|count| ("processes", "pids", count));
    memory.into_iter().chain(processes).collect()
}

fn of_process(limits: &Limits) -> Vec<ProcessLimit> {
    let all = [
        ("cpu-seconds", Resource::RLIMIT_CPU, limits.cpu_seconds, LAST_CPU_SECONDS),
        ("file-size", Resource::RLIMIT_FSIZE, limits.file_size, 0),
        ("open-files", Resource::RLIMIT_NOFILE, limits.open_files, 0),
        // The control group holds the limit; this makes the usual way to it an error that a program can catch. Unlike
        // RLIMIT_AS it does not count what is only reserved.
        ("memory", Resource::RLIMIT_DATA, limits.memory, 0),
    ];
    let limit = |(name, resource, soft, more): (_, _, Option<u64>, _)| {
        soft.map(|soft| ProcessLimit { name, resource, soft, hard: soft + more })
    };
    all.into_iter().filter_map(limit).collect()
}

/// Whether all of it can be enforced here. Changes nothing that lasts.
pub fn check(limits: &Limits) -> Result<(), LimitError> {
    let least = [
        ("memory", limits.memory, LEAST_MEMORY),
        ("processes", limits.processes, LEAST_PROCESSES),
        ("open-files", limits.open_files, LEAST_OPEN_FILES),
        ("cpu-seconds", limits.cpu_seconds, 1),
    ];
    for (name, wanted, least) in least {
        if let Some(wanted) = wanted.filter(|wanted| *wanted < least) {
            return Err(LimitError::TooLow { name, wanted, least });
        }
    }
    for ProcessLimit { name, resource, soft, hard } in of_process(limits) {
        let (_, allowed) = getrlimit(resource).map_err(io::Error::from)?;
        if hard > allowed {
            return Err(LimitError::Hard { name, wanted: soft, allowed });
        }
    }
    let of_session = of_session(limits);
    if let Some((name, ..)) = of_session.first() {
        let controllers: Vec<_> = of_session.iter().map(|(_, controller, _)| *controller).collect();
        cgroup::check(&controllers).map_err(|error| LimitError::Cgroup(name, error))?;
    }
    for folder in limits.writable.iter().flatten() {
        if !folder.is_dir() {
            return Err(SandboxError::NoFolder(folder.clone()).into());
        }
    }
    if limits.writable.is_some() {
        sandbox::check_files()?;
    }
    if limits.no_network {
        sandbox::check_network()?;
    }
    Ok(())
}

/// Puts them into force for this process and all that it starts. `name`: the control group's; `temporary`: the session's own
/// directory.
pub fn enforce(limits: &Limits, name: &str, temporary: Option<&Path>, link: &Link) -> Result<Enforced, LimitError> {
    if !limits.is_any() {
        return Ok(Enforced::default());
    }
    let group = make_group(limits, name)?;
    // The monitor must not be limited itself, so it is started before any of this is in force.
    let end_pipe = if group.is_some() || limits.writable.is_some() {
        let watched = Watched {
            group: group.as_ref().map(|(group, _)| group),
            memory: limits.memory,
            folder: temporary,
            socket_file: link.socket_file(),
            link,
        };
        Some(monitor::start(&watched)?)
    } else {
        None
    };
    if let Some((group, name)) = &group {
        group.join().map_err(|error| LimitError::Cgroup(name, error))?;
    }
    for ProcessLimit { resource, soft, hard, .. } in of_process(limits) {
        setrlimit(resource, soft, hard).map_err(io::Error::from)?;
    }
    if limits.file_size.is_some() {
        // The write fails with EFBIG, instead of ending the session; what is executed dies by the signal, as usual.
        sys::survive_large_files();
    }
    if let Some(folders) = &limits.writable {
        let own = temporary.map(Path::to_path_buf);
        sandbox::restrict_files(folders.iter().chain(&own))?;
    }
    if limits.no_network {
        sandbox::forbid_network()?;
    }
    Ok(Enforced { told: Some(told(limits)), end_pipe })
}

/// A control group with the limits that need one, and the name of the first of them; none if there is no such limit.
fn make_group(limits: &Limits, name: &str) -> Result<Option<(Group, &'static str)>, LimitError> {
    let of_session = of_session(limits);
    let Some(&(first, ..)) = of_session.first() else { return Ok(None) };
    let controllers: Vec<_> = of_session.iter().map(|(_, controller, _)| *controller).collect();
    let make = || {
        let group = Group::make(name, &controllers)?;
        if let Some(bytes) = limits.memory {
            group.limit_memory(bytes)?;
        }
        if let Some(count) = limits.processes {
            group.limit_processes(count)?;
        }
        Ok(group)
    };
    make().map(|group| Some((group, first))).map_err(|error| LimitError::Cgroup(first, error))
}

/// What `worker_ready.capabilities.limits` says.
fn told(limits: &Limits) -> Value {
    let numbers = [
        ("memory", limits.memory),
        ("cpu_seconds", limits.cpu_seconds),
        ("processes", limits.processes),
        ("file_size", limits.file_size),
        ("open_files", limits.open_files),
    ];
    let mut told: Map<String, Value> =
        numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect();
    if limits.no_network {
        told.insert("no_network".into(), json!(true));
    }
    if limits.writable.as_deref() == Some(&[]) {
        told.insert("read_only".into(), json!(true));
    } else if let Some(folders) = &limits.writable {
        let folders: Vec<_> = folders.iter().map(|folder| folder.to_string_lossy()).collect();
        told.insert("write_only".into(), json!(folders));
    }
    Value::Object(told)
}

/// What is in force.
#[derive(Debug, Default)]
pub struct Enforced {
    /// For `worker_ready`.
    pub told: Option<Value>,
    /// Where the session says that it has said its end.
    pub end_pipe: Option<OwnedFd>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_is_told() {
        let all = Limits::taken("memory=2G,cpu-seconds=60,processes=64,file-size=1G,open-files=256").unwrap();
        assert_eq!(
            told(&all),
            json!({"memory": 2u64 << 30, "cpu_seconds": 60, "processes": 64, "file_size": 1 << 30, "open_files": 256})
        );
    }

    #[test]
    fn what_no_session_could_live_with_is_refused() {
        let refused = |text: &str| check(&Limits::taken(text).unwrap()).unwrap_err().to_string();
        assert!(refused("open-files=3").contains("less than 64"));
        assert!(refused("cpu-seconds=0").contains("less than 1"));
        assert!(refused("open-files=9000000000").contains("at most"));
    }
}
