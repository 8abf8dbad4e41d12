//! The console's screen: shows what the session says as it comes, and hands on what the console must act upon.

use crate::launcher::console::interrupts;
use crossbeam_channel::{Receiver, Sender};
use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use worker_client::{Event, InputWait, OutputImage, OutputText, Ready, Response, SessionEnd};
use worker_protocol::Stream;

/// What the console acts upon.
pub enum News {
    /// A cell has ended, or the session has started.
    Ready(Ready),
    /// Something wants a line.
    Wait(InputWait),
    /// The answer of a request.
    Response(Response),
    /// `session_end`.
    End(SessionEnd),
}

/// What the threads of the keyboard and of the screen both read and set.
#[derive(Default)]
pub struct Shared {
    /// A line is being edited: whatever is shown goes above it.
    pub is_editing: AtomicBool,
    /// The last thing shown did not end its line.
    pub is_mid_line: AtomicBool,
}

/// Shows events until the channel closes.
pub struct Screen {
    shared: Arc<Shared>,
    news: Sender<News>,
    above: Sender<String>,
    pictures: HashMap<String, PathBuf>,
}

impl Screen {
    /// Starts the screen's threads. The printer writes above a line that is being edited and may block while nobody
    /// edits, so it has a thread to itself.
    pub fn start(
        events: UnixStream,
        shared: Arc<Shared>,
        mut printer: Box<dyn FnMut(String) + Send>,
    ) -> io::Result<Receiver<News>> {
        let (news, received) = crossbeam_channel::unbounded();
        let (above, texts) = crossbeam_channel::unbounded();
        let mut screen = Screen { shared, news, above, pictures: HashMap::new() };
        // Neither is joined: they end with the channel or with the process.
        thread::Builder::new().name("screen-above".into()).spawn(move || texts.iter().for_each(&mut printer))?;
        thread::Builder::new().name("screen".into()).spawn(move || screen.follow(events))?;
        Ok(received)
    }

    fn follow(&mut self, events: UnixStream) {
        let mut events = BufReader::with_capacity(64 << 10, events);
        let mut line = Vec::new();
        while matches!(events.read_until(b'\n', &mut line), Ok(1..)) {
            if self.take(Event::parse(line.trim_ascii())).is_none() {
                return;
            }
            line.clear();
        }
    }

    /// Shows an event or hands it on; None when the console is gone.
    fn take(&mut self, event: Event) -> Option<()> {
        match event {
            Event::OutputText(text) => self.text(&text),
            Event::OutputImage(image) => self.image(&image),
            Event::Ready(ready) => self.news.send(News::Ready(ready)).ok()?,
            // Handed on before the note is shown, so that an Enter pressed at the note finds it.
            Event::InputWait(wait) => {
                let note = format!("[a background thread waits for input: {:?}]", wait.prompt);
                self.news.send(News::Wait(wait)).ok()?;
                if self.shared.is_editing.load(Ordering::SeqCst) {
                    self.note(&note);
                }
            }
            Event::Response(response) => self.news.send(News::Response(response)).ok()?,
            Event::SessionEnd(end) => {
                self.news.send(News::End(end)).ok()?;
                if self.shared.is_editing.load(Ordering::SeqCst) {
                    self.note("[the session has ended: press Enter]");
                }
            }
            // What was typed is on the screen already, and a display is said as text too.
            _ => {}
        }
        Some(())
    }

    fn text(&self, text: &OutputText) {
        let bytes = text.bytes();
        if self.shared.is_editing.load(Ordering::SeqCst) {
            // The thread that receives it ends only with the process.
            let _ = self.above.send(String::from_utf8_lossy(&bytes).into_owned());
            return;
        }
        if interrupts::has_come() {
            // The terminal has shown `^C`.
            self.shared.is_mid_line.store(true, Ordering::SeqCst);
            self.shared.end_line();
        }
        // A terminal that is gone ends the console by itself.
        let _ = match text.stream {
            Stream::Stdout => show(&mut io::stdout().lock(), &bytes),
            Stream::Stderr => show(&mut io::stderr().lock(), &bytes),
        };
        if let Some(last) = bytes.last() {
            self.shared.is_mid_line.store(*last != b'\n', Ordering::SeqCst);
        }
    }

    /// Says something of the console's own.
    fn note(&self, text: &str) {
        if self.shared.is_editing.load(Ordering::SeqCst) {
            let _ = self.above.send(text.to_owned());
        } else {
            self.shared.end_line();
            eprintln!("{text}");
        }
    }

    fn image(&mut self, image: &OutputImage) {
        let known = image.source.as_ref().filter(|_| image.is_update).and_then(|source| self.pictures.get(source));
        let saved = match known {
            Some(path) => fs::write(path, image.bytes()).map(|()| path.clone()),
            None => save_new(image),
        };
        match saved {
            Ok(path) => {
                self.note(&format!(
                    "[{}: {}]",
                    if image.is_update { "picture, changed" } else { "picture" },
                    path.display()
                ));
                if let Some(source) = &image.source {
                    self.pictures.insert(source.clone(), path);
                }
            }
            Err(error) => self.note(&format!("[a picture that could not be saved: {error}]")),
        }
    }
}

impl Shared {
    /// Puts the cursor at the start of a line, where a prompt belongs.
    pub fn end_line(&self) {
        if self.is_mid_line.swap(false, Ordering::SeqCst) | interrupts::has_come() {
            let _ = show(&mut io::stdout().lock(), b"\n");
        }
    }
}

fn show(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// The file stays when the console ends: its path has been shown to a person who may open it later.
fn save_new(image: &OutputImage) -> io::Result<PathBuf> {
    let suffix = match image.mime_type.as_str() {
        "image/png" => ".png",
        "image/jpeg" => ".jpg",
        "image/svg+xml" => ".svg",
        _ => ".image",
    };
    let mut file = tempfile::Builder::new().prefix("worker-picture-").suffix(suffix).tempfile()?;
    file.write_all(&image.bytes())?;
    Ok(file.keep().map_err(|failed| failed.error)?.1)
}
