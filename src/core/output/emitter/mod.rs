//! Everything that a session emits goes through here, in order, into one channel.
//!
//! Messages are appended to one buffer under a lock that guards memory alone: nobody waits for the channel while
//! holding it. Whoever has something to flush tries a write that does not wait; what does not fit is written by the
//! output thread (`output.rs`), and whoever finds the buffer full waits for the channel without the lock.
//!
//! Text is joined: small writes grow one open `output_text` at the end of the buffer, which is closed when it is
//! flushed, when something else is emitted, or when it is full. What the process's raw fds 1 and 2 hold is read, under
//! the same lock, before anything of ours is appended, so that both come in program order.

mod flush;
mod sink;
mod text;
mod unwritten;

pub(crate) use sink::Sink;

use crate::output::capture::Capture;
use crate::output::utf8::{Decoder, Run};
use crate::timeouts::FLUSH_AFTER;
use parking_lot::{Mutex, MutexGuard};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use sys::{Alarm, Waited, Wake};
use unwritten::{Published, Unwritten};
use worker_protocol::line_writer::{ESCAPED, HEAD, Kind, LineWriter, TextEncoding};
use worker_protocol::{MAX_TEXT, Role, Stream};

/// How much may wait for the channel before writers of text wait too.
const ROOM: usize = 512 << 10;
/// Size of the memory in which it waits; it grows for a picture, say.
const FIRST_SIZE: usize = 2 << 20;
const FIRST_SIZE_OF_CELL: usize = 64 << 10;
/// How much more answers of the control side may add; beyond it they are left out.
const ROOM_FOR_ANSWERS: usize = 4 << 20;
/// An open message with so much text is flushed.
const FLUSH_AT: usize = 32 << 10;
/// So much of what a failing start prints is repeated in its `session_end`.
const MOST_STARTUP_STDERR: usize = 4 << 10;
/// A wait for the channel was ended by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signal came while the output waited for the supervisor")]
pub struct Interrupted;

#[derive(Debug)]
struct OpenText {
    kind: Kind,
    text_len: usize,
}

/// The part under the lock.
#[derive(Debug)]
pub(crate) struct Out {
    unwritten: Unwritten,
    open: Option<OpenText>,
    /// `,"id":"…"` of the running cell, or nothing.
    cell: Unwritten,
    /// When the first byte came that nobody has tried to flush, in monotonic nanoseconds.
    unflushed_since: Option<u64>,
    alarm_is_set: bool,
    /// The output thread knows that there is more to write.
    pub(crate) is_backlogged: bool,
    own: [Decoder; 2],
    raw: [Decoder; 2],
    scratch: Vec<u8>,
    /// `session_end` has been emitted.
    has_ended: bool,
    /// The supervisor is gone: everything is dropped.
    is_gone: bool,
    accepted: u64,
    written: u64,
    /// What came from raw fd 2 while the runtime starts: why a start failed. None once it is up.
    startup_stderr: Option<Vec<u8>>,
}

/// The one place that writes events.
#[derive(Debug)]
pub(crate) struct Emitter {
    out: Mutex<Out>,
    pub(crate) sink: Sink,
    pub(crate) alarm: Alarm,
    /// Wakes the output thread.
    pub(crate) wake: Wake,
    pub(crate) capture: Option<Capture>,
    encode: TextEncoding,
    /// Text is in the channel before the call that printed it returns.
    flushes_each_write: bool,
    /// What is accepted and not yet written, for who cannot take the lock: after a fault.
    pub(crate) unwritten: Arc<Published>,
    /// The same for `,"id":"…"` of the running cell.
    pub(crate) cell: Arc<Published>,
    /// A write failed: nobody reads any more, or user code has closed the channel.
    has_lost_channel: AtomicBool,
    /// Set when that happens: ends the wait of whoever ends the session then.
    on_lost: Arc<Wake>,
}

/// What the last words are told of what the emitter holds back.
#[derive(Debug, Default)]
pub(crate) struct Stopped {
    /// `session_end` has been emitted, or nobody reads.
    pub has_ended: bool,
    /// Of each stream the beginning of a character: of what was printed, and of what was read from the raw pipes.
    pub own: [Decoder; 2],
    pub raw: [Decoder; 2],
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

impl Emitter {
    pub(crate) fn new(
        sink: Sink,
        capture: Option<Capture>,
        encode: TextEncoding,
        flushes_each_write: bool,
        on_lost: Arc<Wake>,
    ) -> io::Result<Emitter> {
        let out = Out {
            unwritten: Unwritten::new(FIRST_SIZE),
            open: None,
            cell: Unwritten::new(FIRST_SIZE_OF_CELL),
            unflushed_since: None,
            alarm_is_set: false,
            is_backlogged: false,
            own: Default::default(),
            raw: Default::default(),
            scratch: Vec::new(),
            has_ended: false,
            is_gone: false,
            accepted: 0,
            written: 0,
            startup_stderr: Some(Vec::new()),
        };
        Ok(Emitter {
            unwritten: out.unwritten.published(),
            cell: out.cell.published(),
            out: Mutex::new(out),
            sink,
            alarm: Alarm::new()?,
            wake: Wake::new()?,
            capture,
            encode,
            flushes_each_write,
            has_lost_channel: AtomicBool::new(false),
            on_lost,
        })
    }

    /// Takes as much of `text` as there is room for, without waiting, and tells how many bytes that was.
    ///
    /// `is_rest`: what came before of the same write has been taken by earlier calls.
    pub(crate) fn offer_text(&self, stream: Stream, role: Option<Role>, text: &str, is_rest: bool) -> usize {
        self.offer(|emitter, out| {
            let kind = Kind { stream, role, from_fd: false };
            emitter.release_own_tail(out, kind);
            let mut taken = 0;
            while taken < text.len() && emitter.has_room(out) {
                taken += emitter.append_piece(out, kind, &text[taken..], is_rest || taken > 0);
            }
            taken
        })
    }

    /// The same for bytes, which become text where they are UTF-8.
    pub(crate) fn offer_bytes(&self, stream: Stream, role: Option<Role>, bytes: &[u8]) -> usize {
        self.offer(|emitter, out| {
            let kind = Kind { stream, role, from_fd: false };
            let mut taken = 0;
            while taken < bytes.len() && emitter.has_room(out) {
                let piece = &bytes[taken..bytes.len().min(taken + MAX_TEXT)];
                if emitter.encode == TextEncoding::Base64 {
                    emitter.append_base64(out, kind, piece, taken > 0);
                } else {
                    let mut decoder = std::mem::take(&mut out.own[index(stream)]);
                    let mut is_rest = taken > 0;
                    decoder
                        .feed(piece, |run| emitter.append_run(out, kind, run, std::mem::replace(&mut is_rest, true)));
                    out.own[index(stream)] = decoder;
                }
                taken += piece.len();
            }
            taken
        })
    }

    fn offer(&self, append: impl FnOnce(&Self, &mut Out) -> usize) -> usize {
        let raw = self.readable();
        let mut out = self.out.lock();
        if out.is_gone || out.has_ended {
            return usize::MAX;
        }
        if raw != [false; 2] && !self.drain(&mut out, raw) {
            return 0;
        }
        let taken = append(self, &mut out);
        self.flush_if_due(&mut out);
        taken
    }

    /// Appends a message that owns its line, after everything emitted so far. Never waits.
    ///
    /// Callers that must keep the order of raw output call [`Emitter::drain_capture`] first.
    pub(crate) fn append(&self, line: &[u8]) {
        let mut out = self.out.lock();
        self.append_line(&mut out, line);
    }

    /// The same, then the id that output carries from now on changes: a cell starts or has ended.
    pub(crate) fn append_and_set_cell(&self, line: &[u8], id: Option<&str>) {
        let mut out = self.out.lock();
        self.close_tails(&mut out);
        if !line.is_empty() {
            self.append_line(&mut out, line);
        }
        self.close(&mut out);
        out.cell.clear();
        if let Some(id) = id {
            out.cell.append(HEAD + ESCAPED * id.len(), |room| {
                let mut line = LineWriter::new(room);
                line.push_cell(id);
                (line.written().len(), false)
            });
        }
    }

    /// Appends an answer of the control side; left out when too much waits already.
    pub(crate) fn append_answer(&self, line: &[u8]) {
        let mut out = self.out.lock();
        if out.unwritten.len() <= ROOM + ROOM_FOR_ANSWERS {
            self.append_line(&mut out, line);
            self.try_flush(&mut out);
        }
    }

    /// Appends the last message, unless it was appended before. Nothing is emitted after it.
    pub(crate) fn append_last(&self, line: &[u8]) {
        let mut out = self.out.lock();
        if out.has_ended {
            return;
        }
        self.close_tails(&mut out);
        self.append_line(&mut out, line);
        out.has_ended = true;
        self.try_flush(&mut out);
    }

    fn append_line(&self, out: &mut Out, line: &[u8]) {
        if out.is_gone || out.has_ended {
            return;
        }
        self.close(out);
        out.unwritten.append_all(line);
        out.accepted += line.len() as u64;
        self.mark_unflushed(out);
    }

    fn mark_unflushed(&self, out: &mut Out) {
        if out.unflushed_since.is_none() {
            out.unflushed_since = Some(sys::monotonic_ns());
        }
    }

    /// Reads what the raw pipes hold at this moment and appends it. Waits for room where there is none.
    pub(crate) fn drain_capture(&self, mask: Option<&libc::sigset_t>) -> Result<(), Interrupted> {
        while !self.try_drain_capture() {
            self.wait_for_channel(mask)?;
        }
        Ok(())
    }

    /// The same without waiting; false when there is no room.
    pub(crate) fn try_drain_capture(&self) -> bool {
        if self.capture.is_none() {
            // The supervisor reads the raw descriptors itself: what C code printed is there before the cell's end is emitted.
            sys::flush_c_stdout();
        }
        let raw = self.readable();
        let mut out = self.out.lock();
        if out.is_gone || out.has_ended || (raw == [false; 2] && self.has_room(&mut out)) {
            return true;
        }
        let is_done = self.drain(&mut out, raw) && self.has_room(&mut out);
        if is_done {
            self.flush_if_due(&mut out);
        }
        is_done
    }

    /// Reads what the raw pipes hold, room or not: the process is about to end.
    pub(crate) fn drain_capture_at_end(&self) {
        let mut rounds = 0;
        // A process that escaped and writes for ever must not hold up the end.
        while self.readable() != [false; 2] && rounds < 64 {
            let mut out = self.out.lock();
            self.drain_now(&mut out, [true; 2]);
            self.try_flush(&mut out);
            rounds += 1;
        }
    }

    /// What the runtime has printed to raw fd 2 since the start; `is_up`: it is not collected any more.
    pub(crate) fn take_startup_stderr(&self, is_up: bool) -> String {
        let mut out = self.out.lock();
        let said = if is_up { out.startup_stderr.take() } else { out.startup_stderr.clone() };
        String::from_utf8_lossy(&said.unwrap_or_default()).into_owned()
    }

    /// Which raw pipes hold something, after C's own buffer has been passed on to them.
    fn readable(&self) -> [bool; 2] {
        let Some(capture) = &self.capture else { return [false; 2] };
        sys::flush_c_stdout();
        capture.readable()
    }

    /// Reads the raw pipes into messages; false when there is no room for what they hold.
    pub(crate) fn drain(&self, out: &mut Out, raw: [bool; 2]) -> bool {
        if !self.has_room(out) {
            return false;
        }
        self.drain_now(out, raw);
        true
    }

    fn drain_now(&self, out: &mut Out, raw: [bool; 2]) {
        let Some(capture) = &self.capture else { return };
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !raw[index(stream)] {
                continue;
            }
            let kind = Kind { stream, role: None, from_fd: true };
            let mut scratch = std::mem::take(&mut out.scratch);
            let mut decoder = std::mem::take(&mut out.raw[index(stream)]);
            capture.read(stream, &mut scratch, |piece| {
                if let (Stream::Stderr, Some(said)) = (stream, &mut out.startup_stderr) {
                    said.extend_from_slice(&piece[..piece.len().min(MOST_STARTUP_STDERR.saturating_sub(said.len()))]);
                }
                decoder.feed(piece, |run| self.append_run(out, kind, run, false));
            });
            out.raw[index(stream)] = decoder;
            out.scratch = scratch;
        }
    }

    fn has_room(&self, out: &mut Out) -> bool {
        if out.unwritten.len() >= ROOM {
            self.try_flush(out);
        }
        out.unwritten.len() < ROOM || out.is_gone || out.has_ended
    }

    /// Nobody reads any more: from now on everything is dropped and nobody waits.
    pub(crate) fn set_gone(&self) {
        let mut out = self.out.lock();
        out.is_gone = true;
        self.try_flush(&mut out);
    }

    /// For the last words of a fault: from now on nobody else can say anything. None when the lock cannot be had in time.
    pub(crate) fn stop_for_fault(&self, limit: Duration) -> Option<Stopped> {
        let mut out = self.out.try_lock_for(limit)?;
        let has_ended = out.has_ended || out.is_gone;
        let stopped = Stopped { has_ended, own: std::mem::take(&mut out.own), raw: std::mem::take(&mut out.raw) };
        // Whoever wants to append or to write now waits for the death of the process.
        std::mem::forget(out);
        Some(stopped)
    }

    /// The output thread looks at the state that decides what it waits for.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Out> {
        self.out.lock()
    }
}
