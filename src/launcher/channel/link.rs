//! The descriptors on which the supervisor is reached: they are checked and moved out of the session's way, and a failed
//! start is said on them.

use crate::launcher::options::{Accepted, ListenAddress, Options, Transport};
use crate::launcher::timeouts;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use worker_protocol::config::{Channel, Dialect, SocketFile};
use worker_protocol::{self as protocol, EndReason, Event, SessionEnd};

/// Why the supervisor cannot be reached. Without a channel this goes to standard error.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A number from the command line that is no open descriptor.
    #[error("descriptor {0} is not open: the process that starts the worker must let it be inherited")]
    Closed(RawFd),
    /// 0, 1 and 2 belong to the session.
    #[error("descriptor {0} belongs to the session; to serve over standard input and output: --ipc stdio")]
    Standard(RawFd),
    /// Requests cannot be read.
    #[error("requests cannot be read from descriptor {0}: it was opened for writing only")]
    NotReadable(RawFd),
    /// Events cannot be written.
    #[error("events cannot be written to descriptor {0}: it was opened for reading only")]
    NotWritable(RawFd),
    /// One descriptor that is no socket cannot serve both directions.
    #[error("descriptor {0} is not a socket: give one socket (--ipc-fd N) or two pipes (--ipc-fd R,W)")]
    NotASocket(RawFd),
    /// A socket without a peer.
    #[error("the socket on descriptor {0} is not connected: give one end of a socketpair, or one that was accepted")]
    NotConnected(RawFd),
    /// A file, a folder or the like.
    #[error("descriptor {0} is neither a socket nor a pipe")]
    NotAChannel(RawFd),
    /// `--parent` names nobody.
    #[error("there is no process {0} (--parent)")]
    NoParent(i32),
    /// The system refuses.
    #[error("cannot set up the channel: {0}")]
    Io(#[from] io::Error),
}

/// The way to the supervisor.
pub struct Link {
    requests: OwnedFd,
    /// None when the requests' descriptor is a socket that serves both.
    events: Option<OwnedFd>,
    diagnostics: OwnedFd,
    parent: Option<OwnedFd>,
    control_stdin: Option<OwnedFd>,
    /// The listening socket of `--listen`, and its file.
    listener: Option<OwnedFd>,
    socket_file: Option<SocketFile>,
    /// The numbers as they were given, open until [`Link::let_go`] closes them.
    given: Vec<RawFd>,
    dialect: Dialect,
}

impl Link {
    /// Checks what the command line names and takes copies, at 10 and above and closed upon exec.
    /// `folder`: where a relative path of the command line starts.
    pub fn open(options: &Options, folder: &Path) -> Result<Link, LinkError> {
        let (read, write) = match options.transport {
            Transport::Accepted(Accepted { socket, .. }) => (socket, socket),
            Transport::Fds(read, write) => {
                if let Some(low) = [read, write].into_iter().find(|fd| *fd < 3) {
                    return Err(LinkError::Standard(low));
                }
                (read, write)
            }
            Transport::Stdio => (0, 1),
            // The first two have become `Accepted` by now, and a console has no link.
            Transport::Listen(_) | Transport::Handed | Transport::Console => {
                return Err(LinkError::Io(io::ErrorKind::Unsupported.into()));
            }
        };
        check(read, write, options.transport == Transport::Stdio)?;
        let (listener, address) = match &options.transport {
            Transport::Accepted(Accepted { listener, address, .. }) => (*listener, address.as_ref()),
            _ => (None, None),
        };
        let socket_file = match address {
            // Somebody has removed it already: then there is nothing to remove at the end.
            Some(ListenAddress::Unix(path)) => SocketFile::at(folder.join(path)).ok(),
            _ => None,
        };
        let parent = parent(options)?;
        let mut given = if read == write { vec![read] } else { vec![read, write] };
        given.extend(listener);
        Ok(Link {
            requests: sys::dup_high(read)?,
            events: if write == read { None } else { Some(sys::dup_high(write)?) },
            diagnostics: sys::dup_high(2)?,
            parent,
            control_stdin: if options.stdio_control { Some(sys::dup_high(0)?) } else { None },
            listener: listener.map(sys::dup_high).transpose()?,
            socket_file,
            given,
            dialect: options.dialect,
        })
    }

    /// Closes the descriptors under the numbers that were given; 0 and 1 become /dev/null until the engine has its own.
    pub fn let_go(&mut self) -> io::Result<()> {
        for fd in self.given.drain(..) {
            if fd < 3 {
                let null = File::options().read(fd == 0).write(fd != 0).open("/dev/null")?;
                sys::dup_onto(null.as_raw_fd(), fd)?;
            } else {
                sys::close(fd);
            }
        }
        Ok(())
    }

    /// The numbers for the engine.
    pub fn channel(&self) -> Channel {
        Channel { request_fd: self.requests.as_raw_fd(), event_fd: self.events().as_raw_fd() }
    }

    /// Where the worker's own diagnostics go.
    pub fn diagnostics(&self) -> RawFd {
        self.diagnostics.as_raw_fd()
    }

    /// `--parent`, as a pidfd.
    pub fn parent(&self) -> Option<RawFd> {
        self.parent.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// `--stdio-control`: the first standard input.
    pub fn control_stdin(&self) -> Option<RawFd> {
        self.control_stdin.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// The listening socket of `--listen`.
    pub fn listener(&self) -> Option<RawFd> {
        self.listener.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// The socket file of `--listen`.
    pub fn socket_file(&self) -> Option<&SocketFile> {
        self.socket_file.as_ref()
    }

    /// The descriptor that events are written to.
    pub fn events(&self) -> &OwnedFd {
        self.events.as_ref().unwrap_or(&self.requests)
    }

    /// Keeps everything open across exec: from here on it is the executed interpreter's.
    pub fn hand_on(&self) -> io::Result<()> {
        let Channel { request_fd, event_fd } = self.channel();
        let own = [Some(request_fd), Some(event_fd), Some(self.diagnostics())];
        let all = own.into_iter().chain([self.parent(), self.control_stdin(), self.listener()]);
        all.flatten().try_for_each(|fd| sys::set_cloexec(fd, false))
    }

    /// Keeps what was given open under its numbers for this very program, executed anew.
    pub fn keep_given(&self) -> io::Result<()> {
        self.given.iter().try_for_each(|fd| sys::set_cloexec(*fd, false))
    }

    /// Sends `session_end` for a session that has died without it.
    pub fn say_end(&self, end: SessionEnd) {
        let message = end.message.clone().unwrap_or_default();
        let end = match self.dialect {
            Dialect::Worker => end,
            Dialect::McpRepl => SessionEnd { signal: None, exit_code: None, ..end },
        };
        // The session may have died in the middle of a line, which this newline ends. An empty line means nothing.
        let _ =
            write_with_timeout(self.events(), &[b"\n", protocol::line(&Event::SessionEnd(end)).as_slice()].concat());
        let _ = write_with_timeout(&self.diagnostics, format!("worker: {message}\n").as_bytes());
    }

    /// Says that the session did not start, to the supervisor and on standard error.
    pub fn say_failure(&self, message: &str) {
        let line = failure_line(self.dialect, message);
        let _ = write_with_timeout(self.events(), &line);
        let _ = write_with_timeout(&self.diagnostics, format!("worker: {message}\n").as_bytes());
    }
}

/// The process of `--parent`.
pub fn parent(options: &Options) -> Result<Option<OwnedFd>, LinkError> {
    let Some(pid) = options.parent else { return Ok(None) };
    sys::pidfd(pid.cast_unsigned()).map(Some).map_err(|error| match error.raw_os_error() {
        Some(libc::ESRCH | libc::EINVAL) => LinkError::NoParent(pid),
        _ => LinkError::Io(error),
    })
}

/// `session_end` of a session that did not start; the second dialect has no such reason, and no exit code.
fn failure_line(dialect: Dialect, message: &str) -> Vec<u8> {
    let end = match dialect {
        Dialect::Worker => {
            SessionEnd { exit_code: Some(1), ..SessionEnd::new(EndReason::StartupFailed).with_message(message) }
        }
        Dialect::McpRepl => SessionEnd::new(EndReason::Crash).with_message(message),
    };
    protocol::line(&Event::SessionEnd(end))
}

/// Writes all of it, or gives up on a reader that is gone or stands still.
fn write_with_timeout(fd: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    let mut file = File::from(fd.try_clone()?);
    let timeout = PollTimeout::try_from(timeouts::LAST_MESSAGE).unwrap_or(PollTimeout::MAX);
    while !bytes.is_empty() {
        let mut writable = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
        if poll(&mut writable, timeout)? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // `poll` tells that a pipe has room for a page; a longer write to a blocking one would wait for the rest.
        match file.write(&bytes[..bytes.len().min(512)]) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn check(read: RawFd, write: RawFd, is_stdio: bool) -> Result<(), LinkError> {
    for (fd, refused, error) in
        [(read, libc::O_WRONLY, LinkError::NotReadable(read)), (write, libc::O_RDONLY, LinkError::NotWritable(write))]
    {
        let flags = sys::status_flags(fd).map_err(|_| LinkError::Closed(fd))?;
        match sys::is_connected_socket(fd) {
            Some(true) => continue,
            Some(false) => return Err(LinkError::NotConnected(fd)),
            None if flags & libc::O_ACCMODE == refused || flags & libc::O_PATH != 0 => return Err(error),
            None if read == write => return Err(LinkError::NotASocket(fd)),
            None => {}
        }
        // Standard input and output may be redirected to files: cells from one, events to another.
        let kind = sys::file_type(fd)?;
        if kind == libc::S_IFDIR || !(is_stdio || matches!(kind, libc::S_IFIFO | libc::S_IFCHR)) {
            return Err(LinkError::NotAChannel(fd));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;

    fn refused(read: RawFd, write: RawFd) -> String {
        check(read, write, false).map_err(|error| error.to_string()).unwrap_err()
    }

    fn file_for_reading() -> File {
        File::open("/dev/null").unwrap()
    }

    #[test]
    fn descriptors_that_cannot_serve_are_told_apart() {
        let (reader, writer) = sys::pipe().unwrap();
        let (r, w) = (reader.as_raw_fd(), writer.as_raw_fd());
        check(r, w, false).unwrap();
        assert!(refused(w, r).contains("requests cannot be read"));
        assert!(refused(r, r).contains("not a socket"));
        assert!(refused(r, file_for_reading().as_raw_fd()).contains("events cannot be written"));
        assert!(refused(9999, w).contains("9999 is not open"));
        assert!(refused(r, 9999).contains("9999 is not open"));

        let (left, _right) = UnixStream::pair().unwrap();
        check(left.as_raw_fd(), left.as_raw_fd(), false).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(refused(listener.as_raw_fd(), listener.as_raw_fd()).contains("not connected"));

        let file = tempfile::tempfile().unwrap();
        assert!(refused(file.as_raw_fd(), file.as_raw_fd()).contains("not a socket"));
        assert!(refused(file.as_raw_fd(), w).contains("neither a socket nor a pipe"));
        check(file.as_raw_fd(), w, true).unwrap();
        let folder = File::open("/").unwrap();
        assert!(check(folder.as_raw_fd(), w, true).is_err());
    }

    #[test]
    fn a_failed_start_is_said_in_either_dialect() {
        let line = |dialect| String::from_utf8(failure_line(dialect, "no R")).unwrap();
        assert_eq!(
            line(Dialect::Worker),
            "{\"type\":\"session_end\",\"reason\":\"startup_failed\",\"message\":\"no R\",\"exit_code\":1}\n"
        );
        assert_eq!(line(Dialect::McpRepl), "{\"type\":\"session_end\",\"reason\":\"crash\",\"message\":\"no R\"}\n");
    }

    #[test]
    fn a_long_message_arrives_whole() {
        let (reader, writer) = sys::pipe().unwrap();
        let text = "x".repeat(10_000);
        write_with_timeout(&writer, text.as_bytes()).unwrap();
        drop(writer);
        let mut got = String::new();
        File::from(reader).read_to_string(&mut got).unwrap();
        assert_eq!(got, text);
    }
}
