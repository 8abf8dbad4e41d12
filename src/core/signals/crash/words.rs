//! What is said after a fault, without allocating: what was accepted, what the raw pipes hold, and `session_end`.

#![expect(unsafe_code, reason = "static buffers, and bytes that are read by address")]

use super::notes;
use crate::output::emitter::{Emitter, Stopped};
use crate::output::utf8::{Decoder, Run};
use crate::timeouts::{LOCK_AT_FAULT, WRITE_AT_FAULT};
use std::cell::UnsafeCell;
use worker_protocol::Stream;
use worker_protocol::line_writer::{CLOSE, Kind, LineWriter, TextEncoding};

/// No more is read from one raw pipe: somebody may go on writing.
const MOST_RAW: usize = 1 << 20;

/// Room for the one who speaks: a piece of what is said, and the line that says it.
struct Scratch {
    input: UnsafeCell<[u8; 16 << 10]>,
    output: UnsafeCell<[u8; 100 << 10]>,
}

// SAFETY: only the one speaker touches it.
unsafe impl Sync for Scratch {}

static SCRATCH: Scratch = Scratch { input: UnsafeCell::new([0; 16 << 10]), output: UnsafeCell::new([0; 100 << 10]) };

/// What happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub signal: &'static str,
    pub address: Option<usize>,
    /// The limit of CPU time.
    pub is_limit: bool,
}

/// Takes the emitter's lock away from everybody else, and what it guards. None when it cannot be had in time. Not in the
/// handler: the thread that crashed may hold the lock.
pub(super) fn stop(emitter: &Emitter) -> Option<Stopped> {
    sys::flush_c_stdout();
    emitter.stop_for_fault(LOCK_AT_FAULT)
}

/// The one who speaks.
pub(super) struct Words<'a> {
    emitter: &'a Emitter,
    /// The supervisor did not take the last piece: what comes after it would make no sense.
    has_given_up: bool,
    input: &'static mut [u8],
    output: &'static mut [u8],
}

impl<'a> Words<'a> {
    /// Takes the buffers.
    ///
    /// Safe in a signal handler: two addresses.
    ///
    /// # Safety
    ///
    /// One value exists at a time: the buffers are static.
    pub unsafe fn signal_safe_new(emitter: &'a Emitter) -> Words<'a> {
        // SAFETY: the caller's promise.
        let (input, output) = unsafe { (&mut *SCRATCH.input.get(), &mut *SCRATCH.output.get()) };
        Words { emitter, has_given_up: false, input, output }
    }

    /// Says everything; false when the session had ended before. `stopped`: what [`stop`] gave, if it was called. Nothing can be
    /// said after it.
    ///
    /// Safe in a signal handler: `read`, `write` and `poll` on static buffers, and on bytes whose mappings stay.
    pub fn signal_safe_say(mut self, stopped: Option<Stopped>, fault: Fault) -> bool {
        let (start, len, is_open) = self.emitter.unwritten.look();
        self.signal_safe_put_at(start, len);
        if is_open {
            self.signal_safe_put(CLOSE);
        }
        let Stopped { has_ended, mut own, mut raw } = stopped.unwrap_or_default();
        if has_ended {
            return false;
        }
        for (number, stream) in [Stream::Stdout, Stream::Stderr].into_iter().enumerate() {
            own[number].finish(|run| self.signal_safe_say_run(Kind { stream, role: None, from_fd: false }, run));
            self.signal_safe_drain(stream, &mut raw[number]);
        }
        self.signal_safe_say_end(fault);
        true
    }

    /// Says what a raw pipe holds.
    ///
    /// Safe in a signal handler: `ioctl` and `read` into a static buffer.
    fn signal_safe_drain(&mut self, stream: Stream, decoder: &mut Decoder) {
        let Some(capture) = &self.emitter.capture else { return };
        let raw = capture.fds()[stream as usize];
        let kind = Kind { stream, role: None, from_fd: true };
        let mut left = sys::available(raw).min(MOST_RAW);
        let input = std::mem::take(&mut self.input);
        while left > 0 {
            let most = input.len().min(left);
            let Ok(size @ 1..) = sys::read(raw, &mut input[..most]) else { break };
            left -= size;
            decoder.feed(&input[..size], |run| self.signal_safe_say_run(kind, run));
        }
        decoder.finish(|run| self.signal_safe_say_run(kind, run));
        self.input = input;
    }

    /// Says a run of text, or of bytes that are none.
    ///
    /// Safe in a signal handler: it writes by way of a static buffer.
    fn signal_safe_say_run(&mut self, kind: Kind, run: Run<'_>) {
        self.signal_safe_write_line(|line| line.push_head(TextEncoding::Text, kind, false));
        // However long a cell's name is, it is said whole.
        let (start, len, _) = self.emitter.cell.look();
        self.signal_safe_put_at(start, len);
        self.signal_safe_write_line(|line| {
            match run {
                Run::Text(text) => {
                    line.open_text();
                    line.push_escaped(text);
                }
                Run::Bytes(bytes) => line.push_data(bytes),
            }
            line.close();
        });
    }

    /// Says `session_end`.
    ///
    /// Safe in a signal handler: it writes by way of a static buffer.
    fn signal_safe_say_end(&mut self, fault: Fault) {
        let input = std::mem::take(&mut self.input);
        let noted = notes::signal_safe_read(input);
        // The second dialect, which captures nothing, has no field for the signal.
        let names_signal = self.emitter.capture.is_some();
        self.signal_safe_write_line(|line| {
            line.push(b"{\"type\":\"session_end\",\"reason\":\"crash\",\"message\":\"");
            line.push(fault.signal.as_bytes());
            if let Some(address) = fault.address {
                line.push(b" at address 0x");
                line.push_hex(address);
            }
            if fault.is_limit {
                line.push(b" (the limit of CPU time is reached)");
            }
            if !noted.is_empty() {
                line.push(b": ");
                line.push_escaped(noted);
            }
            if names_signal {
                line.push(b"\",\"signal\":\"");
                line.push(fault.signal.as_bytes());
            }
            line.close();
        });
    }

    /// Writes a line, or a part of one, by way of the static buffer.
    ///
    /// Safe in a signal handler if `write` is: a [`LineWriter`] leaves out what does not fit and does not allocate.
    fn signal_safe_write_line(&mut self, write: impl FnOnce(&mut LineWriter<'_>)) {
        let output = std::mem::take(&mut self.output);
        let mut line = LineWriter::new(output);
        write(&mut line);
        self.signal_safe_put(line.written());
        self.output = output;
    }

    /// Writes as much as the supervisor takes in time.
    ///
    /// Safe in a signal handler: `write` and `poll`.
    fn signal_safe_put(&mut self, bytes: &[u8]) {
        self.signal_safe_put_at(bytes.as_ptr(), bytes.len());
    }

    /// The same of bytes that another thread may be changing: the kernel alone reads them.
    ///
    /// Safe in a signal handler: `write` and `poll`.
    fn signal_safe_put_at(&mut self, start: *const u8, len: usize) {
        let mut done = 0;
        while done < len && !self.has_given_up {
            // SAFETY: so many bytes are mapped there, as both callers see to.
            match unsafe { self.emitter.sink.try_write_at(start.add(done), len - done) } {
                Ok(written) => done += written,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let mut room = [sys::pollfd(self.emitter.sink.fd(), libc::POLLOUT)];
                    self.has_given_up = !sys::poll(&mut room, Some(WRITE_AT_FAULT));
                }
                Err(_) => self.has_given_up = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::capture::Capture;
    use crate::output::emitter::Sink;
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use sys::Wake;
    use worker_protocol::{EndReason, Event, SessionEnd, line};

    /// The buffers are one speaker's.
    static SPEAKER: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

    const FAULT: Fault = Fault { signal: "SIGSEGV", address: Some(0xab), is_limit: false };

    fn emitter() -> (Emitter, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let sink = Sink::new(ours.into()).unwrap();
        (
            Emitter::new(
                sink,
                Some(Capture::new().unwrap()),
                TextEncoding::Text,
                false,
                Arc::new(Wake::new().unwrap()),
            )
            .unwrap(),
            theirs,
        )
    }

    fn write_raw(emitter: &Emitter, stream: Stream, bytes: &[u8]) {
        sys::write_all(emitter.capture.as_ref().unwrap().writing_ends()[stream as usize], bytes).unwrap();
    }

    fn lines(theirs: &mut UnixStream) -> Vec<String> {
        let mut all = Vec::new();
        // It does not wait: what was said is there.
        let _ = theirs.read_to_end(&mut all);
        String::from_utf8(all).unwrap().lines().map(str::to_owned).collect()
    }

    fn say(emitter: &Emitter, can_wait: bool) {
        let _speaker = SPEAKER.lock();
        let stopped = if can_wait { stop(emitter) } else { None };
        // SAFETY: the lock sees to it that there is one at a time.
        assert!(unsafe { Words::signal_safe_new(emitter) }.signal_safe_say(stopped, FAULT));
    }

    fn end() -> String {
        let end = SessionEnd { signal: Some("SIGSEGV".into()), ..SessionEnd::new(EndReason::Crash) };
        let said = line(&Event::SessionEnd(end.with_message("SIGSEGV at address 0xab")));
        String::from_utf8(said).unwrap().trim_end().to_owned()
    }

    #[test]
    fn c5_everything_is_said_while_the_lock_is_held_for_ever() {
        let (emitter, theirs) = emitter();
        let id = format!("a\"\n{}", "long".repeat(50_000));
        emitter.append_and_set_cell(b"", Some(&id));
        assert_eq!(emitter.offer_text(Stream::Stdout, None, "open", false), 4);
        write_raw(&emitter, Stream::Stderr, b"raw");
        let lines = std::thread::scope(|scope| {
            // So much does not fit into a socket at once.
            theirs.set_nonblocking(false).unwrap();
            let said =
                scope.spawn(move || BufReader::new(theirs).lines().take(3).map(Result::unwrap).collect::<Vec<_>>());
            let crashed = emitter.lock();
            say(&emitter, false);
            drop(crashed);
            said.join().unwrap()
        });
        let name = serde_json::to_string(&id).unwrap();
        assert_eq!(lines[0], format!(r#"{{"type":"output_text","stream":"stdout","id":{name},"text":"open"}}"#));
        let raw = format!(r#"{{"type":"output_text","stream":"stderr","origin":"fd","id":{name},"text":"raw"}}"#);
        assert_eq!(lines[1..], [raw, end()]);
    }

    #[test]
    fn c5_the_last_words_are_the_emitters_own_in_form() {
        let raw = ["text\n\u{1}é".as_bytes(), b"\xffbytes\nand text", "é".as_bytes().split_at(1).0].concat();
        let said = |id: Option<&str>, last_words: bool| {
            let (emitter, mut theirs) = emitter();
            emitter.append_and_set_cell(b"", id);
            write_raw(&emitter, Stream::Stdout, &raw);
            if last_words {
                say(&emitter, true);
            } else {
                emitter.drain_capture_at_end();
                emitter.append_last(format!("{}\n", end()).as_bytes());
            }
            lines(&mut theirs)
        };
        for id in [None, Some("c1")] {
            let ordinary = said(id, false);
            assert_eq!(ordinary.len(), 5, "{ordinary:?}");
            assert_eq!(said(id, true), ordinary);
        }
    }

    #[test]
    fn c5_half_a_character_that_was_held_back_is_said() {
        let (emitter, mut theirs) = emitter();
        assert_eq!(emitter.offer_bytes(Stream::Stdout, None, &"é".as_bytes()[..1]), 1);
        write_raw(&emitter, Stream::Stderr, &"é".as_bytes()[..1]);
        emitter.drain_capture_at_end();
        write_raw(&emitter, Stream::Stderr, &"é".as_bytes()[1..]);
        say(&emitter, true);
        let lines = lines(&mut theirs);
        assert_eq!(lines[0], r#"{"type":"output_text","stream":"stdout","data_b64":"ww=="}"#);
        assert_eq!(lines[1], r#"{"type":"output_text","stream":"stderr","origin":"fd","text":"é"}"#);
    }
}
