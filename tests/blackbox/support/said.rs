//! What a session has said: of one cell, and at its end.

use worker_client::*;
use worker_protocol::{Outcome, Role, Stream};

/// What one cell has said so far.
#[derive(Debug, Default, Clone)]
pub struct Gathered {
    pub texts: Vec<OutputText>,
    pub lines: Vec<InputLine>,
    /// When each text came, among all of the session's.
    pub turns: Vec<u64>,
}

/// What one cell has said in all.
#[derive(Debug, Clone)]
pub struct Cell {
    pub stdout: String,
    pub stderr: String,
    /// The part of stdout that has the role of a result.
    pub result: String,
    /// The part of stderr that has the role of a traceback.
    pub traceback: String,
    pub texts: Vec<OutputText>,
    pub lines: Vec<InputLine>,
    pub ready: Ready,
}

/// How a session ended, with what was printed since the last look.
#[derive(Debug)]
pub struct End {
    pub ending: Exit,
    pub stdout: String,
    pub stderr: String,
}

impl Cell {
    pub fn new(gathered: Gathered, ready: Ready) -> Self {
        let Gathered { texts, lines, .. } = gathered;
        Cell {
            stdout: text_of(&texts, |text| text.stream == Stream::Stdout),
            stderr: text_of(&texts, |text| text.stream == Stream::Stderr),
            result: text_of(&texts, |text| text.role == Some(Role::Result)),
            traceback: text_of(&texts, |text| text.role == Some(Role::Traceback)),
            texts,
            lines,
            ready,
        }
    }

    /// It must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.outcome(Outcome::Ok)
    }

    /// It must have been interrupted.
    #[track_caller]
    pub fn interrupted(self) -> Self {
        self.outcome(Outcome::Interrupted)
    }

    #[track_caller]
    fn outcome(self, outcome: Outcome) -> Self {
        assert_eq!(self.ready.outcome, Some(outcome), "{self:#?}");
        self
    }

    /// It must have failed with this error.
    #[track_caller]
    pub fn failed(self, name: &str) -> Self {
        let cell = self.outcome(Outcome::Error);
        let error = cell.ready.error.as_ref().expect("an error is told");
        assert_eq!(error.name, name, "{cell:#?}");
        cell
    }
}

/// What the wanted texts say together.
pub fn text_of(texts: &[OutputText], wanted: impl Fn(&OutputText) -> bool) -> String {
    let bytes: Vec<_> = texts.iter().filter(|text| wanted(text)).flat_map(|text| text.bytes().into_owned()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A traceback without the lines that mark columns, which differ between versions.
pub fn without_carets(text: &str) -> String {
    let marks = |line: &str| !line.trim().is_empty() && line.trim().chars().all(|c| "^~".contains(c));
    text.lines().filter(|line| !marks(line)).map(|line| format!("{line}\n")).collect()
}
