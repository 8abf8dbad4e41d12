//! Limits that a session runs under: whether this machine can enforce what was asked for, and its enforcement.
//!
//! The rule: a limit holds, to the word and for every process of the session, from before the runtime starts; or the
//! worker does not start at all. Nothing is silently weaker than it was asked for.

use crate::launcher::channel::link::Link;
use crate::launcher::limits::cgroup::{self, CgroupError, Group};
use crate::launcher::limits::monitor::{self, Kept};
use crate::launcher::limits::sandbox::{self, SandboxError};
use crate::launcher::options::limits::Limits;
use crate::launcher::sys;
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
/// After the seconds of `cpu-seconds` a process has this much to say its last words before it is killed.
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

impl Limits {
    /// The limits that count for the session as a whole.
    fn of_group(&self) -> Vec<(&'static str, &'static str, u64)> {
        let memory = self.memory.map(|bytes| ("memory", "memory", bytes));
        let processes = self.processes.map(|count| ("processes", "pids", count));
        memory.into_iter().chain(processes).collect()
    }

    /// The limits of each process: name, resource, soft and hard.
    fn of_process(&self) -> Vec<(&'static str, Resource, u64, u64)> {
        let all = [
            ("cpu-seconds", Resource::RLIMIT_CPU, self.cpu_seconds, LAST_CPU_SECONDS),
            ("file-size", Resource::RLIMIT_FSIZE, self.file_size, 0),
            ("open-files", Resource::RLIMIT_NOFILE, self.open_files, 0),
            // The group holds the limit; this makes the usual way to it an error that a program can catch. Unlike
            // RLIMIT_AS it does not count what is only reserved.
            ("memory", Resource::RLIMIT_DATA, self.memory, 0),
        ];
        all.into_iter().filter_map(|(name, kind, soft, more)| Some((name, kind, soft?, soft? + more))).collect()
    }

    /// Whether all of it can be enforced here. Changes nothing that lasts.
    pub fn check(&self) -> Result<(), LimitError> {
        let least = [
            ("memory", self.memory, LEAST_MEMORY),
            ("processes", self.processes, LEAST_PROCESSES),
            ("open-files", self.open_files, LEAST_OPEN_FILES),
            ("cpu-seconds", self.cpu_seconds, 1),
        ];
        for (name, wanted, least) in least {
            if let Some(wanted) = wanted.filter(|wanted| *wanted < least) {
                return Err(LimitError::TooLow { name, wanted, least });
            }
        }
        for (name, kind, wanted, hard) in self.of_process() {
            let (_, allowed) = getrlimit(kind).map_err(io::Error::from)?;
            if hard > allowed {
                return Err(LimitError::Hard { name, wanted, allowed });
            }
        }
        let group = self.of_group();
        if let Some((name, ..)) = group.first() {
            let controllers: Vec<_> = group.iter().map(|(_, controller, _)| *controller).collect();
            cgroup::check(&controllers).map_err(|error| LimitError::Cgroup(name, error))?;
        }
        for folder in self.writable.iter().flatten() {
            if !folder.is_dir() {
                return Err(SandboxError::NoFolder(folder.clone()).into());
            }
        }
        if self.writable.is_some() {
            sandbox::check_files()?;
        }
        if self.no_network {
            sandbox::check_network()?;
        }
        Ok(())
    }

    /// Puts them into force for this process and all that it starts. `temporary`: the session's own directory.
    pub fn enforce(&self, name: &str, temporary: Option<&Path>, link: &Link) -> Result<Enforced, LimitError> {
        if !self.is_any() {
            return Ok(Enforced::default());
        }
        let group = self.of_group();
        let made = match group.first() {
            Some((first, ..)) => {
                let in_group = |error| LimitError::Cgroup(first, error);
                let controllers: Vec<_> = group.iter().map(|(_, controller, _)| *controller).collect();
                let made = Group::make(name, &controllers).map_err(in_group)?;
                if let Some(bytes) = self.memory {
                    made.limit_memory(bytes).map_err(in_group)?;
                }
                if let Some(count) = self.processes {
                    made.limit_processes(count).map_err(in_group)?;
                }
                Some(made)
            }
            None => None,
        };
        // Whoever cleans up afterwards must be free of all this.
        let end_pipe = if made.is_some() || self.writable.is_some() {
            let kept = Kept {
                group: made.as_ref(),
                memory: self.memory,
                folder: temporary,
                socket_file: link.socket_file(),
                link,
            };
            Some(monitor::start(&kept)?)
        } else {
            None
        };
        if let Some(made) = &made {
            made.join().map_err(|error| LimitError::Cgroup(group[0].0, error))?;
        }
        for (_, kind, soft, hard) in self.of_process() {
            setrlimit(kind, soft, hard).map_err(io::Error::from)?;
        }
        if self.file_size.is_some() {
            // The write fails with EFBIG, instead of ending the session; what is executed dies by the signal, as usual.
            sys::survive_large_files();
        }
        if let Some(folders) = &self.writable {
            let own = temporary.map(Path::to_path_buf);
            sandbox::restrict_files(folders.iter().chain(&own))?;
        }
        if self.no_network {
            sandbox::forbid_network()?;
        }
        Ok(Enforced { told: Some(self.told()), end_pipe })
    }

    /// What `worker_ready.capabilities.limits` says.
    fn told(&self) -> Value {
        let numbers = [
            ("memory", self.memory),
            ("cpu_seconds", self.cpu_seconds),
            ("processes", self.processes),
            ("file_size", self.file_size),
            ("open_files", self.open_files),
        ];
        let mut told: Map<String, Value> =
            numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect();
        if self.no_network {
            told.insert("no_network".into(), json!(true));
        }
        if self.writable.as_deref() == Some(&[]) {
            told.insert("read_only".into(), json!(true));
        } else if let Some(folders) = &self.writable {
            let folders: Vec<_> = folders.iter().map(|folder| folder.to_string_lossy()).collect();
            told.insert("write_only".into(), json!(folders));
        }
        Value::Object(told)
    }
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

    fn taken(text: &str) -> Result<Limits, String> {
        let mut limits = Limits::default();
        limits.take(text).map(|()| limits)
    }

    #[test]
    fn what_is_in_force_is_told() {
        let all = taken("memory=2G,cpu-seconds=60,processes=64,file-size=1G,open-files=256").unwrap();
        assert_eq!(
            all.told(),
            json!({"memory": 2u64 << 30, "cpu_seconds": 60, "processes": 64, "file_size": 1 << 30, "open_files": 256})
        );
    }

    #[test]
    fn what_no_session_could_live_with_is_refused() {
        let refused = |text: &str| taken(text).unwrap().check().unwrap_err().to_string();
        assert!(refused("open-files=3").contains("less than 64"));
        assert!(refused("cpu-seconds=0").contains("less than 1"));
        assert!(refused("open-files=9000000000").contains("at most"));
    }
}
