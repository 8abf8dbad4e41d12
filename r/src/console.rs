//! R's console callbacks: where R asks for its next line, and where it prints.
//!
//! R calls these from deep inside itself, and some of what they do leaves by a jump. So each callback is a loop over steps:
//! ordinary code decides on a [`Step`] and returns, and the callback, which owns nothing, takes it.

#![expect(unsafe_code, reason = "callbacks that R calls, and R's global variables")]

use crate::feed::{self, FEED, Parsed};
use crate::libr::{self, by_name::looked_up};
use crate::main_cell::MainCell;
use crate::quit::{self, Wish};
use crate::{bootstrap, events, failure, large, output, plots, reads, requests, result};
use libc::{c_char, c_int, c_uchar};
use std::ffi::CStr;
use worker::config::PlotSize;
use worker::engine::{Engine, Turn};
use worker::protocol::{ErrorInfo, Outcome, SessionEnd};
use worker::{child, interrupt};

/// The session, once it is open.
static ENGINE: MainCell<Option<Engine>> = MainCell::new(None);
static PHASE: MainCell<Phase> = MainCell::new(Phase::Starting);
/// R's innermost context while its own prompt asks.
static TOP: MainCell<Option<*mut libr::Context>> = MainCell::new(None);
/// R is set up, and TOP is known.
static HAS_TOP: MainCell<bool> = MainCell::new(false);
static PLOT: MainCell<PlotSize> = MainCell::new(PlotSize { width: 7.0, height: 5.0, dpi: 96.0 });
/// The worker's own R code has been begun.
static IS_BOOTSTRAPPED: MainCell<bool> = MainCell::new(false);
/// R has evaluated what it was fed.
static EVALUATED: MainCell<bool> = MainCell::new(false);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// R comes up; profiles run.
    Starting,
    /// Between cells.
    Idle,
    /// In a cell.
    Running,
}

/// What a callback does next, in a frame without destructors.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Give R what is in its buffer; 0 is the end of file.
    Return(c_int),
    /// Make the worker's functions and say that R is up.
    Bootstrap,
    /// Put the error handler back below the user's, then parse the cell that is loaded.
    Handle,
    /// The same, then begin with the current expression: the one before it has changed the user's.
    HandleAgain,
    /// Parse the cell that is loaded.
    Parse,
    /// Evaluate the current expression here, and let R's prompt have an empty line.
    Evaluate,
    /// Raise the parser's error.
    ParseError,
    /// Raise the interrupt that is pending; if that comes back, give R what is in its buffer.
    InterruptFirst,
    /// Raise the interrupt; if that comes back, ask again.
    Interrupt,
    /// Leave everything that is active, browsers included.
    ToTop,
    /// Finalise R and end the process.
    End(Wish),
}

/// The session. It is open before any callback can run.
pub(crate) fn engine() -> Engine {
    ENGINE.with(|engine| engine.clone()).expect("the session is opened before R is")
}

/// Runs `body` with the session, without a handle of its own.
pub(crate) fn with_engine(body: impl FnOnce(&Engine) -> bool) -> bool {
    ENGINE.with(|engine| engine.as_ref().is_none_or(body))
}

/// Puts the callbacks in R's place. After `Rf_initialize_R`, which puts its own there.
pub(crate) fn install(engine: Engine, plot: PlotSize) {
    ENGINE.with(|place| *place = Some(engine));
    PLOT.set(plot);
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
        libr::ptr_R_CleanUp = Some(quit::clean_up);
    }
}

/// R is set up: from now on its own prompt is where cells come from.
pub(crate) fn note_top() {
    TOP.set(looked_up().context());
    HAS_TOP.set(true);
}

/// The first `ready` has been said.
pub(crate) fn is_started() -> bool {
    PHASE.get() != Phase::Starting
}

/// `ptr_R_ReadConsole`.
pub(crate) unsafe extern "C-unwind" fn read_console(
    prompt: *const c_char,
    buffer: *mut c_uchar,
    size: c_int,
    _add_to_history: c_int,
) -> c_int {
    let mut step = ask(prompt, buffer, size);
    loop {
        // SAFETY: nothing in this frame has a destructor, so each of these may jump.
        step = unsafe {
            match step {
                Step::Return(count) => return count,
                Step::Bootstrap => {
                    bootstrap::run(PLOT.get());
                    started();
                    next_turn()
                }
                Step::Handle => {
                    bootstrap::put_handler();
                    Step::Parse
                }
                Step::HandleAgain => {
                    bootstrap::put_handler();
                    begin_expression(buffer, size)
                }
                Step::Parse => match feed::parse() {
                    Parsed::Whole => parsed(buffer, size),
                    Parsed::Broken => Step::ParseError,
                },
                Step::Evaluate => {
                    interrupt::allow();
                    large::evaluate();
                    give_empty_line(buffer)
                }
                Step::ParseError => {
                    interrupt::allow();
                    feed::raise();
                    Step::ToTop
                }
                Step::InterruptFirst => {
                    libr::Rf_onintr();
                    Step::Return(1)
                }
                Step::Interrupt => {
                    interrupt::allow();
                    libr::Rf_onintr();
                    ask(prompt, buffer, size)
                }
                Step::ToTop => {
                    interrupt::allow();
                    libr::Rf_jump_to_toplevel()
                }
                Step::End(wish) => quit::end(wish),
            }
        };
    }
}

/// R asks: its own prompt for the next piece of a cell, or a reader for a line.
fn ask(prompt: *const c_char, buffer: *mut c_uchar, size: c_int) -> Step {
    // SAFETY: R passes a C string.
    let prompt = unsafe { CStr::from_ptr(prompt) }.to_string_lossy();
    // A browser that no call is in asks as R's own prompt does; where R tells its contexts it has one of its own.
    if is_at_top() && !is_browser(&prompt) {
        interrupt::forbid();
        // SAFETY: R's buffer has at least one byte.
        let has_jumped = unsafe { *buffer } == 0;
        return match PHASE.get() {
            Phase::Starting => begin(),
            Phase::Idle => next_turn(),
            Phase::Running => go_on(has_jumped, buffer, size),
        };
    }
    // SAFETY: R passes a buffer of `size` bytes.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, size.max(2) as usize) };
    reads::read(&prompt, buffer)
}

/// No call is active: R's own prompt asks, or prints a value.
pub(crate) fn is_at_top() -> bool {
    if !HAS_TOP.get() {
        return false;
    }
    match looked_up().context() {
        Some(context) => TOP.get() == Some(context),
        None => !bootstrap::is_up() || bootstrap::is_so(c"is_at_top"),
    }
}

/// Whether it is a debugger that asks with this prompt.
pub(crate) fn is_browser(prompt: &str) -> bool {
    prompt.starts_with("Browse[")
}

fn started() {
    PHASE.set(Phase::Idle);
    engine().started(&bootstrap::runtime());
    forget_interrupt();
}

/// R is up. When this is asked again, R has left our own code by an error, and its text has been printed.
fn begin() -> Step {
    if IS_BOOTSTRAPPED.with(|is_tried| std::mem::replace(is_tried, true)) {
        quit::give_reason("the worker's own R code failed; does `R --vanilla` start and have its base packages?");
        return Step::End(Wish::Runtime { save: quit::SA_SUICIDE, status: 1, run_last: false });
    }
    forget_interrupt();
    Step::Bootstrap
}

/// R has noted an interrupt and not acted on it.
pub(crate) fn interrupt_is_pending() -> bool {
    looked_up().interrupt_is_pending()
}

/// An interrupt that R has noted and not acted on was meant for what is over.
pub(crate) fn forget_interrupt() {
    looked_up().set_interrupt_pending(false);
}

/// An expression has ended, or a piece of it is taken.
fn go_on(has_jumped: bool, buffer: *mut c_uchar, size: c_int) -> Step {
    if has_jumped {
        let (outcome, error) = verdict();
        return finish(outcome, error.as_ref());
    }
    if FEED.with(|feed| feed.has_rest()) {
        return fill(buffer, size);
    }
    // `system(timeout = )` has a handler of its own, which stops the command and tells R nothing.
    if interrupt_is_pending() || interrupt::take_unseen_strike() {
        return Step::Interrupt;
    }
    if !EVALUATED.get() {
        // What the parser took for a whole expression its prompt does not; a further line end would not help.
        return Step::ParseError;
    }
    if FEED.with(feed::Feed::advance) {
        if !bootstrap::handler_is_there() {
            return Step::HandleAgain;
        }
        return begin_expression(buffer, size);
    }
    finish(Outcome::Ok, None)
}

fn verdict() -> (Outcome, Option<ErrorInfo>) {
    interrupt::allow();
    let verdict = failure::verdict();
    interrupt::forbid();
    verdict
}

fn finish(outcome: Outcome, error: Option<&ErrorInfo>) -> Step {
    if child::in_child() {
        return Step::End(Wish::Runtime { save: 0, status: 0, run_last: false });
    }
    plots::show_changes();
    engine().finish_cell(outcome, error);
    forget_interrupt();
    reads::forget();
    result::end();
    PHASE.set(Phase::Idle);
    next_turn()
}

/// Waits for the next cell and serves requests and R's event handlers meanwhile.
fn next_turn() -> Step {
    let engine = engine();
    loop {
        let mut sources = events::sources();
        match engine.next(&mut sources.fds, sources.every) {
            Turn::Cell(cell) => {
                forget_interrupt();
                crate::handle_interrupts();
                failure::forget();
                PHASE.set(Phase::Running);
                FEED.with(|feed| feed.load(cell.code));
                return if bootstrap::handler_is_there() { Step::Parse } else { Step::Handle };
            }
            Turn::Request(request) => {
                requests::answer(&engine, &request, false);
            }
            Turn::Signal => forget_interrupt(),
            Turn::Poll => {
                engine.serve(events::serve);
                forget_interrupt();
                plots::show_changes();
            }
            Turn::End => return Step::End(Wish::Supervisor),
        }
    }
}

/// The cell is parsed.
fn parsed(buffer: *mut c_uchar, size: c_int) -> Step {
    if FEED.with(feed::Feed::advance) {
        return begin_expression(buffer, size);
    }
    finish(Outcome::Ok, None)
}

fn begin_expression(buffer: *mut c_uchar, size: c_int) -> Step {
    failure::forget();
    EVALUATED.set(false);
    result::begin(FEED.with(|feed| feed.is_last()));
    if FEED.with(|feed| feed.is_large()) {
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
    FEED.with(|feed| feed.fill(buffer));
    if child::in_child() {
        return Step::Return(1);
    }
    interrupt::allow();
    if interrupt_is_pending() { Step::InterruptFirst } else { Step::Return(1) }
}

/// R begins or ends to evaluate.
unsafe extern "C-unwind" fn busy(is_busy: c_int) {
    if is_busy != 0 {
        EVALUATED.set(true);
    }
}

/// No cell is taken from now on; with `end`, because the user's code wants it so.
pub(crate) fn begin_exit(end: Option<&SessionEnd>) {
    if child::in_child() {
        return;
    }
    let engine = engine();
    match end {
        Some(end) => engine.begin_exit(end),
        None => engine.begin_finalizing(),
    }
}

/// Says `session_end` and gives the process's exit status.
pub(crate) fn say_end(end: Option<SessionEnd>) -> c_int {
    engine().end(end)
}
