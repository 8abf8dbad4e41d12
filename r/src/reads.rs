//! Reads of standard input by R code: `readline`, `scan`, `menu`, `browser` and everything else that asks at the console.

#![expect(unsafe_code, reason = "called by R with R's values")]

use crate::console::{self, Step};
use crate::libr::{self, SEXP};
use crate::main_cell::MainCell;
use crate::{events, failure, plots, rapi, requests, result};
use worker::reader::{Ask, Got};
use worker::{Want, child, interrupt};

#[derive(Debug)]
struct Reads {
    /// What of a long line did not fit into R's buffer.
    rest: Vec<u8>,
    /// How often the running cell has read the end of file.
    ends: u32,
}

/// What is typed is a password: it is not said.
static HIDDEN: MainCell<bool> = MainCell::new(false);

/// Called by `bootstrap.R` before and after it reads a password.
pub(crate) unsafe extern "C-unwind" fn hide(is_hidden: SEXP) -> SEXP {
    // SAFETY: `bootstrap.R` passes one truth value.
    HIDDEN.set(unsafe { libr::Rf_asLogical(is_hidden) } == 1);
    rapi::nil()
}

static READS: MainCell<Reads> = MainCell::new(Reads { rest: Vec::new(), ends: 0 });

/// A reader that asks on at the end of file, as `recover()`'s menu does, would ask for ever: the next such read after so
/// many is an interrupt.
const ENDS_BEFORE_INTERRUPT: u32 = 1;

/// A cell is over: nothing that it left reaches the next one.
pub(crate) fn forget() {
    READS.with(|reads| *reads = Reads { rest: Vec::new(), ends: 0 });
    HIDDEN.set(false);
}

/// Reads one line, or as much of it as fits.
pub(crate) fn read(prompt: &str, buffer: &mut [u8]) -> Step {
    if child::in_child() {
        return Step::Return(0);
    }
    if READS.with(|reads| !reads.rest.is_empty()) {
        return Step::Return(deliver(buffer));
    }
    let is_debugger = console::is_browser(prompt);
    if is_debugger {
        // R itself comes back to the browser after an interrupt; the interrupt was meant for the cell.
        if failure::is_debugger_interrupted() {
            return Step::ToTop;
        }
        result::spoil();
    }
    plots::show_changes();
    let engine = console::engine();
    let mut reader = engine.reader(Ask { prompt, hidden: HIDDEN.get(), want: Want::Line });
    loop {
        let held = interrupt::hold();
        if console::interrupt_is_pending() {
            return Step::Interrupt;
        }
        let mut sources = events::sources();
        let got = reader.wait(&mut sources.fds, sources.every);
        drop(held);
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
            Got::Signal if console::interrupt_is_pending() => return Step::Interrupt,
            Got::Signal => {}
            Got::Request(request) => requests::answer(&engine, &request, is_debugger),
            Got::Poll if events::serve() => return Step::Interrupt,
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
