//! Takes connections until one of them is the supervisor's.
//!
//! Whoever is silent, gone or wrong is turned away, and the wait goes on.

use crate::launcher::channel::handshake::{Client, Progress, Token};
use crate::launcher::channel::listen_error::ListenError;
use crate::launcher::channel::signals::Signals;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{PeerCredentials, TcpNoDelay};
use nix::sys::socket::{self, AddressFamily, SockaddrLike, SockaddrStorage};
use nix::unistd::geteuid;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// So many clients may be in the middle of their first line; one more, and the oldest is turned away.
const MAX_CLIENTS: usize = 32;

/// What ends the wait, besides a supervisor.
pub struct Watch {
    /// `--parent`, as a pidfd.
    pub parent: Option<OwnedFd>,
    /// `--stdio-control`.
    pub stdin: bool,
}

/// From where a socket can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is a Unix socket: the mode of its file decides who may connect.
    Files,
    /// It is bound to a loopback address.
    Machine,
    /// Other machines can connect.
    World,
}

/// From where a socket can be reached.
pub fn reach(socket: &OwnedFd) -> Result<Reach, ListenError> {
    let address: SockaddrStorage = socket::getsockname(socket.as_raw_fd())?;
    Ok(match address.family() {
        Some(AddressFamily::Unix) => Reach::Files,
        _ => {
            let v4 = address.as_sockaddr_in().map(|address| address.ip().is_loopback());
            let v6 = address.as_sockaddr_in6().map(|address| address.ip().to_canonical().is_loopback());
            if v4.or(v6).unwrap_or(false) { Reach::Machine } else { Reach::World }
        }
    })
}

/// A listening socket, and which of those who connect is taken for the supervisor.
pub struct Acceptor {
    /// The socket.
    pub listener: OwnedFd,
    /// What a client must say first; none where whoever can connect may.
    pub token: Option<Token>,
    /// The worker has made the socket itself, and looks at which user connects.
    pub is_own: bool,
}

/// Why the wait for something came back.
struct Woken {
    /// The worker is to end.
    must_end: bool,
    /// Somebody has connected to the listening socket.
    has_connection: bool,
}

impl Acceptor {
    /// Waits for the supervisor; None when the worker is to end.
    pub fn wait(&self, watch: &Watch, signals: &Signals) -> Result<Option<OwnedFd>, ListenError> {
        let mut clients = Vec::new();
        loop {
            let woken = wait_for_any(watch, signals, Some(self.listener.as_fd()), &clients)?;
            if woken.must_end {
                return Ok(None);
            }
            if woken.has_connection
                && let Some(client) = self.accept()?
            {
                if self.token.is_none() {
                    return Ok(Some(client.socket));
                }
                if clients.len() == MAX_CLIENTS {
                    turn_away(&clients.remove(0), "too many connections say nothing");
                }
                clients.push(client);
            }
            if let Some(token) = &self.token
                && let Some(socket) = read_first_lines(&mut clients, token)
            {
                clients.iter().for_each(|client| turn_away(client, "this worker has its supervisor: it takes one"));
                return Ok(Some(socket));
            }
        }
    }

    /// The same for a connection that was handed over: the worker ends if its first line is not the right one.
    pub fn wait_for_one(
        socket: OwnedFd,
        token: Option<Token>,
        watch: &Watch,
        signals: &Signals,
    ) -> Result<Option<OwnedFd>, ListenError> {
        let Some(token) = token else { return Ok(Some(socket)) };
        // Fails for a socket of another kind.
        let _ = socket::setsockopt(&socket, TcpNoDelay, &true);
        let mut clients = vec![Client::new(socket, "the connection that was handed over".into())];
        while !clients.is_empty() {
            if wait_for_any(watch, signals, None, &clients)?.must_end {
                break;
            }
            if let Some(socket) = read_first_lines(&mut clients, &token) {
                return Ok(Some(socket));
            }
        }
        Ok(None)
    }

    /// Takes a connection, if it may be one.
    fn accept(&self) -> Result<Option<Client>, ListenError> {
        let socket = match sys::accept_nowait(self.listener.as_raw_fd()) {
            Ok(socket) => socket,
            // It has gone again, or another process has taken it.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EAGAIN | libc::ECONNABORTED | libc::EINTR | libc::EPROTO)
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        // Fails for a Unix socket, which has nothing of the kind.
        let _ = socket::setsockopt(&socket, TcpNoDelay, &true);
        if let Ok(peer) = socket::getsockopt(&socket, PeerCredentials)
            && reach(&socket).is_ok_and(|reach| reach == Reach::Files)
        {
            let client = Client::new(socket, format!("process {} of user {}", peer.pid(), peer.uid()));
            if self.is_own && peer.uid() != 0 && peer.uid() != geteuid().as_raw() {
                turn_away(&client, "only the user who runs this worker may connect");
                return Ok(None);
            }
            if hung_up(&client.socket)? {
                note(format_args!("{} was gone at once", client.name));
                return Ok(None);
            }
            return Ok(Some(client));
        }
        let name = match socket::getpeername::<SockaddrStorage>(socket.as_raw_fd()) {
            Ok(address) => address.to_string(),
            Err(_) => return Ok(None),
        };
        Ok(Some(Client::new(socket, name)))
    }
}

/// Waits until somebody connects, a client says something or has had its time, or the worker is to end.
fn wait_for_any(
    watch: &Watch,
    signals: &Signals,
    listener: Option<BorrowedFd<'_>>,
    clients: &[Client],
) -> Result<Woken, ListenError> {
    let stdin = io::stdin();
    let mut fds = vec![PollFd::new(signals.fd(), PollFlags::POLLIN)];
    fds.extend(listener.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
    let parent_at = fds.len();
    fds.extend(watch.parent.as_ref().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
    let stdin_at = fds.len();
    fds.extend(watch.stdin.then(|| PollFd::new(stdin.as_fd(), PollFlags::POLLIN)));
    let clients_at = fds.len();
    fds.extend(clients.iter().map(|client| PollFd::new(client.socket.as_fd(), PollFlags::POLLIN)));
    let first = clients.iter().map(|client| client.deadline).min();
    let left = first.map(|first| first.saturating_duration_since(Instant::now()));
    // Rounded up, or it would come back many times within the last millisecond.
    let timeout = left.map_or(PollTimeout::NONE, |left| PollTimeout::from((left.as_millis() + 1) as u16));
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let has = |at: usize| fds[at].revents().is_some_and(|events| !events.is_empty());
    let stdin_ended = stdin_at < clients_at && has(stdin_at) && {
        // Only its end matters: what can be read is thrown away.
        let mut input = File::from(stdin.as_fd().try_clone_to_owned()?);
        !matches!(input.read(&mut [0; 4096]), Ok(1..))
    };
    let has_connection = listener.is_some() && has(1);
    let parent_ended = parent_at < stdin_at && has(parent_at);
    Ok(Woken { must_end: has(0) || parent_ended || stdin_ended, has_connection })
}

/// Reads on in every client's first line; gives the connection of the one that knows the token.
fn read_first_lines(clients: &mut Vec<Client>, token: &Token) -> Option<OwnedFd> {
    let mut at = 0;
    while at < clients.len() {
        match clients[at].read(token) {
            Progress::Known => return Some(clients.remove(at).socket),
            Progress::Waits if clients[at].deadline > Instant::now() => at += 1,
            Progress::Waits => turn_away(&clients.remove(at), "it said no hello in time"),
            Progress::Refused(why) => turn_away(&clients.remove(at), why),
            Progress::Gone => note(format_args!("{} was gone before it had said hello", clients.remove(at).name)),
        }
    }
    None
}

fn turn_away(client: &Client, why: &str) {
    client.refuse(why);
    note(format_args!("{} was refused: {why}", client.name));
}

/// Whether the other end of a Unix socket is closed already: one that only looked whether somebody listens.
fn hung_up(socket: &OwnedFd) -> Result<bool, ListenError> {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO)?;
    Ok(fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)))
}

/// Tells whoever runs the worker, on standard error.
fn note(text: impl std::fmt::Display) {
    // A closed stderr is no reason to stop waiting.
    let _ = writeln!(io::stderr(), "worker: {text}");
}
