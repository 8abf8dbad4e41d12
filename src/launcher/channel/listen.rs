//! `--listen` and sockets that were handed over: waits until one supervisor has connected and may come in.
//!
//! The runtime is started only then, so a worker that waits costs next to nothing and a failed start is said to the
//! supervisor itself. Whoever is silent, gone or wrong is turned away, and the worker goes on waiting.

use crate::launcher::channel::bind::bind_unix;
use crate::launcher::channel::handshake::{Client, Progress, Token};
use crate::launcher::channel::listen_error::ListenError;
use crate::launcher::options::ListenAddress;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::sockopt::{AcceptConn, PeerCredentials, SockType, TcpNoDelay};
use nix::sys::socket::{self, AddressFamily, SockaddrLike, SockaddrStorage};
use nix::unistd::geteuid;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Instant;
use worker_protocol::config::SocketFile;

/// So many clients may be in the middle of their first line; one more, and the oldest is turned away.
const MAX_CLIENTS: usize = 32;

/// How the wait came to its end.
pub enum Outcome {
    /// A supervisor is there.
    Supervisor {
        /// The connection.
        socket: OwnedFd,
        /// The listening socket, where it is the worker's own.
        listener: Option<OwnedFd>,
    },
    /// The worker was told to end before one came; the exit status.
    Over(u8),
}

/// What ends the wait, besides a supervisor.
pub struct Watch {
    /// `--parent`, as a pidfd.
    pub parent: Option<OwnedFd>,
    /// `--stdio-control`.
    pub stdin: bool,
}

/// Binds the address, says where to connect, and waits. `folder`: where a relative path starts.
pub fn listen(
    address: &ListenAddress,
    folder: &Path,
    token: Option<Token>,
    watch: &Watch,
) -> Result<Outcome, ListenError> {
    // From here on a signal finds the socket file gone afterwards.
    let signals = Signals::take()?;
    let (listener, said, token, file) = match address {
        ListenAddress::Unix(path) => {
            let full = folder.join(path);
            let listener = bind_unix(&full)?;
            let file = SocketFile::at(full)?;
            // Who may connect is the file's business.
            (OwnedFd::from(listener), line_for_path(path), None, Some(file))
        }
        ListenAddress::Tcp(address) => {
            let refused = |error| ListenError::Bind { address: address.to_string(), error };
            let listener = TcpListener::bind(address).map_err(refused)?;
            let port = listener.local_addr()?.port();
            let mut said = format!("WORKER_PORT={port}\n").into_bytes();
            let token = token.unwrap_or_else(|| {
                let token = Token::minted();
                said.extend(format!("WORKER_TOKEN={}\n", token.text()).bytes());
                token
            });
            (listener.into(), said, Some(token), None)
        }
    };
    let door = Door { listener, token, is_own: true };
    let waited = sys::set_nonblocking(door.listener.as_raw_fd())
        .and_then(|()| say(&said))
        .map_err(ListenError::Output)
        .and_then(|()| door.wait(watch, &signals));
    match waited {
        Ok(Some(socket)) => Ok(Outcome::Supervisor { socket, listener: Some(door.listener) }),
        ended => {
            if let Some(file) = file {
                file.remove();
            }
            signals.over(ended)
        }
    }
}

/// Serves the socket that was handed over: a connected one, or one on which to wait for a supervisor.
pub fn serve_handed(fd: RawFd, token: Option<Token>, watch: &Watch) -> Result<Outcome, ListenError> {
    let not_a_stream = |_| ListenError::NotAStream(fd);
    sys::status_flags(fd).map_err(not_a_stream)?;
    let socket = sys::dup_high(fd)?;
    sys::close(fd);
    let kind = socket::getsockopt(&socket, SockType).map_err(|_| ListenError::NotAStream(fd))?;
    let listens = socket::getsockopt(&socket, AcceptConn).map_err(|_| ListenError::NotAStream(fd))?;
    if kind != socket::SockType::Stream || (!listens && sys::is_connected_socket(socket.as_raw_fd()) != Some(true)) {
        return Err(ListenError::NotAStream(fd));
    }
    // Whoever made a Unix socket chose who may connect by its file's mode. An address is open to all that reach it.
    let token = match reach(&socket)? {
        Reach::Files => None,
        Reach::Machine => token,
        Reach::World => Some(token.ok_or(ListenError::Open)?),
    };
    let signals = Signals::take()?;
    if !listens && token.is_none() {
        return Ok(Outcome::Supervisor { socket, listener: None });
    }
    let waited = match listens {
        true => Door { listener: socket, token, is_own: false }.wait(watch, &signals),
        false => Door::wait_for_one(socket, token, watch, &signals),
    };
    match waited {
        // The listening socket is somebody else's: who connects next waits for the worker that is started next.
        Ok(Some(socket)) => Ok(Outcome::Supervisor { socket, listener: None }),
        ended => signals.over(ended),
    }
}

enum Reach {
    Files,
    Machine,
    World,
}

/// From where a socket can be reached.
fn reach(socket: &OwnedFd) -> Result<Reach, ListenError> {
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

fn line_for_path(path: &Path) -> Vec<u8> {
    let mut line = b"WORKER_SOCKET=".to_vec();
    line.extend_from_slice(path.as_os_str().as_encoded_bytes());
    line.push(b'\n');
    line
}

fn say(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text)?;
    stdout.flush()
}

/// Words for whoever runs the worker.
fn note(text: impl std::fmt::Display) {
    // Nobody is told when nobody listens.
    let _ = writeln!(io::stderr(), "worker: {text}");
}

/// The signals that end a worker, held while it waits.
struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    fn take() -> Result<Signals, ListenError> {
        let ending = SigSet::from_iter([Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT]);
        let before = SigSet::thread_get_mask()?;
        ending.thread_block()?;
        Ok(Signals { fd: SignalFd::with_flags(&ending, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?, before })
    }

    /// The wait has ended without a supervisor.
    fn over(&self, ended: Result<Option<OwnedFd>, ListenError>) -> Result<Outcome, ListenError> {
        let was_interrupted =
            matches!(self.fd.read_signal()?, Some(signal) if signal.ssi_signo == libc::SIGINT.cast_unsigned());
        // A SIGINT ends it as it ends any program; the others are a shutdown.
        ended.map(|_| Outcome::Over(if was_interrupted { 130 } else { 0 }))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Setting the mask to what it was cannot fail.
        let _ = self.before.thread_set_mask();
    }
}

/// A listening socket and who may pass.
struct Door {
    listener: OwnedFd,
    token: Option<Token>,
    /// The worker made it and looks at who connects.
    is_own: bool,
}

/// What came in a turn of the wait.
struct Turn {
    is_over: bool,
    knocks: bool,
}

impl Door {
    /// Waits for the supervisor; None when the worker is to end.
    fn wait(&self, watch: &Watch, signals: &Signals) -> Result<Option<OwnedFd>, ListenError> {
        let mut clients = Vec::new();
        loop {
            let turn = turn(watch, signals, Some(self.listener.as_fd()), &clients)?;
            if turn.is_over {
                return Ok(None);
            }
            if turn.knocks
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
                && let Some(socket) = hear(&mut clients, token)
            {
                clients.iter().for_each(|client| turn_away(client, "this worker has its supervisor: it takes one"));
                return Ok(Some(socket));
            }
        }
    }

    /// The same for a connection that exists already: if it does not pass, nobody will.
    fn wait_for_one(
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
            if turn(watch, signals, None, &clients)?.is_over {
                break;
            }
            if let Some(socket) = hear(&mut clients, &token) {
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
            && reach(&socket).is_ok_and(|reach| matches!(reach, Reach::Files))
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

/// Waits until something happens.
fn turn(
    watch: &Watch,
    signals: &Signals,
    listener: Option<BorrowedFd<'_>>,
    clients: &[Client],
) -> Result<Turn, ListenError> {
    let stdin = io::stdin();
    let mut fds = vec![PollFd::new(signals.fd.as_fd(), PollFlags::POLLIN)];
    fds.extend(listener.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
    let parent_at = fds.len();
    fds.extend(watch.parent.as_ref().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
    let stdin_at = fds.len();
    fds.extend(watch.stdin.then(|| PollFd::new(stdin.as_fd(), PollFlags::POLLIN)));
    let clients_at = fds.len();
    fds.extend(clients.iter().map(|client| PollFd::new(client.socket.as_fd(), PollFlags::POLLIN)));
    let first = clients.iter().map(|client| client.deadline).min();
    let left = first.map(|first| first.saturating_duration_since(Instant::now()));
    // Rounded up, or the last millisecond would be spent in many turns.
    let timeout = left.map_or(PollTimeout::NONE, |left| PollTimeout::from((left.as_millis() + 1) as u16));
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let has = |at: usize| fds[at].revents().is_some_and(|events| !events.is_empty());
    let stdin_ended = stdin_at < clients_at && has(stdin_at) && {
        // What is said there means nothing but that somebody is there.
        let mut input = File::from(stdin.as_fd().try_clone_to_owned()?);
        !matches!(input.read(&mut [0; 4096]), Ok(1..))
    };
    let knocks = listener.is_some() && has(1);
    Ok(Turn { is_over: has(0) || (parent_at < stdin_at && has(parent_at)) || stdin_ended, knocks })
}

/// Reads on in every first line; gives the connection of the one that knows the token.
fn hear(clients: &mut Vec<Client>, token: &Token) -> Option<OwnedFd> {
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
