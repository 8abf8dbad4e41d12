//! The executable: from the command line to a runtime with an engine in it.
//!
//! The launcher has one thread and knows neither runtime; what it finds out it hands to an engine as a
//! [`crate::config::Config`]. Before the channel is known, it speaks on standard error and ends with 2; afterwards a
//! failed start is said on the channel too, and the end is 1.

mod bundle;
mod cli;
mod console;
mod elf;
mod environment;
mod exec;
mod host;
mod link;
mod probe;
mod pyenv;
mod python;
mod r;
mod screen;
mod search;
mod start;
mod sys;
mod terminal;

use cli::{Surroundings, Transport};
use std::io::IsTerminal;
use std::process::ExitCode;

/// What the executable does.
pub fn run() -> ExitCode {
    let beginning = start::Beginning::note();
    let mcp_repl = std::env::var_os("MCP_REPL_IPC_READ_FD").zip(std::env::var_os("MCP_REPL_IPC_WRITE_FD"));
    let around = Surroundings { mcp_repl, terminal: std::io::stdin().is_terminal() };
    if beginning.is_prepared {
        environment::forget_channel();
    }
    let wish = match cli::parse(std::env::args_os(), &around) {
        Ok(wish) => wish,
        Err(error) => {
            // Help and version go to standard output with status 0, everything else to standard error with 2.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    match wish.transport {
        Transport::Fds(..) | Transport::Stdio => start::serve(&wish, &beginning),
        Transport::Listen(_) => refuse("--listen is not built yet: use --ipc-fd or --ipc stdio"),
        Transport::Console => console::run(&wish),
    }
}

/// Says why there is no session when there is no channel to say it on.
fn refuse(why: impl std::fmt::Display) -> ExitCode {
    eprintln!("worker: {why}");
    ExitCode::from(2)
}
