//! What made R jump to its top level, an error or an interrupt, for a cell's outcome and `ready.error`.
//!
//! Handlers below all of the user's own (`bootstrap.R`) are called with what nobody catches as it is raised: [`record`] and
//! [`record_interrupt`]. R then prints the error's text, and calls [`note_jump`] when it jumps. What was raised last before
//! that is the cause; what code prints or catches while R unwinds is not. R keeps the text of its own errors ([`own_text`]):
//! printed text is an error's only if it equals that, and an error for which R calls no handlers, such as an overflow of the C
//! stack, is recognised by it.

#![expect(unsafe_code, reason = "called by R with R's values")]

use crate::libr::by_name::looked_up;
use crate::libr::{self, SEXP};
use crate::plots::show;
use crate::runtime::own::{call, is_true, is_up, muted, own};
use crate::runtime::{api, thread::RThread};
use libc::c_char;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use worker_protocol::{ErrorInfo, Outcome, Role};

/// Something that nobody catches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Raised {
    /// An error, whose condition `bootstrap.R` keeps.
    Error,
    /// An error that no handler was called for.
    Bare,
    /// An interrupt.
    Interrupt,
}

/// What of R's own is printed next, if an error's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// No text of R's own.
    Nothing,
    /// An error's text: no code of the user's runs before that.
    Text,
    /// What R adds about an error in the handling of another.
    Wrapup,
    /// An error's text, by R code, on whatever stream.
    Announced,
}

/// R has jumped to its top level, or to a debugger's prompt.
#[derive(Debug, Clone, Copy)]
struct Jump {
    /// Why; none when code called for it, as `invokeRestart("abort")` does.
    cause: Option<Raised>,
    /// A lone line end was the last thing that was printed before.
    is_after_line_end: bool,
    /// What `.Traceback` was bound to by then: R binds it to the calls of an error or an interrupt when it jumps.
    calls: SEXP,
}

/// What R has raised, printed and left since the expression began.
#[derive(Debug)]
pub(crate) struct Seen {
    /// What was raised last, since R last jumped.
    raised: Option<Raised>,
    /// The same when a debugger last showed its prompt.
    raised_at_prompt: Option<Raised>,
    /// What of R's own is printed next.
    due: Due,
    /// R has jumped.
    jump: Option<Jump>,
    /// The text of the last error that no handler was called for.
    text: Option<String>,
    /// What was printed last is a lone line end on stderr.
    is_line_end_last: bool,
}

impl Seen {
    /// Nothing has happened yet.
    const NOTHING: Seen = Seen {
        raised: None,
        raised_at_prompt: None,
        due: Due::Nothing,
        jump: None,
        text: None,
        is_line_end_last: false,
    };
}

/// Of the expression that runs.
static SEEN: RThread<Seen> = RThread::new(Seen::NOTHING);

/// What `.Traceback` was bound to when the expression began.
static CALLS_BEFORE: RThread<SEXP> = RThread::new(std::ptr::null_mut());

/// A signal to interrupt has come since this was last set to no.
static HAS_SIGINT: AtomicBool = AtomicBool::new(false);

/// An expression begins.
pub(crate) fn begin() {
    CALLS_BEFORE.set(noted_calls());
    save();
}

/// R code of the worker is about to run in the middle of an expression: gives what is known so far, to be passed to [`restore`].
pub(crate) fn save() -> Seen {
    HAS_SIGINT.store(false, SeqCst);
    SEEN.with(|seen| std::mem::replace(seen, Seen::NOTHING))
}

/// That code has ended.
pub(crate) fn restore(former: Seen) {
    SEEN.with(|seen| *seen = former);
}

/// A signal to interrupt has come. Signal context.
pub(crate) fn note_sigint() {
    HAS_SIGINT.store(true, SeqCst);
}

/// R is about to jump to its top level. Code of the user's, in `on.exit` and `finally`, may run before it has arrived there.
pub(crate) fn note_jump() {
    let is_overflowing = is_overflowing();
    let calls = noted_calls();
    let own_text = own_text();
    SEEN.with(|seen| {
        let mut cause = seen.raised.take();
        if cause.is_none() && is_overflowing {
            cause = Some(Raised::Bare);
            seen.text = Some(own_text.to_string_lossy().into_owned());
        }
        seen.jump = Some(Jump { cause, is_after_line_end: seen.is_line_end_last, calls });
        seen.due = Due::Nothing;
    });
}

/// Whether R jumped for an interrupt, within a top level of its own (`R_ToplevelExec`): R calls no handlers there.
pub(crate) fn was_interrupted() -> bool {
    SEEN.with(|seen| seen.jump.take()).is_some_and(|jump| match jump.cause {
        Some(cause) => cause == Raised::Interrupt,
        None => jump.is_after_line_end && HAS_SIGINT.swap(false, SeqCst),
    })
}

/// A debugger shows its prompt. If it does so because R jumped out of its last line, what was known before that line holds again;
/// gives whether an interrupt was the cause.
pub(crate) fn is_debugger_interrupted() -> bool {
    let has_jumped = SEEN.with(|seen| seen.jump.is_some());
    let was_interrupted = was_interrupted();
    SEEN.with(|seen| {
        seen.due = Due::Nothing;
        if was_interrupted {
            seen.raised = Some(Raised::Interrupt);
        } else if has_jumped {
            seen.raised = seen.raised_at_prompt;
        } else {
            seen.raised_at_prompt = seen.raised;
        }
    });
    if has_jumped {
        take_marked_condition();
    } else {
        mark_condition();
    }
    was_interrupted
}

/// Called by the handler with the condition of an error.
pub(crate) unsafe extern "C-unwind" fn record(condition: SEXP) -> SEXP {
    api::reserve();
    keep_condition(condition);
    SEEN.with(|seen| {
        seen.raised = Some(Raised::Error);
        seen.due = Due::Text;
    });
    show::show_new_pages();
    api::nil()
}

/// Called by the handler of an error whose text R code prints, and that is raised after that.
pub(crate) unsafe extern "C-unwind" fn announce() -> SEXP {
    SEEN.with(|seen| seen.due = Due::Announced);
    api::nil()
}

/// Called by the handler of interrupts.
pub(crate) unsafe extern "C-unwind" fn record_interrupt() -> SEXP {
    SEEN.with(|seen| {
        seen.raised = Some(Raised::Interrupt);
        seen.due = Due::Nothing;
    });
    api::nil()
}

/// The text of the last error, as R has kept it: that of an error of its own as it prints it.
fn own_text() -> &'static CStr {
    // SAFETY: the buffer is R's, lasts as long as R does, and changes only in R's thread.
    unsafe { CStr::from_ptr(libr::R_curErrorBuf()) }
}

/// Whether R deals with an overflow of the C stack: it calls no handlers then.
fn is_overflowing() -> bool {
    looked_up().stack_is_overflowing()
}

/// Called for each piece of text on stdout: whether it is an error's text.
pub(crate) fn is_error_on_stdout() -> bool {
    SEEN.with(|seen| {
        seen.is_line_end_last = false;
        std::mem::replace(&mut seen.due, Due::Nothing) == Due::Announced
    })
}

/// Called for each piece of text on stderr: its role, none for plain output. May evaluate R code of the worker.
pub(crate) fn role_of_stderr(text: &[u8]) -> Option<Role> {
    let due = SEEN.with(|seen| {
        seen.is_line_end_last = text == b"\n";
        std::mem::replace(&mut seen.due, Due::Nothing)
    });
    if due == Due::Announced {
        return Some(Role::Traceback);
    }
    let own = own_text().to_bytes();
    let is_own = !own.is_empty() && text == own;
    let is_one_of = |parts: &[&'static CStr]| parts.iter().any(|part| text == translated(part).to_bytes());
    if due == Due::Wrapup && (text.strip_suffix(b"\n") == Some(own) || is_one_of(&ADDED)) {
        SEEN.with(|seen| seen.due = due);
        return Some(Role::Traceback);
    }
    let is_wrapup = !is_own && is_one_of(&[WRAPUP]);
    // `try()` prints, by R code, a text that it has set as that of R's last error.
    let is_certain = is_own && due == Due::Text;
    if !(is_own || is_wrapup) || !(is_certain || is_overflowing() || !is_printed_by_code()) {
        return None;
    }
    SEEN.with(|seen| {
        if is_wrapup {
            seen.due = Due::Wrapup;
        } else if !is_certain {
            seen.raised = Some(Raised::Bare);
            seen.text = Some(String::from_utf8_lossy(text).into_owned());
        }
    });
    Some(Role::Traceback)
}

/// Keeps an error for [`describe_condition`].
fn keep_condition(condition: SEXP) {
    // SAFETY: the environment is preserved, and the caller keeps the value alive.
    api::at_top_level(|| unsafe { libr::Rf_defineVar(api::symbol(c"condition"), condition, own()) });
}

/// Binds the error that is kept to a second name.
fn mark_condition() {
    copy_binding(c"condition", c"marked");
}

/// Keeps the error again that was kept when [`mark_condition`] was last called.
fn take_marked_condition() {
    copy_binding(c"marked", c"condition");
}

/// Binds what one name of the worker's environment is bound to a second time. A profile may call a debugger before there is one.
fn copy_binding(from: &CStr, to: &CStr) {
    if !is_up() {
        return;
    }
    // SAFETY: the first binding keeps the value alive while it is bound a second time.
    api::at_top_level(|| unsafe {
        libr::Rf_defineVar(api::symbol(to), api::binding(api::symbol(from), own()), own());
    });
}

/// Whether it is R code that prints: the innermost function is `cat()`, which messages come by as well.
fn is_printed_by_code() -> bool {
    is_true(c"is_printing")
}

/// Describes the error that is kept, and drops it. User code may run (methods of `conditionMessage`), once more than at R's prompt:
/// what it prints is dropped.
fn describe_condition() -> Option<ErrorInfo> {
    let described = muted(|| call(c"describe"))?;
    // SAFETY: `described` is a list of three as `bootstrap.R` makes it, and stays bound.
    let part = |index| api::strings(unsafe { libr::VECTOR_ELT(described, index) });
    let info = ErrorInfo { name: part(0).concat(), message: part(1).concat(), traceback: part(2) };
    keep_condition(api::nil());
    Some(info)
}

/// What R has bound `.Traceback` to: the calls of the last error. Only the address is used.
fn noted_calls() -> SEXP {
    // SAFETY: R sets the variable once. An error ends in a call of this in R's own callback, which owns nothing, so that the
    // symbol may be new then.
    unsafe { api::binding(api::symbol(c".Traceback"), libr::R_BaseEnv) }
}

/// The calls of the last error, outermost first.
fn calls() -> Vec<String> {
    call(c"calls").map(api::strings).unwrap_or_default()
}

/// What R prints before an error in the handling of another.
const WRAPUP: &CStr = c"Error during wrapup: ";
/// What it adds to that.
const ADDED: [&CStr; 2] = [
    c"Lost warning messages\n",
    c"Error: no more error handlers available (recursive errors?); invoking 'abort' restart\n",
];

/// What an error's text begins with, with a call and without.
const BEGINNINGS: [&CStr; 2] = [c"Error in ", c"Error: "];

/// What R prints instead in the language that it speaks.
fn translated(text: &'static CStr) -> &'static CStr {
    unsafe extern "C" {
        fn dgettext(domain: *const c_char, text: *const c_char) -> *const c_char;
    }
    // SAFETY: the messages are C's for as long as the process lives, or `text` itself, which is a constant.
    unsafe { CStr::from_ptr(dgettext(c"R".as_ptr(), text.as_ptr())) }
}

/// The message in an error's printed text: "Error: message" or "Error in call : message".
fn message_of(text: &str) -> String {
    let [with_call, without] = BEGINNINGS.map(translated).map(CStr::to_string_lossy);
    let message = match text.strip_prefix("Error in ").or_else(|| text.strip_prefix(&*with_call)) {
        Some(rest) => rest.split_once(" : ").map_or(rest, |(_, message)| message),
        None => text.trim_start_matches("Error: ").trim_start_matches(&*without),
    };
    message.trim().to_owned()
}

/// How an expression that jumped to the top level ended.
pub(crate) fn outcome() -> (Outcome, Option<ErrorInfo>) {
    // An error while R handles another makes it leave without printing anything.
    let (raised, jump, text) = SEEN.with(|seen| (seen.raised, seen.jump, seen.text.take()));
    let is_silent = |jump: Jump| {
        let is_interrupt = jump.is_after_line_end && HAS_SIGINT.load(SeqCst);
        (!is_interrupt && jump.calls != noted_calls()).then_some(Raised::Bare)
    };
    let cause = raised.or(jump.and_then(|jump| jump.cause.or_else(|| is_silent(jump))));
    let known = match cause {
        None | Some(Raised::Interrupt) => return (Outcome::Interrupted, None),
        Some(Raised::Error) => describe_condition(),
        Some(Raised::Bare) => None,
    };
    let mut error = known.unwrap_or_else(|| ErrorInfo {
        name: "simpleError".to_owned(),
        message: message_of(&text.unwrap_or_else(|| own_text().to_string_lossy().into_owned())),
        traceback: calls(),
    });
    if noted_calls() == CALLS_BEFORE.get() {
        // R has not bound the calls of this one.
        error.traceback.clear();
    }
    error.shorten();
    (Outcome::Error, Some(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_printed_error() {
        assert_eq!(message_of("Error: oops\n"), "oops");
        assert_eq!(message_of("Error in f(1) : \n  oops\n"), "oops");
    }
}
