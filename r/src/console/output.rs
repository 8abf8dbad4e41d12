//! What R prints: its stream and its role, after the pictures that were drawn before it.

#![expect(unsafe_code, reason = "callbacks that R calls, and R's global variables")]

use super::clean_up;
use crate::cell::{autoprint, conditions};
use crate::libr::{self, by_name::looked_up};
use crate::plots::show;
use crate::runtime::own::is_muted;
use crate::runtime::{api, session, top};
use crate::signals::interrupts::Raised;
use libc::{c_char, c_int};
use std::ffi::CStr;
use worker_core::engine::{Engine, wait};
use worker_core::process::fork;
use worker_core::signals::interrupt;
use worker_protocol::{Role, Stream};

/// `ptr_R_WriteConsoleEx`: `kind` is 0 for stdout and 1 for stderr.
pub(crate) unsafe extern "C-unwind" fn write_console(text: *const c_char, length: c_int, kind: c_int) {
    api::reserve();
    // SAFETY: R passes `length` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), usize::try_from(length).unwrap_or(0)) };
    if !write(bytes, if kind == 0 { Stream::Stdout } else { Stream::Stderr }) {
        interrupt::unblock_signals();
        // SAFETY: nothing in this frame has a destructor.
        unsafe { libr::R_CheckUserInterrupt() };
    }
    if looked_up().take_unknown_interrupt() {
        interrupt::unblock_signals();
        // SAFETY: as above.
        unsafe { libr::Rf_onintr() };
    }
}

/// Says what R prints; false when an interrupt came while the channel was full, and the rest is lost.
fn write(bytes: &[u8], stream: Stream) -> bool {
    if is_muted() {
        return true;
    }
    if fork::in_child() {
        fork::write_raw(stream, bytes);
        return true;
    }
    let role = match stream {
        Stream::Stdout if conditions::is_error_on_stdout() => Some(Role::Traceback),
        Stream::Stdout => autoprint::is_printed(top::is_at_top()).then_some(Role::Result),
        Stream::Stderr => conditions::role_of_stderr(bytes),
    };
    // R is in the middle of an error when it prints its text; what was drawn before has been shown.
    if role != Some(Role::Traceback) && show::has_new_page() {
        show::show_new_pages();
    }
    emit(bytes, stream, role)
}

/// Says `bytes` and calls nothing of R's; false as for [`write()`].
fn emit(bytes: &[u8], stream: Stream, role: Option<Role>) -> bool {
    session::with_engine(|engine| match std::str::from_utf8(bytes) {
        Ok(text) => write_text(engine, stream, role, text),
        Err(_) => write_all(engine, bytes.len(), |done| engine.offer_bytes(stream, role, &bytes[done..])),
    })
}

/// Says text; false as for [`write()`].
fn write_text(engine: &Engine, stream: Stream, role: Option<Role>, text: &str) -> bool {
    write_all(engine, text.len(), |done| engine.offer(stream, role, &text[done..], done > 0))
}

/// Offers what is left until all is taken; false when an interrupt came first.
fn write_all(engine: &Engine, size: usize, mut offer: impl FnMut(usize) -> usize) -> bool {
    let mut done = offer(0);
    while done < size {
        if wait(&Raised::UnlessSuspended, || engine.wait_for_room()).is_err() {
            return false;
        }
        // More than there is once nobody reads any more.
        done = done.saturating_add(offer(done));
    }
    !engine.flushes_writes() || engine.try_flush() || wait(&Raised::UnlessSuspended, || engine.flush()).is_ok()
}

/// `ptr_R_FlushConsole`: what was printed is in the channel when this returns.
pub(crate) unsafe extern "C-unwind" fn flush_console() {
    // A flush that an interrupt ends is over; R raises the interrupt where it checks for it next.
    session::with_engine(|engine| wait(&Raised::UnlessSuspended, || engine.flush()).is_ok());
}

/// `ptr_R_ResetConsole`: R is about to jump to its top level, after an error or an interrupt.
pub(crate) unsafe extern "C-unwind" fn reset_console() {
    conditions::note_jump();
}

/// `ptr_R_ClearerrConsole`: there is nothing to clear.
pub(crate) unsafe extern "C-unwind" fn nothing() {}

/// `ptr_R_ShowMessage`: a message that R does not print, such as why it gives up. Calls nothing of R's, as R may be about to
/// end.
pub(crate) unsafe extern "C-unwind" fn show_message(message: *const c_char) {
    // SAFETY: R passes a C string.
    let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    if !session::is_started() {
        clean_up::give_reason(&message);
    }
    let line = format!("{message}\n");
    if fork::in_child() {
        fork::write_raw(Stream::Stderr, line.as_bytes());
    } else {
        emit(line.as_bytes(), Stream::Stderr, None);
    }
}
