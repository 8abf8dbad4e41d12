//! R's console callbacks: where R asks for its next line, and where it prints.
//!
//! R calls these in the middle of an evaluation, and some of what they do jumps. So the reader is a loop over steps: ordinary
//! code decides on a [`Step`] and returns, and the callback, which owns nothing, takes it.

#![expect(unsafe_code, reason = "callbacks that R calls, and R's global variables")]

use super::clean_up::{self, EndedBy};
use super::reads::{self, is_browser};
use super::step::Step;
use super::{input_handlers, output};
use crate::bootstrap;
use crate::cell::source::{self, Parsed, SOURCE};
use crate::cell::{autoprint, conditions, direct_eval, handler};
use crate::libr;
use crate::plots::show;
use crate::requests::answer;
use crate::runtime::own::own;
use crate::runtime::session::{self, Phase};
use crate::runtime::{api, thread::RThread, top};
use crate::signals::interrupts;
use libc::{c_char, c_int, c_uchar};
use std::ffi::CStr;
use worker_core::engine::Turn;
use worker_core::process::fork;
use worker_core::signals::interrupt;
use worker_protocol::{ErrorInfo, Outcome, RuntimeInfo};

/// The worker's own R code has been begun.
static IS_BOOTSTRAPPED: RThread<bool> = RThread::new(false);
/// R has evaluated the expression that it was given.
static EVALUATED: RThread<bool> = RThread::new(false);

/// Puts the callbacks in R's place. After `Rf_initialize_R`, which puts its own there.
pub(crate) fn install() {
    // SAFETY: R reads these when it runs, which it does not yet.
    unsafe {
        libr::R_Outputfile = std::ptr::null_mut();
        libr::R_Consolefile = std::ptr::null_mut();
        libr::ptr_R_ReadConsole = Some(read_console);
        libr::ptr_R_WriteConsole = None;
        libr::ptr_R_WriteConsoleEx = Some(output::write_console);
        libr::ptr_R_ResetConsole = Some(output::reset_console);
        libr::ptr_R_ClearerrConsole = Some(output::nothing);
        libr::ptr_R_FlushConsole = Some(output::flush_console);
        libr::ptr_R_Busy = Some(busy);
        libr::ptr_R_ShowMessage = Some(output::show_message);
        libr::ptr_R_CleanUp = Some(clean_up::clean_up);
    }
}

/// `ptr_R_ReadConsole`.
pub(crate) unsafe extern "C-unwind" fn read_console(
    prompt: *const c_char,
    buffer: *mut c_uchar,
    size: c_int,
    _add_to_history: c_int,
) -> c_int {
    api::reserve();
    let mut step = ask(prompt, buffer, size);
    loop {
        // SAFETY: nothing in this frame has a destructor, so each of these may jump.
        step = unsafe {
            match step {
                Step::Return(count) => return count,
                Step::Bootstrap => {
                    bootstrap::run();
                    handler::put();
                    started();
                    next_turn()
                }
                Step::Handle => {
                    handler::put();
                    Step::Parse
                }
                Step::HandleAgain => {
                    handler::put();
                    begin_expression(buffer, size)
                }
                Step::Parse => match source::parse() {
                    Parsed::Whole => parsed(buffer, size),
                    Parsed::Broken => Step::ParseError,
                },
                Step::Evaluate => {
                    interrupt::unblock_signals();
                    direct_eval::evaluate();
                    give_empty_line(buffer)
                }
                Step::ParseError => {
                    interrupt::unblock_signals();
                    source::raise();
                    Step::ToTop
                }
                Step::InterruptFirst => {
                    libr::Rf_onintr();
                    Step::Return(1)
                }
                Step::Interrupt => {
                    interrupt::unblock_signals();
                    libr::Rf_onintr();
                    ask(prompt, buffer, size)
                }
                Step::ToTop => {
                    interrupt::unblock_signals();
                    libr::Rf_jump_to_toplevel()
                }
                Step::End(wish) => clean_up::end(wish),
            }
        };
    }
}

/// Decides on the first step of a read: R's own prompt gets the next piece of a cell, any other reader a line of stdin.
fn ask(prompt: *const c_char, buffer: *mut c_uchar, size: c_int) -> Step {
    // SAFETY: R passes a C string.
    let prompt = unsafe { CStr::from_ptr(prompt) }.to_string_lossy();
    // A browser at the top level reads with no call active, as R's own prompt does. Where R's contexts are known, it has its own.
    if top::is_at_top() && !is_browser(&prompt) {
        interrupt::block_signals();
        // SAFETY: R's buffer has at least one byte.
        let has_jumped = unsafe { *buffer } == 0;
        return match session::phase() {
            Phase::Starting => begin(),
            Phase::Idle => next_turn(),
            Phase::Running => go_on(has_jumped, buffer, size),
        };
    }
    // SAFETY: R passes a buffer of `size` bytes.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, size.max(2) as usize) };
    reads::read(&prompt, buffer)
}

/// Says the first `ready`.
fn started() {
    session::set_phase(Phase::Idle);
    session::engine().started(&runtime());
    interrupts::clear();
}

/// R is up. When this is asked again, R has left our own code by an error, and its text has been printed.
fn begin() -> Step {
    if IS_BOOTSTRAPPED.with(|is_tried| std::mem::replace(is_tried, true)) {
        clean_up::give_reason("the worker's own R code failed; does `R --vanilla` start and have its base packages?");
        return Step::End(EndedBy::Runtime { save: clean_up::SA_SUICIDE, status: 1, run_last: false });
    }
    interrupts::clear();
    Step::Bootstrap
}

/// An expression has ended, or a piece of it is taken.
fn go_on(has_jumped: bool, buffer: *mut c_uchar, size: c_int) -> Step {
    if has_jumped {
        let (outcome, error) = outcome_of_jump();
        return finish(outcome, error.as_ref());
    }
    if SOURCE.with(|source| source.has_rest()) {
        return fill(buffer, size);
    }
    // `system(timeout = )` has a handler of its own, which stops the command and does not set R's flag.
    if interrupts::is_pending() || interrupt::take_unseen_sigint() {
        return Step::Interrupt;
    }
    if !EVALUATED.get() {
        // What the parser took for a whole expression its prompt does not; a further line end would not help.
        return Step::ParseError;
    }
    if SOURCE.with(source::Source::advance) {
        if !handler::is_in_place() {
            return Step::HandleAgain;
        }
        return begin_expression(buffer, size);
    }
    finish(Outcome::Ok, None)
}

/// How the expression ended that R jumped out of. Code of the user's may run.
fn outcome_of_jump() -> (Outcome, Option<ErrorInfo>) {
    interrupt::unblock_signals();
    let outcome_of_jump = conditions::outcome();
    interrupt::block_signals();
    outcome_of_jump
}

/// The cell is over: reports its outcome, and waits for the next.
fn finish(outcome: Outcome, error: Option<&ErrorInfo>) -> Step {
    if fork::in_child() {
        return Step::End(EndedBy::Runtime { save: 0, status: 0, run_last: false });
    }
    show::show_changes();
    session::engine().finish_cell(&interrupts::Raised::Always, outcome, error);
    interrupts::clear();
    reads::reset();
    autoprint::end();
    session::set_phase(Phase::Idle);
    next_turn()
}

/// Waits for the next cell and serves requests and R's event handlers meanwhile.
fn next_turn() -> Step {
    let engine = session::engine();
    loop {
        let mut sources = input_handlers::sources();
        match engine.next(&mut sources.fds, sources.every) {
            Turn::Cell(cell) => {
                interrupts::clear();
                interrupts::install();
                conditions::begin();
                session::set_phase(Phase::Running);
                SOURCE.with(|source| source.load(cell.code));
                return if handler::is_in_place() { Step::Parse } else { Step::Handle };
            }
            Turn::Request(request) => {
                answer::answer(&engine, &request, false);
            }
            Turn::Signal => interrupts::clear(),
            Turn::Poll => {
                engine.serve(input_handlers::serve);
                interrupts::clear();
                show::show_changes();
            }
            Turn::End => return Step::End(EndedBy::Supervisor),
        }
    }
}

/// The cell is parsed.
fn parsed(buffer: *mut c_uchar, size: c_int) -> Step {
    if SOURCE.with(source::Source::advance) {
        return begin_expression(buffer, size);
    }
    finish(Outcome::Ok, None)
}

/// Hands over the current expression, or has it evaluated here.
fn begin_expression(buffer: *mut c_uchar, size: c_int) -> Step {
    conditions::begin();
    EVALUATED.set(false);
    autoprint::begin(SOURCE.with(|source| source.is_last()));
    if SOURCE.with(|source| source.wants_direct_eval()) {
        return Step::Evaluate;
    }
    fill(buffer, size)
}

/// Lets R's prompt go round once, which prints the warnings that are due.
fn give_empty_line(buffer: *mut c_uchar) -> Step {
    EVALUATED.set(true);
    // SAFETY: R's buffer has room for more than two bytes.
    unsafe { buffer.copy_from(c"\n".as_ptr().cast(), 2) };
    Step::Return(1)
}

/// Hands over the next piece, unless an interrupt has come meanwhile.
fn fill(buffer: *mut c_uchar, size: c_int) -> Step {
    // SAFETY: R passes a buffer of `size` bytes.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, size.max(8) as usize) };
    SOURCE.with(|source| source.fill(buffer));
    if fork::in_child() {
        return Step::Return(1);
    }
    interrupt::unblock_signals();
    if interrupts::is_pending() { Step::InterruptFirst } else { Step::Return(1) }
}

/// R begins or ends to evaluate.
unsafe extern "C-unwind" fn busy(is_busy: c_int) {
    if is_busy != 0 {
        EVALUATED.set(true);
    }
}

/// What R this is.
fn runtime() -> RuntimeInfo {
    let version = api::strings(api::binding(api::symbol(c"version"), own())).concat();
    let home = std::env::var("R_HOME").unwrap_or_default();
    RuntimeInfo { name: "R".to_owned(), version, executable: None, home: Some(home.clone()), prefix: home }
}
