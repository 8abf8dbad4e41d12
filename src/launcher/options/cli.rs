//! The command line: what a supervisor or a person may ask for, checked as far as words alone can be.

use crate::launcher::options::limits::Limits;
use crate::launcher::options::{Accepted, ListenAddress, Options, Transport};
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser, ValueEnum};
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use worker_protocol::config::{Dialect, Lang, PlotSize};

/// Hosts a live Python or R session that a program drives over one stream of events.
///
/// With --ipc-fd, --ipc or --listen it serves a supervisor; without any of these, on a terminal, it is a console.
#[derive(Debug, Parser)]
#[command(name = "worker", version, disable_help_subcommand = true)]
pub struct Arguments {
    /// The language to host.
    #[arg(long, value_enum, default_value_t = Language::Python)]
    lang: Language,

    /// The Python to host: a path, a virtual environment, a version such as 3.12, or a name on PATH [default: $VIRTUAL_ENV,
    /// $CONDA_PREFIX, the nearest .venv upwards, python3 on PATH].
    #[arg(long, value_name = "PATH|VERSION")]
    python: Option<PathBuf>,

    /// The R to host, by its home directory [default: $R_HOME, R on PATH].
    #[arg(long, value_name = "PATH")]
    r_home: Option<PathBuf>,

    /// Serve over inherited descriptors: N is one socket, R,W are two pipes (requests, events).
    #[arg(long, value_name = "N|R,W", value_parser = parse_fds)]
    ipc_fd: Option<(RawFd, RawFd)>,

    /// Serve over standard input (requests) and standard output (events).
    #[arg(long, value_enum, value_name = "stdio")]
    ipc: Option<Ipc>,

    /// Serve one supervisor that connects: unix:PATH or tcp:127.0.0.1:PORT (port 0: any).
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    listen: Option<ListenAddress>,

    /// The protocol to speak.
    #[arg(long, value_enum)]
    dialect: Option<DialectName>,

    /// The session's name [default: a new UUID].
    #[arg(long, value_name = "ID", value_parser = parse_session_id)]
    session_id: Option<String>,

    /// Run PYTHONSTARTUP before the first cell.
    #[arg(long)]
    startup: bool,

    /// The size of a plot in inches, and dots per inch.
    #[arg(long, value_name = "WxH@DPI", default_value = "7x5@96", value_parser = parse_plot)]
    plot: PlotSize,

    /// Work in this directory.
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,

    /// Set a variable of the session's environment; may be repeated.
    #[arg(long = "env", value_name = "KEY=VALUE", action = ArgAction::Append)]
    set_env: Vec<OsString>,

    /// Start the session without the inherited environment, but for HOME, USER, LOGNAME, SHELL, PATH, TMPDIR, TZ, TERM,
    /// COLUMNS, LINES, LANG, LC_*, XDG_* and what --env sets.
    #[arg(long)]
    clear_env: bool,

    /// Limit the session: memory, cpu-seconds, processes, file-size, open-files; may be repeated.
    #[arg(long = "limit", value_name = "NAME=VALUE,…", action = ArgAction::Append)]
    limits: Vec<String>,

    /// Let the session make no sockets but Unix ones.
    #[arg(long)]
    no_network: bool,

    /// Let the session write only below these directories, and in its own temporary one.
    #[arg(long, value_name = "DIR", num_args = 1.., action = ArgAction::Append)]
    write_only: Vec<PathBuf>,

    /// Let the session write nowhere but in its own temporary directory.
    #[arg(long, conflicts_with = "write_only")]
    read_only: bool,

    /// End when this process ends.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    parent: Option<i32>,

    /// End when standard input closes.
    #[arg(long)]
    stdio_control: bool,

    /// The connection that --listen took, and its listening socket: for a worker that executes itself anew.
    #[arg(long, hide = true, value_name = "N[,L]", value_parser = parse_accepted)]
    accepted: Option<Accepted>,

    /// The session of a console: it stays in the terminal's process group.
    #[arg(long, hide = true)]
    in_console: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Language {
    Python,
    R,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Ipc {
    Stdio,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DialectName {
    /// This project's own protocol, `interpreter-worker` version 1
    Worker,
    /// `mcp-repl-worker` version 6
    McpRepl,
}

/// The environment as the launcher found it, as far as the transport depends on it.
pub struct Environment {
    /// `MCP_REPL_IPC_READ_FD` and `MCP_REPL_IPC_WRITE_FD`.
    pub mcp_repl: Option<(OsString, OsString)>,
    /// `LISTEN_FDS` hands a socket to this process.
    pub handed: bool,
    /// Standard input is a terminal.
    pub terminal: bool,
}

/// Reads the command line; the error knows how to print itself, and its exit status.
pub fn parse(arguments: impl Iterator<Item = OsString>, around: &Environment) -> Result<Options, clap::Error> {
    let mut given = Arguments::try_parse_from(arguments)?;
    given.check().map_err(|message| usage(ErrorKind::ArgumentConflict, message))?;
    let set_env = given
        .set_env
        .iter()
        .map(|pair| split_pair(pair))
        .collect::<Result<_, _>>()
        .map_err(|message| usage(ErrorKind::ValueValidation, message))?;
    let (transport, dialect) = given.transport(around)?;
    let limits = given.limits().map_err(|message| usage(ErrorKind::ValueValidation, message))?;
    Ok(Options {
        limits,
        transport,
        by_environment: given.ipc_fd.is_none(),
        dialect,
        lang: match given.lang {
            Language::Python => Lang::Python,
            Language::R => Lang::R,
        },
        python: given.python,
        r_home: given.r_home,
        session_id: given.session_id,
        startup: given.startup,
        plot: given.plot,
        cwd: given.cwd,
        set_env,
        clear_env: given.clear_env,
        parent: given.parent,
        stdio_control: given.stdio_control,
        in_console: given.in_console,
    })
}

/// An error that is printed with the usage and ends in exit status 2.
pub fn usage(kind: ErrorKind, message: impl std::fmt::Display) -> clap::Error {
    Arguments::command().error(kind, message)
}

impl Arguments {
    fn check(&mut self) -> Result<(), String> {
        if [self.ipc_fd.is_some(), self.ipc.is_some(), self.listen.is_some()].iter().filter(|given| **given).count() > 1
        {
            return Err("--ipc-fd, --ipc and --listen exclude each other: give one".into());
        }
        match self.lang {
            Language::Python if self.r_home.is_some() => Err("--r-home goes with --lang r".into()),
            Language::R if self.python.is_some() => Err("--python goes with --lang python".into()),
            Language::R if self.startup => Err("--startup goes with --lang python; R runs its profiles".into()),
            _ if self.stdio_control && self.ipc.is_some() => {
                Err("--stdio-control is for --listen and --ipc-fd: with --ipc stdio, standard input is the channel, \
                     and its end ends the worker anyway"
                    .into())
            }
            _ => Ok(()),
        }
    }

    fn limits(&mut self) -> Result<Limits, String> {
        let mut limits = Limits { no_network: self.no_network, ..Limits::default() };
        self.limits.iter().try_for_each(|text| limits.take(text).map_err(|why| format!("--limit {text}: {why}")))?;
        if self.read_only || !self.write_only.is_empty() {
            limits.writable = Some(std::mem::take(&mut self.write_only));
        }
        Ok(limits)
    }

    fn transport(&self, around: &Environment) -> Result<(Transport, Dialect), clap::Error> {
        let mut dialect = match self.dialect {
            Some(DialectName::McpRepl) => Dialect::McpRepl,
            Some(DialectName::Worker) | None => Dialect::Worker,
        };
        let transport = if let Some(accepted) = &self.accepted {
            Transport::Accepted(Accepted { address: self.listen.clone(), ..accepted.clone() })
        } else if let Some((read, write)) = self.ipc_fd {
            Transport::Fds(read, write)
        } else if self.ipc.is_some() {
            Transport::Stdio
        } else if let Some(address) = &self.listen {
            Transport::Listen(address.clone())
        } else if let Some((read, write)) = &around.mcp_repl
            && !matches!(self.dialect, Some(DialectName::Worker))
        {
            let number = |name: &str, text: &OsStr| {
                text.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
                    usage(ErrorKind::ValueValidation, format!("{name}={} is not a descriptor", text.display()))
                })
            };
            dialect = Dialect::McpRepl;
            Transport::Fds(number("MCP_REPL_IPC_READ_FD", read)?, number("MCP_REPL_IPC_WRITE_FD", write)?)
        } else if around.handed {
            Transport::Handed
        } else if around.terminal {
            if dialect == Dialect::McpRepl || self.stdio_control {
                let message =
                    "the console takes neither --dialect mcp-repl nor --stdio-control: add --ipc-fd or --listen";
                return Err(usage(ErrorKind::ArgumentConflict, message));
            }
            Transport::Console
        } else {
            return Err(usage(
                ErrorKind::MissingRequiredArgument,
                "no way to reach a supervisor: give --ipc-fd N, --ipc-fd R,W, --ipc stdio or --listen ADDRESS, \
                 hand over a socket by LISTEN_FDS, or start the worker on a terminal",
            ));
        };
        Ok((transport, dialect))
    }
}

fn parse_fds(text: &str) -> Result<(RawFd, RawFd), String> {
    let number = |part: &str| match part.trim().parse::<RawFd>() {
        Ok(fd) if fd > 2 => Ok(fd),
        Ok(fd @ 0..=2) => {
            Err(format!("descriptor {fd} belongs to the session; to serve over standard input and output: --ipc stdio"))
        }
        _ => Err(format!("{part:?} is not a descriptor: give N for a socket or R,W for two pipes")),
    };
    match text.split_once(',') {
        Some((read, write)) => Ok((number(read)?, number(write)?)),
        None => number(text).map(|fd| (fd, fd)),
    }
}

fn parse_accepted(text: &str) -> Result<Accepted, String> {
    let number = |part: &str| part.parse().map_err(|_| format!("{part:?} is not a descriptor"));
    let (socket, listener) = text.split_once(',').map_or((text, None), |(socket, listener)| (socket, Some(listener)));
    Ok(Accepted { socket: number(socket)?, listener: listener.map(number).transpose()?, address: None })
}

fn parse_address(text: &str) -> Result<ListenAddress, String> {
    match text.split_once(':') {
        Some(("unix", path)) if !path.is_empty() => Ok(ListenAddress::Unix(path.into())),
        Some(("tcp", address)) => {
            let address: SocketAddr =
                address.parse().map_err(|_| format!("{address:?} is no address and port, such as 127.0.0.1:0"))?;
            if address.ip().is_loopback() {
                Ok(ListenAddress::Tcp(address))
            } else {
                Err("only loopback addresses, such as tcp:127.0.0.1:0: whoever connects can run code".into())
            }
        }
        _ => Err("give unix:PATH or tcp:127.0.0.1:PORT".into()),
    }
}

fn parse_session_id(text: &str) -> Result<String, String> {
    match text {
        "" => Err("it is empty".into()),
        _ if text.len() > 256 => Err("it is longer than 256 bytes".into()),
        _ if text.chars().any(char::is_control) => Err("it holds control characters".into()),
        _ => Ok(text.to_owned()),
    }
}

fn parse_plot(text: &str) -> Result<PlotSize, String> {
    let wrong = || format!("{text:?} is no size: give inches and dots per inch, such as 7x5@96");
    let (size, dpi) = text.split_once('@').ok_or_else(wrong)?;
    let (width, height) = size.split_once('x').ok_or_else(wrong)?;
    let number = |part: &str| part.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0).ok_or_else(wrong);
    let plot = PlotSize { width: number(width)?, height: number(height)?, dpi: number(dpi)? };
    let pixels = [plot.width * plot.dpi, plot.height * plot.dpi];
    if pixels.iter().all(|side| (16.0..=16_384.0).contains(side)) {
        Ok(plot)
    } else {
        Err(format!("{text:?} makes {:.0} by {:.0} pixels: 16 to 16384 a side will do", pixels[0], pixels[1]))
    }
}

fn split_pair(pair: &OsStr) -> Result<(OsString, OsString), String> {
    let bytes = pair.as_bytes();
    let part = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) if at > 0 => Ok((part(&bytes[..at]), part(&bytes[at + 1..]))),
        _ => Err(format!("--env {}: give KEY=VALUE", pair.display())),
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
