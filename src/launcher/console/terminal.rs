//! The console's keyboard: lines with editing and history, answers to a running program, passwords.

use crate::launcher::console::echo::EchoOff;
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{
    Cmd, ConditionalEventHandler, Editor, Event, EventContext, EventHandler, ExternalPrinter, KeyCode, KeyEvent,
    Modifiers, RepeatCount,
};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use worker_protocol::config::Lang;

/// How many cells are remembered.
const HISTORY: usize = 10_000;

/// What came from the keyboard.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// A line, or several that were pasted.
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D on an empty line.
    End,
}

/// The keyboard of a person at a terminal.
pub struct Terminal {
    editor: Editor<(), FileHistory>,
    leaving: Leaving,
    history: Option<PathBuf>,
}

impl Terminal {
    /// Takes the terminal, and reads the history of earlier sessions of the language.
    pub fn open(lang: Lang) -> Result<Terminal, ReadlineError> {
        let mut editor = Editor::new()?;
        editor.set_max_history_size(HISTORY)?;
        editor.set_auto_add_history(false);
        let indent = match lang {
            Lang::Python => "    ",
            Lang::R => "  ",
        };
        let tab = KeyEvent(KeyCode::Tab, Modifiers::NONE);
        editor.bind_sequence(tab, EventHandler::Simple(Cmd::Insert(1, indent.to_owned())));
        let leaving = Leaving::default();
        for key in [INTERRUPT, END] {
            editor.bind_sequence(KeyEvent::ctrl(key), EventHandler::Conditional(Box::new(leaving.clone())));
        }
        let history = history_file(lang);
        if let Some(file) = &history {
            // The first session has none.
            let _ = editor.load_history(file);
        }
        Ok(Terminal { editor, leaving, history })
    }

    /// A way to print above a line that is being edited.
    pub fn printer(&mut self) -> Result<Box<dyn FnMut(String) + Send>, ReadlineError> {
        let mut printer = self.editor.create_external_printer()?;
        Ok(Box::new(move |text| {
            // A terminal that is gone ends the console by itself.
            let _ = printer.print(text);
        }))
    }

    /// Reads a line of a cell, which may start out with an indent.
    pub fn line(&mut self, prompt: &str, start: &str) -> Result<Typed, ReadlineError> {
        self.leaving.take();
        let read = self.editor.readline_with_initial(prompt, (start, ""));
        match self.leaving.take() {
            Some(typed) if read.is_ok() => Ok(typed),
            _ => typed(read),
        }
    }

    /// Reads what a program asked for; it is no part of the history.
    pub fn answer(&mut self, prompt: &str, hidden: bool) -> Result<Typed, ReadlineError> {
        // A prompt of several lines: only the last one is beside what is typed.
        let (above, last) = prompt.rsplit_once('\n').map_or(("", prompt), |(above, last)| (above, last));
        if !above.is_empty() || prompt.contains('\n') {
            eprintln!("{above}");
        }
        if !hidden {
            return self.line(last, "");
        }
        // Before the prompt is seen: somebody may answer at once.
        let _unseen = EchoOff::on(libc::STDIN_FILENO);
        eprint!("{last}");
        match rpassword::read_password() {
            Ok(text) => Ok(Typed::Line(text)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Typed::Interrupt),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Typed::End),
            Err(error) => Err(error.into()),
        }
    }

    /// Remembers a cell, for this session and later ones.
    pub fn remember(&mut self, cell: &str) {
        let cell = cell.trim_end();
        if cell.is_empty() {
            return;
        }
        // The session is worth more than its history: a full disk must not end it.
        if self.editor.add_history_entry(cell).is_ok_and(|added| added)
            && let Some(file) = &self.history
        {
            let _ = self.editor.append_history(file);
        }
    }
}

const INTERRUPT: char = 'C';
const END: char = 'D';

/// Notes Ctrl-C, and Ctrl-D on an empty line, and ends the line as Enter does: at an error the editor would forget what was
/// typed behind it.
#[derive(Clone, Default)]
struct Leaving(Arc<AtomicU8>);

impl Leaving {
    /// How the line was left since this was last asked.
    fn take(&self) -> Option<Typed> {
        match char::from(self.0.swap(0, Ordering::SeqCst)) {
            INTERRUPT => Some(Typed::Interrupt),
            END => Some(Typed::End),
            _ => None,
        }
    }
}

impl ConditionalEventHandler for Leaving {
    fn handle(&self, event: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let key = if event.get(0) == Some(&KeyEvent::ctrl(INTERRUPT)) { INTERRUPT } else { END };
        if key == END && !context.line().is_empty() {
            return None;
        }
        self.0.store(key as u8, Ordering::SeqCst);
        Some(Cmd::AcceptLine)
    }
}

fn typed(read: Result<String, ReadlineError>) -> Result<Typed, ReadlineError> {
    match read {
        Ok(line) => Ok(Typed::Line(line)),
        Err(ReadlineError::Interrupted) => Ok(Typed::Interrupt),
        Err(ReadlineError::Eof) => Ok(Typed::End),
        Err(error) => Err(error),
    }
}

/// The file of the history, its folder made; None when there is no home to put it in.
fn history_file(lang: Lang) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let in_home = || absolute("HOME").filter(|home| home.is_dir()).map(|home| home.join(".local/state"));
    let base = absolute("XDG_STATE_HOME").or_else(in_home)?;
    let folder = base.join("worker");
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    Some(folder.join(format!("history-{}", lang.name())))
}
