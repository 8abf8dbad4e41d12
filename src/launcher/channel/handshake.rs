//! A client that has connected and is not yet the supervisor: its first line, with the token, decides.

use crate::launcher::timeouts;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use serde::Deserialize;
use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;
use subtle::ConstantTimeEq;
use worker_protocol::{self as protocol, Code, Refusal, Response};

/// The longest first line.
const MAX_FIRST_LINE: usize = 16 << 10;

/// What a client must know to be let in.
pub struct Token(String);

impl Token {
    /// The token that somebody chose; the error says what is wrong with it.
    pub fn chosen(text: OsString) -> Result<Token, &'static str> {
        match text.into_string() {
            Ok(text) if text.is_empty() => Err("WORKER_TOKEN is empty: give a token, or unset it to have one made"),
            Ok(text) => Ok(Token(text)),
            Err(_) => Err("WORKER_TOKEN is not UTF-8, so no client could say it: give another"),
        }
    }

    /// A new one, of more than 240 random bits.
    pub fn minted() -> Token {
        Token(format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()))
    }

    /// The text, to be printed for the client.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Compares in a time that does not tell how much was right.
    fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

#[derive(Deserialize)]
struct Hello {
    r#type: String,
    token: String,
}

/// How far a client has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Its line is not whole yet.
    Waits,
    /// It knows the token.
    Known,
    /// It is refused for this reason.
    Refused(&'static str),
    /// It has closed the connection.
    Gone,
}

/// A connection whose first line is awaited.
pub struct Client {
    /// The connection.
    pub socket: OwnedFd,
    /// Who it is, for the log.
    pub name: String,
    /// When its time is over.
    pub deadline: Instant,
    line: Vec<u8>,
}

impl Client {
    /// One that has just connected.
    pub fn new(socket: OwnedFd, name: String) -> Client {
        Client { socket, name, deadline: Instant::now() + timeouts::FIRST_LINE, line: Vec::new() }
    }

    /// Takes what has come, up to the end of the first line: what follows it is for the session.
    pub fn read(&mut self, token: &Token) -> Progress {
        let fd = self.socket.as_raw_fd();
        let mut buffer = [0; 4096];
        loop {
            let seen = match recv(fd, &mut buffer, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return Progress::Gone,
                Ok(seen) => seen,
                Err(Errno::EAGAIN) => return Progress::Waits,
                Err(Errno::EINTR) => continue,
                Err(_) => return Progress::Gone,
            };
            let end = memchr::memchr(b'\n', &buffer[..seen]);
            let taken = end.map_or(seen, |end| end + 1);
            let Ok(taken) = recv(fd, &mut buffer[..taken], MsgFlags::MSG_DONTWAIT) else { return Progress::Gone };
            self.line.extend_from_slice(&buffer[..taken]);
            if self.line.len() > MAX_FIRST_LINE {
                return Progress::Refused("the first line is too long for a hello");
            }
            // An empty line is no line.
            if end.is_some() && self.line.iter().all(u8::is_ascii_whitespace) {
                self.line.clear();
            } else if end.is_some() {
                return judge(&self.line, token);
            }
        }
    }

    /// Tells it why it is turned away, if it takes a line.
    pub fn refuse(&self, why: &str) {
        let line = protocol::line(&Response::refusal(&Refusal::new(Code::Invalid, why)));
        let _ = send(self.socket.as_raw_fd(), &line, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
    }
}

fn judge(line: &[u8], token: &Token) -> Progress {
    match serde_json::from_slice::<Hello>(line) {
        Ok(hello) if hello.r#type == "hello" => match token.is(&hello.token) {
            true => Progress::Known,
            false => Progress::Refused("wrong token"),
        },
        _ => Progress::Refused("the first line must be {\"type\": \"hello\", \"token\": \"…\"}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn token() -> Token {
        Token::chosen("secret".into()).unwrap()
    }

    #[test]
    fn a_hello_is_judged() {
        let said = |line: &str| judge(line.as_bytes(), &token());
        assert_eq!(said(r#"{"type": "hello", "token": "secret", "more": 1}"#), Progress::Known);
        for wrong in ["", "Secret", "secre", "secrets"] {
            let line = format!(r#"{{"type": "hello", "token": "{wrong}"}}"#);
            assert_eq!(said(&line), Progress::Refused("wrong token"));
        }
        for other in [
            r#"{"type": "input_batch", "input": "1", "token": "secret"}"#,
            "secret",
            "{}",
            r#"{"type": "hello", "token": 1}"#,
        ] {
            assert!(matches!(said(other), Progress::Refused(why) if why.contains("hello")), "{other}");
        }
    }

    #[test]
    fn a_hello_in_pieces_takes_nothing_of_what_follows() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut client = Client::new(far.into(), "it".into());
        let stream = b"\n{\"type\": \"hello\", \"token\": \"secret\"}\nnext\n";
        let (last, first) = (stream.len() - 6, stream);
        for byte in &first[..last] {
            assert_eq!(client.read(&token()), Progress::Waits);
            near.write_all(&[*byte]).unwrap();
        }
        near.write_all(&first[last..]).unwrap();
        assert_eq!(client.read(&token()), Progress::Known);
        drop(near);
        let mut rest = String::new();
        UnixStream::from(client.socket).read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "next\n");
    }

    #[test]
    fn one_that_goes_or_never_ends_its_line() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut client = Client::new(far.into(), "it".into());
        near.write_all(b"{\"type\":").unwrap();
        assert_eq!(client.read(&token()), Progress::Waits);
        drop(near);
        assert_eq!(client.read(&token()), Progress::Gone);

        let (mut near, far) = UnixStream::pair().unwrap();
        let mut client = Client::new(far.into(), "it".into());
        near.write_all(&[b'x'; MAX_FIRST_LINE + 1]).unwrap();
        assert!(matches!(client.read(&token()), Progress::Refused(_)));
    }

    #[test]
    fn tokens() {
        assert!(Token::chosen("".into()).is_err());
        let (one, other) = (Token::minted(), Token::minted());
        assert!(one.text().len() == 64 && one.text().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(!one.is(other.text()) && one.is(one.text()));
    }
}
