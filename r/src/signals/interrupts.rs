//! SIGINT and R: setting R's flag, ending a wait of R's, and clearing a flag that was meant for what is over.

use super::{interpose, resend};
use crate::cell::conditions;
use crate::libr::by_name::looked_up;
use worker_core::engine::Runtime;
use worker_core::signals::interrupt;

/// Puts our SIGINT handler in its place, also when some library has put its own there.
pub(crate) fn install() {
    if !interrupt::is_installed() {
        interrupt::install(on_interrupt, note);
    }
}

/// The session's handler of SIGINT, on R's thread and in signal context: jumps when R waits in a call that its own handler ends.
extern "C" fn on_interrupt() {
    conditions::note_sigint();
    interpose::pass_on();
    note();
}

/// Sets R's flag that an interrupt is pending. Any thread, and signal context.
extern "C" fn note() {
    conditions::note_sigint();
    looked_up().set_interrupt_pending(true);
    resend::wake();
}

/// Starts the thread that sends an interrupt again for as long as R has not raised it.
pub(crate) fn start_resending() {
    resend::start(note);
}

/// Whether R's flag is set: an interrupt has come, and R has not raised it yet. Any thread.
pub(crate) fn is_pending() -> bool {
    looked_up().interrupt_is_pending()
}

/// Clears R's flag: the interrupt was meant for what is over. R's thread.
pub(crate) fn clear() {
    looked_up().set_interrupt_pending(false);
}

/// R, as a wait needs it that a pending interrupt ends: R raises it where it checks for it next. R's thread.
#[derive(Debug)]
pub(crate) enum Raised {
    /// Any interrupt ends the wait.
    Always,
    /// One that R's `suspendInterrupts()` puts off does not.
    UnlessSuspended,
}

impl Runtime for Raised {
    type Error = Pending;

    fn check(&self) -> Result<(), Pending> {
        let is_put_off = matches!(self, Raised::UnlessSuspended) && looked_up().interrupts_are_suspended();
        if is_pending() && !is_put_off { Err(Pending) } else { Ok(()) }
    }

    fn detach<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        body()
    }
}

/// An interrupt is pending.
#[derive(Debug)]
pub(crate) struct Pending;
