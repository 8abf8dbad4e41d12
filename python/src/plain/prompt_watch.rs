//! Compares what reaches the session with a prompt of `input()`, while that is written to a replaced `sys.stdout`.
//!
//! Nothing is printed here: a function that writes asks for a [`Verdict`] and acts on it. A prompt belongs to the
//! thread that writes it; the functions concern the calling thread's.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use worker_protocol::Stream;

/// How many threads write a prompt at the moment. If none does, a write needs no thread-local storage.
static WRITERS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PROMPT: RefCell<Option<Prompt>> = const { RefCell::new(None) };
}

/// A prompt that is being written, or was written.
pub(crate) struct Prompt {
    text: String,
    /// The number of its bytes that have reached the session and are not printed.
    arrived: usize,
    /// The stream that they came by.
    stream: Stream,
    /// Some of it, or something else in its place, was printed.
    is_printed: bool,
}

/// The beginning of a prompt that has reached the session and is to be printed.
#[derive(Debug, PartialEq)]
pub(crate) struct Arrived {
    /// The stream that it came by.
    pub(crate) stream: Stream,
    /// Its bytes.
    pub(crate) text: Vec<u8>,
}

/// What a function that writes is to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// Print this first.
    pub(crate) first: Option<Arrived>,
    /// Do not print the bytes: they belong to the prompt, which the request for input will contain.
    pub(crate) absorb: bool,
}

/// The verdict on bytes that are about to be printed. Without a prompt of this thread they are to be printed.
pub(crate) fn judge(stream: Stream, bytes: &[u8]) -> Verdict {
    if WRITERS.load(Relaxed) == 0 {
        return Verdict::default();
    }
    // A thread that ends may print after its thread-local storage is destroyed.
    PROMPT
        .try_with(|prompt| prompt.borrow_mut().as_mut().map(|prompt| prompt.judge(stream, bytes)))
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// Takes what has arrived of this thread's prompt, to be printed. Nothing of it is absorbed afterwards.
pub(crate) fn take_arrived() -> Option<Arrived> {
    PROMPT.with_borrow_mut(|prompt| prompt.as_mut().and_then(Prompt::take_arrived))
}

/// From its beginning to its end the thread writes a prompt. The end must be in the same thread; watches nest.
pub(crate) struct Watch {
    /// The prompt that the thread was writing before.
    outer: Option<Prompt>,
}

impl Watch {
    /// The thread begins to write the prompt `text`.
    pub(crate) fn begin(text: &str) -> Watch {
        let prompt = Prompt { text: text.to_owned(), arrived: 0, stream: Stream::Stdout, is_printed: false };
        let outer = PROMPT.replace(Some(prompt));
        WRITERS.fetch_add(1, Relaxed);
        Watch { outer }
    }

    /// The prompt is written. Gives it, with what has arrived of it.
    pub(crate) fn end(self) -> Option<Prompt> {
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
        // From here on nothing is absorbed, also not what is printed while the caller acts on this verdict.
        let first = self.take_arrived();
        self.is_printed |= !bytes.is_empty();
        Verdict { first, absorb: false }
    }

    /// Takes what has arrived, to be printed. Nothing is absorbed afterwards.
    pub(crate) fn take_arrived(&mut self) -> Option<Arrived> {
        let arrived = std::mem::take(&mut self.arrived);
        if arrived == 0 {
            return None;
        }
        self.is_printed = true;
        Some(Arrived { stream: self.stream, text: self.text.as_bytes()[..arrived].to_vec() })
    }

    /// Whether all of it has arrived, and nothing of it was printed.
    pub(crate) fn is_whole(&self) -> bool {
        self.arrived == self.text.len()
    }

    /// Whether some of it, or something else meanwhile, was printed.
    pub(crate) fn is_printed(&self) -> bool {
        self.is_printed
    }

    /// Whether nothing of it has arrived that is not printed.
    pub(crate) fn is_missing(&self) -> bool {
        self.arrived == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use worker_protocol::Stream::{Stderr, Stdout};

    fn absorbed() -> Verdict {
        Verdict { first: None, absorb: true }
    }

    fn printed_after(stream: Stream, text: &str) -> Verdict {
        Verdict { first: Some(Arrived { stream, text: text.into() }), absorb: false }
    }

    #[test]
    fn without_a_prompt_everything_is_printed() {
        assert_eq!(judge(Stdout, b"text"), Verdict::default());
        assert_eq!(take_arrived(), None);
    }

    #[test]
    fn a_prompt_in_pieces_is_absorbed() {
        let watch = Watch::begin("name? ");
        assert_eq!(judge(Stderr, b"name"), absorbed());
        assert_eq!(judge(Stderr, b"? "), absorbed());
        let prompt = watch.end().unwrap();
        assert!(prompt.is_whole() && !prompt.is_printed() && !prompt.is_missing());
        assert_eq!(judge(Stdout, b"name? "), Verdict::default(), "the prompt is over");
    }

    #[test]
    fn anything_else_prints_what_has_arrived_and_ends_the_comparison() {
        let watch = Watch::begin("name? ");
        assert_eq!(judge(Stdout, b"name"), absorbed());
        assert_eq!(judge(Stdout, b"!"), printed_after(Stdout, "name"));
        assert_eq!(judge(Stdout, b"name? "), Verdict::default());
        let prompt = watch.end().unwrap();
        assert!(prompt.is_printed() && prompt.is_missing() && !prompt.is_whole());
    }

    #[test]
    fn the_pieces_of_a_prompt_come_by_one_stream() {
        let watch = Watch::begin("name? ");
        assert_eq!(judge(Stderr, b"name"), absorbed());
        assert_eq!(judge(Stdout, b"? "), printed_after(Stderr, "name"));
        assert!(watch.end().unwrap().is_printed());
    }

    #[test]
    fn more_than_the_prompt_is_printed() {
        let watch = Watch::begin("> ");
        assert_eq!(judge(Stdout, b"> and more"), Verdict::default());
        assert!(watch.end().unwrap().is_printed());
    }

    #[test]
    fn an_empty_write_changes_nothing() {
        let watch = Watch::begin("> ");
        assert_eq!(judge(Stdout, b""), absorbed());
        assert_eq!(judge(Stdout, b"> "), absorbed());
        assert_eq!(judge(Stdout, b""), absorbed());
        assert!(watch.end().unwrap().is_whole());
    }

    #[test]
    fn a_prompt_that_goes_elsewhere_is_missing() {
        let prompt = Watch::begin("> ").end().unwrap();
        assert!(prompt.is_missing() && !prompt.is_printed() && !prompt.is_whole());
    }

    #[test]
    fn what_has_arrived_is_taken_once() {
        let watch = Watch::begin("name? ");
        judge(Stdout, b"name");
        assert_eq!(take_arrived(), Some(Arrived { stream: Stdout, text: b"name".to_vec() }));
        assert_eq!(take_arrived(), None);
        assert_eq!(judge(Stdout, b"name"), Verdict::default(), "it would come twice");
        assert_eq!(watch.end().unwrap().take_arrived(), None);
    }

    #[test]
    fn prompts_nest() {
        let outer = Watch::begin("outer ");
        judge(Stdout, b"ou");
        let inner = Watch::begin("inner ");
        assert_eq!(judge(Stdout, b"inner "), absorbed());
        assert!(inner.end().unwrap().is_whole());
        assert_eq!(judge(Stdout, b"ter "), absorbed());
        assert!(outer.end().unwrap().is_whole());
    }

    #[test]
    fn other_threads_have_prompts_of_their_own() {
        let watch = Watch::begin("> ");
        let other = std::thread::spawn(|| judge(Stdout, b"> ")).join().unwrap();
        assert_eq!(other, Verdict::default());
        assert_eq!(judge(Stdout, b"> "), absorbed());
        assert!(watch.end().unwrap().is_whole());
    }
}
