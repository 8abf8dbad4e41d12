//! What reaches the session while a prompt of `input()` is written to a replaced `sys.stdout`, compared with that
//! prompt.
//!
//! It prints nothing itself: whoever writes asks for a [`Verdict`] and acts on it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use worker::protocol::Stream;

/// How many threads write a prompt at the moment: the writers' quick look.
static WRITERS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PROMPT: RefCell<Option<Prompt>> = const { RefCell::new(None) };
}

/// A prompt on its way.
pub(super) struct Prompt {
    text: String,
    /// How much of it has arrived, and has not been printed.
    arrived: usize,
    stream: Stream,
    is_printed: bool,
}

/// A part of a prompt that has arrived and is to be printed.
pub(super) struct Arrived {
    pub(super) stream: Stream,
    pub(super) text: Vec<u8>,
}

/// What a writer is to do with what it has.
#[derive(Default)]
pub(super) struct Verdict {
    /// Print this first.
    pub(super) first: Option<Arrived>,
    /// Print nothing of it: it is a prompt that the wait will say instead.
    pub(super) absorb: bool,
}

/// What is to be done with something that is about to be printed.
pub(super) fn judge(stream: Stream, bytes: &[u8]) -> Verdict {
    if WRITERS.load(Relaxed) == 0 {
        return Verdict::default();
    }
    // A thread that ends may print after its own storage is gone.
    PROMPT
        .try_with(|prompt| prompt.borrow_mut().as_mut().map(|prompt| prompt.judge(stream, bytes)))
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// Takes what has arrived of the prompt that this thread is writing, to be printed.
pub(super) fn take_arrived() -> Option<Arrived> {
    PROMPT.with_borrow_mut(|prompt| prompt.as_mut().and_then(Prompt::take_arrived))
}

/// This thread's writing of a prompt.
pub(super) struct Watch {
    /// The prompt in whose middle it is.
    outer: Option<Prompt>,
}

impl Watch {
    pub(super) fn begin(text: &str) -> Watch {
        let prompt = Prompt { text: text.to_owned(), arrived: 0, stream: Stream::Stdout, is_printed: false };
        let outer = PROMPT.replace(Some(prompt));
        WRITERS.fetch_add(1, Relaxed);
        Watch { outer }
    }

    /// It is written: what has become of it.
    pub(super) fn end(self) -> Option<Prompt> {
        let prompt = PROMPT.replace(self.outer);
        WRITERS.fetch_sub(1, Relaxed);
        prompt
    }
}

impl Prompt {
    fn judge(&mut self, stream: Stream, bytes: &[u8]) -> Verdict {
        let rest = &self.text.as_bytes()[self.arrived..];
        let is_prompt = !self.is_printed && rest.starts_with(bytes) && (self.arrived == 0 || stream == self.stream);
        if is_prompt {
            self.arrived += bytes.len();
            self.stream = stream;
            return Verdict { first: None, absorb: true };
        }
        // From here on nothing is absorbed, not even what is printed while the writer acts.
        let first = self.take_arrived();
        self.is_printed |= !bytes.is_empty();
        Verdict { first, absorb: false }
    }

    /// Takes what has arrived, to be printed.
    pub(super) fn take_arrived(&mut self) -> Option<Arrived> {
        let arrived = std::mem::take(&mut self.arrived);
        if arrived == 0 {
            return None;
        }
        self.is_printed = true;
        Some(Arrived { stream: self.stream, text: self.text.as_bytes()[..arrived].to_vec() })
    }

    /// Whether all of it has arrived, and nothing of it was printed.
    pub(super) fn is_whole(&self) -> bool {
        self.arrived == self.text.len()
    }

    /// Whether some of it, or something else in its place, was printed.
    pub(super) fn is_printed(&self) -> bool {
        self.is_printed
    }

    /// Whether nothing of it has arrived, or what had was printed.
    pub(super) fn is_away(&self) -> bool {
        self.arrived == 0
    }
}
