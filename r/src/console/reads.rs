//! Reads of standard input by R code: `readline`, `scan`, `menu`, `browser` and everything else that asks at the console.

#![expect(unsafe_code, reason = "called by R with R's values")]

use super::input_handlers;
use super::step::Step;
use crate::cell::{autoprint, conditions};
use crate::libr::{self, SEXP};
use crate::plots::show;
use crate::requests::answer;
use crate::runtime::{api, session, thread::RThread};
use crate::signals::interrupts;
use worker_core::Want;
use worker_core::engine::reader::{Ask, Got};
use worker_core::engine::wait;
use worker_core::process::fork;

/// What is left of reads of the running cell.
#[derive(Debug)]
struct Reads {
    /// What of a long line did not fit into R's buffer.
    rest: Vec<u8>,
    /// How often the running cell has read the end of file.
    ends: u32,
}

/// What is read is a password: `input_line` does not carry it.
static HIDDEN: RThread<bool> = RThread::new(false);

/// Called by `bootstrap.R` before and after it reads a password.
pub(crate) unsafe extern "C-unwind" fn hide(is_hidden: SEXP) -> SEXP {
    // SAFETY: `bootstrap.R` passes one truth value.
    HIDDEN.set(unsafe { libr::Rf_asLogical(is_hidden) } == 1);
    api::nil()
}

/// Of the running cell.
static READS: RThread<Reads> = RThread::new(Reads { rest: Vec::new(), ends: 0 });

/// How many reads of a cell get the end of file; the next one raises an interrupt. `recover()`'s menu reads again at the end of
/// file, and would do so for ever.
const ENDS_BEFORE_INTERRUPT: u32 = 1;

/// A cell is over: nothing that it left reaches the next one.
pub(crate) fn reset() {
    READS.with(|reads| *reads = Reads { rest: Vec::new(), ends: 0 });
    HIDDEN.set(false);
}

/// Whether it is a debugger that asks with this prompt.
pub(crate) fn is_browser(prompt: &str) -> bool {
    prompt.starts_with("Browse[")
}

/// Reads one line, or as much of it as fits.
pub(crate) fn read(prompt: &str, buffer: &mut [u8]) -> Step {
    if fork::in_child() {
        return Step::Return(0);
    }
    if READS.with(|reads| !reads.rest.is_empty()) {
        return Step::Return(deliver(buffer));
    }
    let is_debugger = is_browser(prompt);
    if is_debugger {
        // R itself comes back to the browser after an interrupt; the interrupt was meant for the cell.
        if conditions::is_debugger_interrupted() {
            return Step::ToTop;
        }
        autoprint::note_debugger_eval();
    }
    show::show_changes();
    let engine = session::engine();
    let mut reader = engine.reader(Ask { prompt, hidden: HIDDEN.get(), want: Want::Line });
    loop {
        let mut sources = input_handlers::sources();
        let Ok(got) = wait(&interrupts::Raised::Always, || reader.wait(&mut sources.fds, sources.every)) else {
            return Step::Interrupt;
        };
        match got {
            Got::Data(data) if data.is_empty() => {
                let ends = READS.with(|reads| {
                    reads.ends += 1;
                    reads.ends
                });
                return if ends > ENDS_BEFORE_INTERRUPT { Step::Interrupt } else { Step::Return(0) };
            }
            Got::Data(data) => {
                READS.with(|reads| reads.rest = data);
                return Step::Return(deliver(buffer));
            }
            Got::Request(request) => answer::answer(&engine, &request, is_debugger),
            Got::Poll if input_handlers::serve() => return Step::Interrupt,
            Got::Poll => {}
        }
    }
}

/// Moves what fits into R's buffer, ended with a NUL.
fn deliver(buffer: &mut [u8]) -> i32 {
    READS.with(|reads| {
        let count = reads.rest.len().min(buffer.len() - 1);
        buffer[..count].copy_from_slice(&reads.rest[..count]);
        buffer[count] = 0;
        reads.rest.drain(..count);
    });
    1
}
