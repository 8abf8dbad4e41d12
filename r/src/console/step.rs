//! What a callback of R's does next.

use super::clean_up::EndedBy;
use libc::c_int;

/// What a callback does next, in a frame without destructors.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Give R what is in its buffer; 0 is the end of file.
    Return(c_int),
    /// Make the worker's functions in R and send the first `ready`.
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
    End(EndedBy),
}
