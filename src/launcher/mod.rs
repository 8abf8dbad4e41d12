//! The executable: from the command line to a runtime with an engine in it.
//!
//! The launcher has one thread and knows neither runtime; what it finds out it hands to an engine as a
//! [`worker_protocol::config::Config`]. Before the channel is known, it speaks on standard error and ends with 2; afterwards a
//! failed start is said on the channel too, and the end is 1.

mod activation;
mod bind;
mod bundle;
mod cgroup;
mod cli;
mod console;
mod elf;
mod environment;
mod exec;
mod hello;
mod host;
mod init;
mod keeper;
mod limit_options;
mod limits;
mod link;
mod listen;
mod listen_error;
mod probe;
mod pyenv;
mod python;
mod python_choice;
mod python_error;
mod r;
mod sandbox;
mod screen;
mod search;
mod start;
mod start_error;
mod sys;
mod terminal;
mod version;

use activation::Handed;
use cli::{Accepted, Surroundings, Transport, Wish};
use hello::Token;
use listen::{Outcome, Watch};
use listen_error::ListenError;
use start::Beginning;
use std::io::IsTerminal;
use std::os::fd::IntoRawFd;
use std::process::ExitCode;

/// What the executable does.
pub fn run() -> ExitCode {
    sys::note_environment();
    let beginning = Beginning::note();
    let handed = Handed::take();
    let mcp_repl = std::env::var_os("MCP_REPL_IPC_READ_FD").zip(std::env::var_os("MCP_REPL_IPC_WRITE_FD"));
    let around = Surroundings { mcp_repl, handed: handed.sockets > 0, terminal: std::io::stdin().is_terminal() };
    let mut wish = match cli::parse(std::env::args_os(), &around) {
        Ok(wish) => wish,
        Err(error) => {
            // Help and version go to standard output with status 0, everything else to standard error with 2.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    wish.limits.resolve(&beginning.folder);
    if let Err(error) = init::stand_in() {
        return refuse(format!("cannot be the init of this container: {error}"));
    }
    match wish.transport {
        Transport::Fds(..) | Transport::Stdio | Transport::Accepted(_) => start::serve(&wish, &beginning),
        Transport::Listen(_) | Transport::Handed => match take_supervisor(&wish, &beginning, handed) {
            Ok(Outcome::Supervisor { socket, listener }) => {
                let address = match wish.transport {
                    Transport::Listen(address) => Some(address),
                    _ => None,
                };
                let (socket, listener) = (socket.into_raw_fd(), listener.map(IntoRawFd::into_raw_fd));
                wish.transport = Transport::Accepted(Accepted { socket, listener, address });
                start::serve(&wish, &beginning)
            }
            Ok(Outcome::Over(status)) => ExitCode::from(status),
            Err(error) => refuse(error),
        },
        Transport::Console => console::run(&wish),
    }
}

/// Waits for whoever is to drive the session.
fn take_supervisor(wish: &Wish, beginning: &Beginning, handed: Handed) -> Result<Outcome, ListenError> {
    // A wrong word on the command line is told now, not to whoever connects.
    start::check(wish, beginning).map_err(ListenError::Usage)?;
    let watch = Watch { parent: link::parent(wish)?, stdin: wish.stdio_control };
    let socket = handed.socket();
    let token = handed.token.map(Token::chosen).transpose().map_err(ListenError::Token)?;
    match &wish.transport {
        Transport::Listen(address) => listen::listen(address, &beginning.folder, token, &watch),
        _ => listen::serve_handed(socket, token, &watch),
    }
}

/// Says why there is no session when there is no channel to say it on.
fn refuse(why: impl std::fmt::Display) -> ExitCode {
    eprintln!("worker: {why}");
    ExitCode::from(2)
}
