//! The executable: from the command line to a runtime with an engine in it.
//!
//! The launcher has one thread and knows neither runtime; what it finds out it hands to an engine as a
//! [`worker_protocol::config::Config`]. Before the channel is known, it speaks on standard error and ends with 2; afterwards a
//! failed start is said on the channel too, and the end is 1.

mod channel;
mod console;
mod limits;
mod options;
mod process;
mod runtimes;
mod start;
mod timeouts;
mod variables;

use channel::acceptor::Watch;
use channel::activation::Handed;
use channel::handshake::Token;
use channel::link;
use channel::listen::{self, Outcome};
use channel::listen_error::ListenError;
use console::repl;
use options::cli::{self, Environment};
use options::{Accepted, Options, Transport};
use start::invocation::Invocation;
use start::plan;
use start::{init, refuse};
use std::io::IsTerminal;
use std::os::fd::IntoRawFd;
use std::process::ExitCode;

/// What the executable does.
pub fn run() -> ExitCode {
    variables::note_initial();
    let invocation = Invocation::note();
    let handed = Handed::take();
    let mcp_repl = std::env::var_os("MCP_REPL_IPC_READ_FD").zip(std::env::var_os("MCP_REPL_IPC_WRITE_FD"));
    let environment = Environment { mcp_repl, handed: handed.sockets > 0, terminal: std::io::stdin().is_terminal() };
    let mut options = match cli::parse(std::env::args_os(), &environment) {
        Ok(options) => options,
        Err(error) => {
            // Help and version go to standard output with status 0, everything else to standard error with 2.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    options.limits.resolve(&invocation.folder);
    if let Err(error) = init::become_init() {
        return refuse(format!("cannot be the init of this container: {error}"));
    }
    match options.transport {
        Transport::Fds(..) | Transport::Stdio | Transport::Accepted(_) => plan::serve(&options, &invocation),
        Transport::Listen(_) | Transport::Handed => match take_supervisor(&options, &invocation, handed) {
            Ok(Outcome::Supervisor { socket, listener }) => {
                let address = match options.transport {
                    Transport::Listen(address) => Some(address),
                    _ => None,
                };
                let (socket, listener) = (socket.into_raw_fd(), listener.map(IntoRawFd::into_raw_fd));
                options.transport = Transport::Accepted(Accepted { socket, listener, address });
                plan::serve(&options, &invocation)
            }
            Ok(Outcome::Over(status)) => ExitCode::from(status),
            Err(error) => refuse(error),
        },
        Transport::Console => repl::run(&options),
    }
}

/// Waits for whoever is to drive the session.
fn take_supervisor(options: &Options, invocation: &Invocation, handed: Handed) -> Result<Outcome, ListenError> {
    // A mistake on the command line is reported now, on standard error, and not to whoever connects.
    plan::check(options, invocation).map_err(ListenError::Usage)?;
    let watch = Watch { parent: link::parent(options)?, stdin: options.stdio_control };
    let socket = handed.socket();
    let token = handed.token.map(Token::chosen).transpose().map_err(ListenError::Token)?;
    match &options.transport {
        Transport::Listen(address) => listen::listen(address, &invocation.folder, token, &watch),
        _ => listen::serve_handed(socket, token, &watch),
    }
}
