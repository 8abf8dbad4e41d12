//! `Rembedded.h`, `Rinterface.h` and `R_ext/eventloop.h`: what R offers to front ends.
//!
//! *Writing R Extensions* describes these in its chapter "Linking GUIs and other front-ends to R".

use super::internals::SEXPREC;
use libc::{c_char, c_int, c_uchar, c_void, fd_set};

/// Reads a line: prompt, buffer, its size in bytes, whether to keep it in a history. Gives 0 at the end of file.
pub type ReadConsole = unsafe extern "C-unwind" fn(*const c_char, *mut c_uchar, c_int, c_int) -> c_int;
/// Prints: text and its length in bytes.
pub type WriteConsole = unsafe extern "C-unwind" fn(*const c_char, c_int);
/// Prints: text, its length in bytes, and 0 for stdout or 1 for stderr.
pub type WriteConsoleEx = unsafe extern "C-unwind" fn(*const c_char, c_int, c_int);
/// A callback without arguments.
pub type Plain = unsafe extern "C-unwind" fn();
/// Called with 1 when R begins to evaluate and with 0 when it asks for input.
pub type Busy = unsafe extern "C-unwind" fn(c_int);
/// Ends R: what to do about the workspace (`SA_TYPE`), the exit status, whether `.Last` is to run.
pub type CleanUp = unsafe extern "C-unwind" fn(c_int, c_int, c_int);
/// Shows a message, a C string.
pub type Message = unsafe extern "C-unwind" fn(*const c_char);

/// An input handler: one entry of R's list of descriptors to serve while it waits. The fields are those of the header.
#[repr(C)]
pub struct InputHandler {
    pub activity: c_int,
    pub fileDescriptor: c_int,
    pub handler: Option<unsafe extern "C-unwind" fn(*mut c_void)>,
    pub next: *mut InputHandler,
    pub active: c_int,
    pub userData: *mut c_void,
}

/// The activity of the handler of standard input.
pub const StdinActivity: c_int = 2;

/// One of R's evaluation contexts; only its address is used.
pub type Context = SEXPREC;

unsafe extern "C-unwind" {
    /// 0 before `Rf_initialize_R` keeps R from installing signal handlers.
    pub static mut R_SignalHandlers: c_int;
    /// The size of the C stack in bytes, which R checks its depth against.
    pub static mut R_CStackLimit: usize;
    /// Where R prints when it has no console callback.
    pub static mut R_Outputfile: *mut libc::FILE;
    /// The same for messages.
    pub static mut R_Consolefile: *mut libc::FILE;
    /// R's callbacks; the engine sets them after `Rf_initialize_R`.
    pub static mut ptr_R_ReadConsole: Option<ReadConsole>;
    pub static mut ptr_R_WriteConsole: Option<WriteConsole>;
    pub static mut ptr_R_WriteConsoleEx: Option<WriteConsoleEx>;
    pub static mut ptr_R_ResetConsole: Option<Plain>;
    pub static mut ptr_R_FlushConsole: Option<Plain>;
    pub static mut ptr_R_ClearerrConsole: Option<Plain>;
    pub static mut ptr_R_Busy: Option<Busy>;
    pub static mut ptr_R_CleanUp: Option<CleanUp>;
    pub static mut ptr_R_ShowMessage: Option<Message>;

    /// Reads the arguments and starts R. R keeps the vector.
    pub fn Rf_initialize_R(argc: c_int, argv: *mut *mut c_char) -> c_int;
    /// Loads base R and runs the profiles.
    pub fn setup_Rmainloop();
    /// Runs R's read-eval-print loop until R ends the process.
    pub fn run_Rmainloop();
    /// Raises the interrupt; comes back when interrupts are suspended.
    pub fn Rf_onintr();
    /// Jumps to R's prompt.
    pub fn Rf_jump_to_toplevel() -> !;
    /// Calls `.Last` and `.Last.sys`.
    pub fn R_dot_Last();
    /// Runs the finalizers that were registered for the exit.
    pub fn R_RunExitFinalizers();
    /// Writes the user's variables to `.RData`.
    pub fn R_SaveGlobalEnv();
    /// Removes R's temporary directory.
    pub fn R_CleanTempDir();
    /// Removes what the editor left.
    pub fn Rf_CleanEd();
    /// Closes all graphics devices.
    pub fn Rf_KillAllDevices();

    /// The list of input handlers.
    pub static mut R_InputHandlers: *mut InputHandler;
    /// How often something in R is to be polled while R waits, in microseconds; 0 for never.
    pub static mut R_wait_usec: c_int;
    /// Waits up to `usec` microseconds (for ever if negative) for the handlers' descriptors; the set is static.
    pub fn R_checkActivity(usec: c_int, ignore_stdin: c_int) -> *mut fd_set;
    /// Runs the handlers of the descriptors in the set.
    pub fn R_runHandlers(handlers: *mut InputHandler, mask: *mut fd_set);
}
