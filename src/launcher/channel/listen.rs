//! `--listen` and sockets that were handed over: waits until one supervisor has connected and may come in.
//!
//! The runtime is started only then, so a worker that waits costs next to nothing and a failed start is said to the
//! supervisor itself. Whoever is silent, gone or wrong is turned away, and the worker goes on waiting.

use crate::launcher::channel::acceptor::{Acceptor, Reach, Watch, reach};
use crate::launcher::channel::bind::bind_unix;
use crate::launcher::channel::handshake::Token;
use crate::launcher::channel::listen_error::ListenError;
use crate::launcher::channel::signals::Signals;
use crate::launcher::options::ListenAddress;
use nix::sys::socket;
use nix::sys::socket::sockopt::{AcceptConn, SockType};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use worker_protocol::config::SocketFile;

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

/// Binds the address, says where to connect, and waits. `folder`: where a relative path starts.
pub fn listen(
    address: &ListenAddress,
    folder: &Path,
    token: Option<Token>,
    watch: &Watch,
) -> Result<Outcome, ListenError> {
    // Signals are blocked before there is a file, so that none can end the worker and leave it behind.
    let signals = Signals::take()?;
    let (listener, said, token, file) = match address {
        ListenAddress::Unix(path) => {
            let full = folder.join(path);
            let listener = bind_unix(&full)?;
            let file = SocketFile::at(full)?;
            // The mode of the socket's file decides who may connect, so no token is asked for.
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
    let acceptor = Acceptor { listener, token, is_own: true };
    let waited = sys::set_nonblocking(acceptor.listener.as_raw_fd())
        .and_then(|()| say(&said))
        .map_err(ListenError::Output)
        .and_then(|()| acceptor.wait(watch, &signals));
    match waited {
        Ok(Some(socket)) => Ok(Outcome::Supervisor { socket, listener: Some(acceptor.listener) }),
        ended => {
            if let Some(file) = file {
                file.remove();
            }
            ended?;
            Ok(Outcome::Over(signals.exit_status()?))
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
        true => Acceptor { listener: socket, token, is_own: false }.wait(watch, &signals),
        false => Acceptor::wait_for_one(socket, token, watch, &signals),
    };
    match waited {
        // The listening socket is somebody else's: who connects next waits for the worker that is started next.
        Ok(Some(socket)) => Ok(Outcome::Supervisor { socket, listener: None }),
        Ok(None) => Ok(Outcome::Over(signals.exit_status()?)),
        Err(error) => Err(error),
    }
}

/// `WORKER_SOCKET=…`, with the path as it was given.
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
