//! The console: a person types cells and sees what comes back, with the same session under it that a program drives.
//!
//! The session is a worker of its own, started from this very executable over a socket pair. It stays in the terminal's
//! process group, so that Ctrl-C reaches a running cell from the terminal itself, and a program that the cell starts
//! may use the terminal.

use crate::launcher::console::interrupts;
use crate::launcher::console::screen::{News, Screen, Shared};
use crate::launcher::console::terminal::{Terminal, Typed};
use crate::launcher::options::Options;
use crate::launcher::start::refuse;
use crossbeam_channel::Receiver;
use rustyline::error::ReadlineError;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use worker_client::{Batch, InputWait, SessionEnd};
use worker_protocol::EndReason;
use worker_protocol::config::Lang;

/// What makes the console stop.
enum Stop {
    /// The session has ended, or its channel has closed.
    Ended,
    /// The terminal fails.
    Terminal(ReadlineError),
}

impl From<ReadlineError> for Stop {
    fn from(error: ReadlineError) -> Self {
        Stop::Terminal(error)
    }
}

struct Console {
    requests: UnixStream,
    news: Receiver<News>,
    shared: Arc<Shared>,
    terminal: Terminal,
    lang: Lang,
    /// Waits of background threads that came while something else was done.
    waits: VecDeque<InputWait>,
    cells: u64,
    questions: u64,
    /// `session_end` has come.
    has_ended: bool,
    /// How the session ended, where a person should hear of it.
    farewell: Option<String>,
}

/// Runs the console until the session ends; gives the session's exit status.
pub fn run(options: &Options) -> ExitCode {
    let (mut child, mut console) = match open(options) {
        Ok(opened) => opened,
        Err(error) => return refuse(format!("cannot open the console: {error}")),
    };
    match console.serve() {
        Ok(()) | Err(Stop::Ended) => {}
        Err(Stop::Terminal(error)) => console.farewell = Some(format!("the terminal fails: {error}")),
    }
    let Console { requests, shared, farewell, has_ended, .. } = console;
    if !has_ended {
        // A session that still runs takes this as the end.
        let _ = requests.shutdown(std::net::Shutdown::Both);
    }
    let status = child.wait();
    drop(requests);
    shared.end_line();
    match (status, farewell) {
        (Ok(status), farewell) => {
            if let Some(text) = farewell.or_else(|| status.signal().map(|signal| format!("died by signal {signal}"))) {
                eprintln!("worker: {text}");
            }
            exit_code(status)
        }
        (Err(error), _) => refuse(error),
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    // As a shell reports it.
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from((code & 0xff) as u8)
}

fn open(options: &Options) -> Result<(Child, Console), ReadlineError> {
    let mut terminal = Terminal::open(options.lang)?;
    let printer = terminal.printer()?;
    let (ours, theirs) = UnixStream::pair()?;
    // Ctrl-C is for the session, which gets it from the terminal as well.
    interrupts::note();
    let child = start(&theirs)?;
    drop(theirs);
    let shared = Arc::new(Shared::default());
    let news = Screen::start(ours.try_clone()?, shared.clone(), printer)?;
    let console = Console {
        requests: ours,
        news,
        shared,
        terminal,
        lang: options.lang,
        waits: VecDeque::new(),
        cells: 0,
        questions: 0,
        has_ended: false,
        farewell: None,
    };
    Ok((child, console))
}

/// Starts the session with the console's own arguments.
fn start(channel: &UnixStream) -> io::Result<Child> {
    let fd = sys::dup_high(channel.as_raw_fd())?;
    sys::set_cloexec(fd.as_raw_fd(), false)?;
    Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .args(["--in-console", "--ipc-fd", &fd.as_raw_fd().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
}

impl Console {
    fn serve(&mut self) -> Result<(), Stop> {
        self.until_ready(None)?;
        loop {
            while let Some(wait) = self.waits.pop_front() {
                self.answer(&wait, None)?;
            }
            match self.cell()? {
                Some(cell) => {
                    self.terminal.remember(&cell);
                    self.run(cell)?;
                }
                None => {
                    self.send(&json!({"type": "shutdown"}))?;
                    return self.until_end();
                }
            }
        }
    }

    /// Reads one whole cell; None at the end of input.
    fn cell(&mut self) -> Result<Option<String>, Stop> {
        let (first, more) = match self.lang {
            Lang::Python => (">>> ", "... "),
            Lang::R => ("> ", "+ "),
        };
        let mut cell = String::new();
        let mut indent = String::new();
        loop {
            let prompt = if cell.is_empty() { first } else { more };
            match self.edit(|terminal| terminal.line(prompt, &indent))? {
                Typed::Line(line) => cell.push_str(&line),
                // As at the prompt, what was typed so far is forgotten.
                Typed::Interrupt => {
                    cell.clear();
                    indent.clear();
                    continue;
                }
                Typed::End if cell.is_empty() => return Ok(None),
                Typed::End => return Ok(Some(cell)),
            }
            if cell.trim().is_empty() {
                cell.clear();
                // Waits may have come, and an end.
                self.take_news()?;
                if !self.waits.is_empty() {
                    return Ok(Some(String::new()));
                }
                continue;
            }
            match self.is_incomplete(&cell)? {
                Some(next) => indent = next,
                None => return Ok(Some(cell)),
            }
            cell.push('\n');
        }
    }

    /// Edits a line while whatever the session says is shown above it.
    fn edit(&mut self, read: impl FnOnce(&mut Terminal) -> Result<Typed, ReadlineError>) -> Result<Typed, Stop> {
        self.shared.end_line();
        self.shared.is_editing.store(true, Ordering::SeqCst);
        let typed = read(&mut self.terminal);
        self.shared.is_editing.store(false, Ordering::SeqCst);
        Ok(typed?)
    }

    /// Whether the cell needs more lines, and how far the next one is indented. When the session cannot tell, it is run
    /// as it is.
    fn is_incomplete(&mut self, cell: &str) -> Result<Option<String>, Stop> {
        self.questions += 1;
        let id = Value::from(format!("console-{}", self.questions));
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": "is_complete", "params": {"code": cell}}))?;
        loop {
            match self.next()? {
                News::Response(response) if response.id == id => {
                    let result = response.result.unwrap_or_default();
                    let indent = result["indent"].as_str().unwrap_or_default().to_owned();
                    return Ok((result["status"] == "incomplete").then_some(indent));
                }
                News::Wait(wait) => self.waits.push_back(wait),
                News::Ready(_) | News::Response(_) => {}
                News::End(end) => return Err(self.ended(end)),
            }
        }
    }

    fn run(&mut self, cell: String) -> Result<(), Stop> {
        if cell.trim().is_empty() {
            return Ok(());
        }
        self.cells += 1;
        let id = self.cells.to_string();
        self.send(&Batch::cell(cell).id(&id))?;
        self.until_ready(Some(&id))
    }

    /// Answers waits until the cell has ended; without a cell, until the session has started.
    fn until_ready(&mut self, cell: Option<&str>) -> Result<(), Stop> {
        loop {
            match self.next()? {
                News::Ready(ready) if ready.id.as_deref() == cell => return Ok(()),
                News::Wait(wait) => self.answer(&wait, cell)?,
                News::Ready(_) | News::Response(_) => {}
                News::End(end) => return Err(self.ended(end)),
            }
        }
    }

    fn until_end(&mut self) -> Result<(), Stop> {
        loop {
            match self.next()? {
                // At the end readers get end of file; an exit handler may still ask.
                News::Wait(wait) => self.answer(&wait, None)?,
                News::Ready(_) | News::Response(_) => {}
                News::End(end) => return Err(self.ended(end)),
            }
        }
    }

    /// Lets the person answer a wait. Ctrl-C interrupts the cell that waits; a background thread goes on waiting.
    fn answer(&mut self, wait: &InputWait, running: Option<&str>) -> Result<(), Stop> {
        let typed = self.edit(|terminal| terminal.answer(&wait.prompt, wait.hidden))?;
        match typed {
            Typed::Line(line) => self.send(&Batch::stdin(line + "\n").reader(wait.reader)),
            Typed::End => self.send(&Batch::stdin("").eof().reader(wait.reader)),
            Typed::Interrupt if wait.id.as_deref() == running => self.send(&json!({"type": "interrupt"})),
            Typed::Interrupt => Ok(()),
        }
    }

    /// Takes what has come without waiting for more.
    fn take_news(&mut self) -> Result<(), Stop> {
        while let Ok(news) = self.news.try_recv() {
            match news {
                News::Wait(wait) => self.waits.push_back(wait),
                News::End(end) => return Err(self.ended(end)),
                News::Ready(_) | News::Response(_) => {}
            }
        }
        Ok(())
    }

    fn next(&self) -> Result<News, Stop> {
        self.news.recv().map_err(|_| Stop::Ended)
    }

    fn send(&mut self, message: &impl Serialize) -> Result<(), Stop> {
        let mut line = serde_json::to_vec(message).map_err(|error| Stop::Terminal(io::Error::from(error).into()))?;
        line.push(b'\n');
        // A session that has ended said so before; what it said is still to be read.
        if self.requests.write_all(&line).is_err() {
            while let Ok(news) = self.news.recv() {
                if let News::End(end) = news {
                    return Err(self.ended(end));
                }
            }
            return Err(Stop::Ended);
        }
        Ok(())
    }

    fn ended(&mut self, end: SessionEnd) -> Stop {
        self.has_ended = true;
        self.farewell = match end.reason {
            // The session has said on standard error itself why it did not start.
            EndReason::Shutdown | EndReason::RuntimeExit | EndReason::StartupFailed => None,
            EndReason::Crash => Some(match end.signal {
                Some(signal) => format!("the session crashed ({signal})"),
                None => "the session crashed".to_owned(),
            }),
            EndReason::ProtocolError => end.message,
        };
        Stop::Ended
    }
}
