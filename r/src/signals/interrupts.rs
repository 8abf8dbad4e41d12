//! SIGINT and R: noting an interrupt, passing it on to a wait of R's, and forgetting what is over.

use super::{interpose, resend};
use crate::cell::conditions;
use crate::libr::by_name::looked_up;
use worker_core::signals::interrupt;

/// Puts our SIGINT handler in its place, also when some library has put its own there.
pub(crate) fn install() {
    if !interrupt::is_installed() {
        interrupt::install(on_interrupt, note);
    }
}

/// An interrupt has reached R's thread, in signal context: jumps when R waits where it allows for that.
extern "C" fn on_interrupt() {
    conditions::note_sigint();
    interpose::pass_on();
    note();
}

/// Tells R of an interrupt. Any thread, and signal context.
extern "C" fn note() {
    conditions::note_sigint();
    looked_up().set_interrupt_pending(true);
    resend::wake();
}

/// Starts the thread that helps an interrupt into a child that is just starting.
pub(crate) fn start_resending() {
    resend::start(note);
}

/// R has noted an interrupt and not acted on it.
pub(crate) fn is_pending() -> bool {
    looked_up().interrupt_is_pending()
}

/// An interrupt that R has noted and not acted on was meant for what is over.
pub(crate) fn forget() {
    looked_up().set_interrupt_pending(false);
}
