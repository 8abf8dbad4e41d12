//! The end by C's `exit()`: a library that calls it ends the session, and that is reported like every other end.

#![expect(unsafe_code, reason = "C's exit handlers")]

use super::Engine;
use crate::signals::interrupt;
use crate::timeouts::{C_EXIT, STATE_AT_C_EXIT};
use parking_lot::Mutex;
use std::sync::OnceLock;
use worker_protocol::{EndReason, SessionEnd};

/// Held by the thread that emits the end.
static EMITTING: Mutex<()> = Mutex::new(());
static SESSION: OnceLock<Engine> = OnceLock::new();

/// From now on an `exit()` of this process is the end of the session, unless its end has been emitted by then.
pub(super) fn watch(engine: &Engine) {
    if SESSION.set(engine.clone()).is_err() {
        return;
    }
    // SAFETY: the handlers are plain C functions that live as long as the process. The one that is registered first runs last.
    unsafe {
        libc::atexit(wait_for_emitter);
        on_exit(at_exit, std::ptr::null_mut());
    }
}

unsafe extern "C" {
    fn on_exit(handler: extern "C" fn(libc::c_int, *mut libc::c_void), argument: *mut libc::c_void) -> libc::c_int;
}

extern "C" fn at_exit(status: libc::c_int, _argument: *mut libc::c_void) {
    emit_end(status);
}

/// C's library calls each handler once. So a second thread that calls `exit()` finds this one, and would else end the process
/// while the first is still speaking.
extern "C" fn wait_for_emitter() {
    if sys::is_own_process() {
        drop(EMITTING.try_lock_for(C_EXIT * 2));
    }
}

fn emit_end(status: libc::c_int) {
    let Some(engine) = SESSION.get() else { return };
    if !sys::is_own_process() {
        return;
    }
    let _speaker = EMITTING.lock();
    if interrupt::is_main_thread() {
        interrupt::block_signals();
    }
    let Some(state) = engine.0.state.try_lock_for(STATE_AT_C_EXIT) else { return };
    let (has_ended, is_up) = (state.has_ended(), !state.is_starting());
    drop(state);
    if has_ended {
        return;
    }
    let (reason, message) = match is_up {
        true => (EndReason::RuntimeExit, "native code called exit()"),
        false => (EndReason::StartupFailed, "native code called exit() while the runtime started"),
    };
    let mut end = SessionEnd::new(reason).with_message(message.to_owned());
    end.exit_code = Some(i64::from(status & 0xff));
    engine.drain_capture();
    engine.0.emitter.flush_within(C_EXIT);
    engine.end(Some(end));
}
