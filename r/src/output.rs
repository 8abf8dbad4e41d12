//! What R prints, on its way into the session: its stream, its role, and what has to be said before it.

#![expect(unsafe_code, reason = "callbacks that R calls, and R's global variables")]

use crate::console_ffi as ffi;
use crate::main_cell::MainCell;
use crate::{console, failure, plots, quit, result};
use libc::{c_char, c_int};
use std::ffi::CStr;
use worker::engine::Engine;
use worker::protocol::{Role, Stream};
use worker::{child, interrupt};

/// Something of ours runs in R, and nobody is to hear of it.
static MUTED: MainCell<bool> = MainCell::new(false);

/// Every write is in the channel before it returns: a supervisor of the second dialect reads the raw descriptors itself, and
/// has nothing else to tell the order by.
static UNBUFFERED: MainCell<bool> = MainCell::new(false);

/// From now on every write is in the channel before it returns.
pub(crate) fn do_not_buffer() {
    UNBUFFERED.set(true);
}

/// From now on what R prints is dropped, or no longer.
pub(crate) fn mute(is_muted: bool) {
    MUTED.set(is_muted);
}

/// `ptr_R_WriteConsoleEx`: `kind` is 0 for stdout and 1 for stderr.
pub(crate) unsafe extern "C-unwind" fn write_console(text: *const c_char, length: c_int, kind: c_int) {
    // SAFETY: R passes `length` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), usize::try_from(length).unwrap_or(0)) };
    if !write(bytes, if kind == 0 { Stream::Stdout } else { Stream::Stderr }) {
        interrupt::allow();
        // SAFETY: nothing in this frame has a destructor.
        unsafe { ffi::R_CheckUserInterrupt() };
    }
}

/// Says what R prints; false when an interrupt came while the channel was full, and the rest is lost.
fn write(bytes: &[u8], stream: Stream) -> bool {
    if child::in_child() {
        child::write_raw(stream, bytes);
        return true;
    }
    if MUTED.get() {
        return true;
    }
    if plots::has_new_page() && !failure::text_is_due() {
        plots::show_new_pages();
    }
    let role = match stream {
        Stream::Stdout => result::is_printed(console::is_at_top()).then_some(Role::Result),
        Stream::Stderr => failure::role_of_stderr(bytes),
    };
    console::with_engine(|engine| {
        let is_written = match std::str::from_utf8(bytes) {
            Ok(text) => write_text(engine, stream, role, text),
            Err(_) => held(|| engine.write_bytes(stream, role, bytes).is_ok()),
        };
        is_written && (!UNBUFFERED.get() || engine.try_flush() || held(|| engine.flush().is_ok()))
    })
}

fn write_text(engine: &Engine, stream: Stream, role: Option<Role>, text: &str) -> bool {
    let mut done = engine.offer(stream, role, text, false);
    while done < text.len() {
        if !held(|| engine.wait_for_room().is_ok()) {
            return false;
        }
        // More than there is once nobody reads any more.
        done = done.saturating_add(engine.offer(stream, role, &text[done..], true));
    }
    !engine.flushes_writes() || engine.try_flush() || held(|| engine.flush().is_ok())
}

/// Runs `wait` with SIGINT held, unless R has noted an interrupt already.
fn held(wait: impl FnOnce() -> bool) -> bool {
    let held = interrupt::hold();
    // SAFETY: R's flags.
    let is_pending =
        unsafe { libR_sys::R_interrupts_pending != 0 && libR_sys::R_interrupts_suspended == libR_sys::Rboolean::FALSE };
    let is_done = !is_pending && wait();
    drop(held);
    is_done
}

/// `ptr_R_FlushConsole`: what was printed is in the channel when this returns.
pub(crate) unsafe extern "C-unwind" fn flush_console() {
    // A flush that an interrupt ends is over; the interrupt acts where R looks for it next.
    console::with_engine(|engine| held(|| engine.flush().is_ok()));
}

/// `ptr_R_ResetConsole`: R leaves what it was at, after an error or an interrupt.
pub(crate) unsafe extern "C-unwind" fn reset_console() {
    failure::note_jump();
}

/// `ptr_R_ClearerrConsole`: there is nothing to clear.
pub(crate) unsafe extern "C-unwind" fn nothing() {}

/// `ptr_R_ShowMessage`.
pub(crate) unsafe extern "C-unwind" fn show_message(message: *const c_char) {
    // SAFETY: R passes a C string.
    let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    if !console::is_started() {
        quit::give_reason(&message);
    }
    write(format!("{message}\n").as_bytes(), Stream::Stderr);
}
