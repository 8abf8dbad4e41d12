//! Starting a worker: which program, over which channel, with which environment.
#![expect(unsafe_code, reason = "a child keeps its end of the channel only if a hook between fork and exec lets it")]

use super::batch::Requests;
use super::error::{LaunchError, StartError};
use super::event::{Ready, WorkerReady};
use super::worker::{Parts, Worker};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What carries requests and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// One inherited socket (`--ipc-fd N`).
    #[default]
    Socket,
    /// Two inherited pipes (`--ipc-fd R,W`).
    Pipes,
    /// The worker's standard input and output (`--ipc stdio`).
    Stdio,
}

/// Starts a worker.
///
/// ```no_run
/// # use worker_client::Launch;
/// let mut worker = Launch::python().arg("--python").arg("/usr/bin/python3").env("LANG", "C").spawn()?;
/// # Ok::<(), worker_client::LaunchError>(())
/// ```
#[derive(Debug)]
pub struct Launch {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    clear_env: bool,
    directory: Option<PathBuf>,
    prefix: Vec<OsString>,
    transport: Transport,
    keep_stderr: bool,
    backlog: usize,
}

impl Launch {
    /// A worker for this language, `python` or `r`.
    pub fn new(lang: &str) -> Self {
        Launch {
            program: find_program(),
            args: vec!["--lang".into(), lang.into()],
            env: Vec::new(),
            clear_env: false,
            directory: None,
            prefix: Vec::new(),
            transport: Transport::default(),
            keep_stderr: false,
            backlog: 1024,
        }
    }

    /// A worker that hosts Python.
    pub fn python() -> Self {
        Launch::new("python")
    }

    /// A worker that hosts R.
    pub fn r() -> Self {
        Launch::new("r")
    }

    /// The worker's executable; else the one beside this program, or the one on PATH.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// One variable of the worker's environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), Some(value.into())));
        self
    }

    /// Takes one variable out of the worker's environment.
    pub fn without_env(mut self, name: impl Into<OsString>) -> Self {
        self.env.push((name.into(), None));
        self
    }

    /// Starts from an empty environment.
    pub fn clear_env(mut self) -> Self {
        self.clear_env = true;
        self
    }

    /// The worker's working directory.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Runs the worker through another command, such as `taskset -c 0`, that ends in exec.
    pub fn through<S: Into<OsString>>(mut self, command: impl IntoIterator<Item = S>) -> Self {
        self.prefix = command.into_iter().map(Into::into).collect();
        self
    }

    /// What carries requests and events; a socket if nothing is said.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Keeps the end of the worker's own stderr for [`Exit::stderr`](super::Exit::stderr), instead of letting
    /// it through to this program's.
    pub fn keep_stderr(mut self) -> Self {
        self.keep_stderr = true;
        self
    }

    /// How many events may wait to be received (1024 if nothing is said); beyond them the worker waits.
    pub fn backlog(mut self, events: usize) -> Self {
        self.backlog = events;
        self
    }

    /// Starts a worker and waits until it can take a cell. What a profile prints meanwhile stays to be received.
    pub fn start(self, timeout: Duration) -> Result<(Worker, WorkerReady, Ready), StartError> {
        let mut worker = self.spawn()?;
        let (hello, ready) = worker.until_ready(timeout)?;
        Ok((worker, hello, ready))
    }

    /// Starts it, without waiting for it to be ready.
    pub fn spawn(self) -> Result<Worker, LaunchError> {
        let mut command = self.command();
        match self.transport {
            Transport::Socket => {
                let (ours, theirs) = UnixStream::pair()?;
                let reader = ours.try_clone()?;
                command.arg("--ipc-fd").arg(theirs.as_raw_fd().to_string());
                inherit(&mut command, vec![theirs.into()]);
                let child = self.run(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
                self.worker(child, Requests::Socket(ours), Box::new(reader))
            }
            Transport::Pipes => {
                let (requests, to_worker) = io::pipe()?;
                let (from_worker, events) = io::pipe()?;
                command.arg("--ipc-fd").arg(format!("{},{}", requests.as_raw_fd(), events.as_raw_fd()));
                inherit(&mut command, vec![requests.into(), events.into()]);
                let child = self.run(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
                self.worker(child, Requests::Pipe(Box::new(to_worker)), Box::new(from_worker))
            }
            Transport::Stdio => {
                command.args(["--ipc", "stdio"]);
                let mut child = self.run(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
                let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
                    return Err(LaunchError::Channel(io::ErrorKind::BrokenPipe.into()));
                };
                self.worker(child, Requests::Pipe(Box::new(stdin)), Box::new(stdout))
            }
        }
    }

    fn command(&self) -> Command {
        let mut words = self.prefix.iter().map(OsString::as_os_str).chain([self.program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or(OsStr::new("worker")));
        command.args(words).args(&self.args);
        if self.clear_env {
            command.env_clear();
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        if self.keep_stderr {
            command.stderr(Stdio::piped());
        }
        // Its own group from the very start, so that a kill takes its children too and a Ctrl-C in this
        // program's terminal does not reach it.
        command.process_group(0);
        command
    }

    fn run(&self, command: &mut Command) -> Result<Child, LaunchError> {
        command.spawn().map_err(|source| LaunchError::Program { program: self.program.clone(), source })
    }

    fn worker(&self, child: Child, requests: Requests, events: Box<dyn Read + Send>) -> Result<Worker, LaunchError> {
        let parts = Parts { child, requests, events, backlog: self.backlog };
        Ok(Worker::from_parts(parts)?)
    }
}

/// Lets the child keep these descriptors, and drops ours with the command.
fn inherit(command: &mut Command, descriptors: Vec<OwnedFd>) {
    let keep = move || {
        for descriptor in &descriptors {
            fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the hook calls nothing but fcntl, which is async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(keep) };
}

/// The worker beside this program, or in the folder above it (where cargo keeps examples), else the one on PATH.
fn find_program() -> PathBuf {
    let this = std::env::current_exe().unwrap_or_default();
    let folders = this.ancestors().skip(1).take(2);
    let beside = folders.map(|folder| folder.join("worker")).find(|path| is_program(path));
    beside.unwrap_or_else(|| PathBuf::from("worker"))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
