//! Whether a call is active in R. If none is, R's own prompt reads, or prints a value.

use super::own;
use super::thread::RThread;
use crate::libr::{self, by_name::looked_up};

/// R's innermost context while its own prompt reads; none before R is set up, or where R hides its contexts.
static TOP: RThread<Option<*mut libr::Context>> = RThread::new(None);
/// R is set up.
static IS_SET_UP: RThread<bool> = RThread::new(false);

/// R is set up and no call is active: from now on its own prompt is where cells come from.
pub(crate) fn note() {
    TOP.set(looked_up().context());
    IS_SET_UP.set(true);
}

/// No call is active.
pub(crate) fn is_at_top() -> bool {
    if !IS_SET_UP.get() {
        return false;
    }
    match looked_up().context() {
        Some(context) => TOP.get() == Some(context),
        None => !own::is_up() || own::is_true(c"is_at_top"),
    }
}
