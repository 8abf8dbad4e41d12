//! What a runtime emits through its session: text, bytes and pictures.

use super::Engine;
use crate::output::emitter::Interrupted;
use crate::process::fork;
use crate::signals::interrupt;
use base64::Engine as _;
use worker_protocol::{Event, Role, Stream};

/// A picture to show.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Its type, such as `image/png`.
    pub mime_type: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// What it is a picture of.
    pub source: Option<&'a str>,
    /// It replaces the last picture of the same source.
    pub is_update: bool,
    /// Width and height in pixels, where known.
    pub size: Option<(u32, u32)>,
}

impl Engine {
    /// Takes as much of `text` as there is room for, without waiting; how many bytes that was, or more than there are when
    /// nobody reads any more. `is_rest`: earlier calls took the beginning.
    pub fn offer(&self, stream: Stream, role: Option<Role>, text: &str, is_rest: bool) -> usize {
        self.0.emitter.offer_text(stream, role, text, is_rest)
    }

    /// The same for bytes.
    pub fn offer_bytes(&self, stream: Stream, role: Option<Role>, bytes: &[u8]) -> usize {
        self.0.emitter.offer_bytes(stream, role, bytes)
    }

    /// Waits until the channel takes more. Detached from the runtime's lock; on the main thread with SIGINT held, a
    /// signal ends the wait.
    pub fn wait_for_room(&self) -> Result<(), Interrupted> {
        let mask = interrupt::is_main_thread().then(interrupt::open_mask);
        self.0.emitter.wait_for_channel(mask.as_ref())
    }

    /// Writes all of `text`, waiting where there is no room. The same rules as [`Engine::wait_for_room`].
    pub fn write(&self, stream: Stream, role: Option<Role>, text: &str) -> Result<(), Interrupted> {
        if fork::in_child() {
            fork::write_raw(stream, text.as_bytes());
            return Ok(());
        }
        let mut done = 0;
        loop {
            let taken = self.offer(stream, role, &text[done..], done > 0);
            if taken >= text.len() - done {
                return if self.flushes_writes() { self.flush() } else { Ok(()) };
            }
            done += taken;
            self.wait_for_room()?;
        }
    }

    /// Whether text must be in the channel before the call that writes it returns: whoever uses
    /// [`Engine::offer`] then flushes after it.
    pub fn flushes_writes(&self) -> bool {
        self.0.policy.flushes_each_write
    }

    /// Tries to put everything into the channel without waiting; true when nothing is left.
    pub fn try_flush(&self) -> bool {
        fork::in_child() || self.0.emitter.flush()
    }

    /// Returns once everything accepted so far is in the channel. The same rules as [`Engine::wait_for_room`].
    pub fn flush(&self) -> Result<(), Interrupted> {
        if fork::in_child() {
            return Ok(());
        }
        let mask = interrupt::is_main_thread().then(interrupt::open_mask);
        self.0.emitter.flush_and_wait(mask.as_ref())
    }

    /// Shows a picture, after everything printed so far.
    pub fn image(&self, image: &Image<'_>) {
        if fork::in_child() {
            return;
        }
        {
            // An interrupt ends the wait for room: one picture more than there is room for does no harm.
            let held = interrupt::is_main_thread().then(interrupt::block_sigint);
            let mask = held.as_ref().map(|_| interrupt::open_mask());
            let _ = self.0.emitter.drain_capture(mask.as_ref());
        }
        let data = base64::engine::general_purpose::STANDARD.encode(image.bytes);
        let state = self.0.state.lock();
        let cell = state.running().map(|running| running.cell.clone());
        self.0.emit(&Event::OutputImage {
            mime_type: image.mime_type,
            data_b64: &data,
            source: image.source,
            is_update: image.is_update,
            width: image.size.map(|size| size.0),
            height: image.size.map(|size| size.1),
            id: cell.as_ref().and_then(|cell| cell.id.as_deref()),
        });
        drop(state);
        self.0.emitter.flush();
    }
}
