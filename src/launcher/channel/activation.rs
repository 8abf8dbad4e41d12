//! Variables by which whoever starts the worker says how it is reached: `WORKER_TOKEN`, and the sockets of systemd's
//! activation (`LISTEN_FDS`). They are taken out of the environment at the very start, so that user code cannot read them.

use crate::launcher::variables;
use std::ffi::OsString;
use std::os::fd::RawFd;

/// The first descriptor that is handed over.
const FIRST: RawFd = 3;

/// What was found.
#[derive(Debug, Default)]
pub struct Handed {
    /// `WORKER_TOKEN`.
    pub token: Option<OsString>,
    /// How many descriptors were handed to this process, from 3 on.
    pub sockets: RawFd,
}

impl Handed {
    /// Takes the variables out of the environment.
    pub fn take() -> Handed {
        let [token, pid, count, _, _] =
            ["WORKER_TOKEN", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"].map(|name| {
                let value = std::env::var_os(name);
                variables::remove(name);
                value
            });
        Handed { token, sockets: sockets(pid, count, std::process::id()) }
    }

    /// The socket to serve. The others that were handed over are closed: user code must not find them.
    pub fn socket(&self) -> RawFd {
        (FIRST + 1..FIRST + self.sockets).for_each(sys::close);
        FIRST
    }
}

/// How many of the descriptors are for this process.
fn sockets(pid: Option<OsString>, count: Option<OsString>, me: u32) -> RawFd {
    let number = |text: Option<OsString>| text.and_then(|text| text.to_str()?.parse::<u32>().ok());
    match (number(pid), number(count)) {
        (Some(pid), Some(count)) if pid == me => count.min(1024).cast_signed(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_this_process_is_for_it() {
        let count = |pid: &str, fds: &str| sockets(Some(pid.into()), Some(fds.into()), 7);
        assert_eq!(count("7", "1"), 1);
        assert_eq!(count("7", "3"), 3);
        assert_eq!(count("8", "1"), 0);
        assert_eq!(count("7", "0"), 0);
        assert_eq!(count("7", "-1"), 0);
        assert_eq!(count("", "1"), 0);
        assert_eq!(sockets(None, Some("1".into()), 7), 0);
    }
}
