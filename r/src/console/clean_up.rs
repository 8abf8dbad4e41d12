//! The end of R: `.Last`, finalizers and the rest of what R's own front end does, then the session's end.

#![expect(unsafe_code, reason = "calls R's finalisation")]

use crate::libr;
use crate::plots::pages;
use crate::runtime::{session, thread::RThread};
use libc::c_int;
use worker_core::process::fork;
use worker_core::signals::interrupt;
use worker_protocol::{EndReason, SessionEnd};

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has not begun.
    None,
    /// `.Last` has been called.
    LastCalled,
    /// Nothing of the user's at top level runs any more.
    Finalising,
}

/// How far the end of R has come.
static STAGE: RThread<Stage> = RThread::new(Stage::None);
/// Why R gave up, in its own words.
static GIVEN_UP: RThread<Option<String>> = RThread::new(None);

/// R's `SA_TYPE`: save the workspace.
const SA_SAVE: c_int = 4;
/// Ask whether to save it.
const SA_SAVEASK: c_int = 5;
/// End at once: R cannot go on.
pub(crate) const SA_SUICIDE: c_int = 6;

/// Keeps the reason why R cannot go on, for the message of `session_end`.
pub(crate) fn give_reason(message: &str) {
    GIVEN_UP.with(|reason| *reason = Some(message.to_owned()));
}

/// `ptr_R_CleanUp`: `quit()` and R's own fatal errors. Jumps when `.Last` raises an error: then R goes on, as at its prompt.
pub(crate) unsafe extern "C-unwind" fn clean_up(save: c_int, status: c_int, run_last: c_int) {
    // SAFETY: R calls this at a moment when it may end.
    unsafe {
        let save = if save == SA_SAVEASK { ask_to_save() } else { save };
        end(EndedBy::Runtime { save, status, run_last: run_last != 0 })
    }
}

/// Who wants the end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EndedBy {
    /// R itself, by `quit()` or because it cannot go on.
    Runtime {
        /// What to do about the workspace.
        save: c_int,
        /// The exit status.
        status: c_int,
        /// Whether `.Last` is to run.
        run_last: bool,
    },
    /// The supervisor.
    Supervisor,
}

/// Finalises R and ends the process. May jump while `.Last` runs; nothing here has a destructor before that is over.
pub(crate) unsafe fn end(ended_by: EndedBy) -> ! {
    let (save, status, run_last) = match ended_by {
        EndedBy::Runtime { save, status, run_last } => (save, status, run_last),
        EndedBy::Supervisor => (0, 0, true),
    };
    let is_fatal = save == SA_SUICIDE;
    interrupt::unblock_signals();
    // SAFETY: R's own order of finalisation.
    unsafe {
        // A `.Last` that failed when the supervisor wanted the end has had its turn.
        let has_had_its_turn = matches!(ended_by, EndedBy::Supervisor) && STAGE.get() == Stage::LastCalled;
        if run_last && !is_fatal && !has_had_its_turn && STAGE.get() != Stage::Finalising && session::is_started() {
            STAGE.set(Stage::LastCalled);
            libr::R_dot_Last();
        }
        if save == SA_SAVE {
            libr::R_SaveGlobalEnv();
        }
    }
    let is_again = STAGE.get() == Stage::Finalising;
    STAGE.set(Stage::Finalising);
    begin_exit(reason(ended_by, status).as_ref());
    // SAFETY: as above; nothing is owned here. R prints an error in a finalizer and goes on. After a jump from here R's
    // prompt asks, and this is called again.
    unsafe {
        if !is_again {
            libr::R_RunExitFinalizers();
        }
        libr::Rf_CleanEd();
        if !is_fatal {
            libr::Rf_KillAllDevices();
        }
        libr::R_CleanTempDir();
    }
    interrupt::block_signals();
    pages::remove_files();
    let code = session::engine().end(reason(ended_by, status));
    // SAFETY: R's own front end ends in exit() as well, so that libraries' exit handlers run.
    unsafe { libc::exit(if fork::in_child() { status } else { code }) }
}

/// No cell is taken from now on; with `end`, because the user's code wants it so.
fn begin_exit(end: Option<&SessionEnd>) {
    if fork::in_child() {
        return;
    }
    let engine = session::engine();
    match end {
        Some(end) => engine.begin_exit(end),
        None => engine.begin_finalizing(),
    }
}

/// What `session_end` reports; none when the supervisor wanted the end.
fn reason(ended_by: EndedBy, status: c_int) -> Option<SessionEnd> {
    let EndedBy::Runtime { .. } = ended_by else {
        return None;
    };
    let given_up = GIVEN_UP.with(|given_up| given_up.clone());
    if session::is_started() {
        let end = SessionEnd { exit_code: Some(i64::from(status)), ..SessionEnd::new(EndReason::RuntimeExit) };
        return Some(SessionEnd { message: given_up, ..end });
    }
    let message = match given_up {
        Some(message) => format!("R did not start: {message}"),
        None => format!(
            "R ended with status {status} while it started: a profile (Rprofile.site, .Rprofile) called quit(); \
             `R --no-init-file --no-site-file` tells which"
        ),
    };
    Some(SessionEnd { exit_code: Some(1), ..SessionEnd::new(EndReason::StartupFailed).with_message(message) })
}

/// `quit("ask")`: asks as R does. Jumps to the top level when the answer is to go on.
unsafe fn ask_to_save() -> c_int {
    loop {
        let mut buffer = [0u8; 64];
        // SAFETY: the console's reader, with a buffer of the size that it is told.
        let count = unsafe {
            libr::ptr_R_ReadConsole
                .map_or(0, |read| read(c"Save workspace image? [y/n/c]: ".as_ptr(), buffer.as_mut_ptr(), 64, 0))
        };
        match buffer[0] {
            _ if count == 0 => return 3,
            b'y' | b'Y' => return SA_SAVE,
            b'n' | b'N' => return 3,
            // SAFETY: nothing here has a destructor.
            b'c' | b'C' => unsafe { libr::Rf_jump_to_toplevel() },
            _ => {}
        }
    }
}
