//! `Rembedded.h`, `Rinterface.h` and `R_ext/eventloop.h`: what R offers to front ends.
//!
//! *Writing R Extensions* describes these in its chapter "Linking GUIs and other front-ends to R".

use super::internals::SEXPREC;
use libc::{c_char, c_int, c_uchar, c_void, fd_set};

pub type ReadConsole = unsafe extern "C-unwind" fn(*const c_char, *mut c_uchar, c_int, c_int) -> c_int;
pub type WriteConsole = unsafe extern "C-unwind" fn(*const c_char, c_int);
pub type WriteConsoleEx = unsafe extern "C-unwind" fn(*const c_char, c_int, c_int);
pub type Plain = unsafe extern "C-unwind" fn();
pub type Busy = unsafe extern "C-unwind" fn(c_int);
pub type CleanUp = unsafe extern "C-unwind" fn(c_int, c_int, c_int);
pub type Message = unsafe extern "C-unwind" fn(*const c_char);

/// R's list of descriptors to serve while it waits.
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

/// One of R's evaluation contexts; only its address says anything here.
pub type Context = SEXPREC;

unsafe extern "C-unwind" {
    pub static mut R_SignalHandlers: c_int;
    pub static mut R_CStackLimit: usize;
    pub static mut R_Outputfile: *mut libc::FILE;
    pub static mut R_Consolefile: *mut libc::FILE;
    pub static mut ptr_R_ReadConsole: Option<ReadConsole>;
    pub static mut ptr_R_WriteConsole: Option<WriteConsole>;
    pub static mut ptr_R_WriteConsoleEx: Option<WriteConsoleEx>;
    pub static mut ptr_R_ResetConsole: Option<Plain>;
    pub static mut ptr_R_FlushConsole: Option<Plain>;
    pub static mut ptr_R_ClearerrConsole: Option<Plain>;
    pub static mut ptr_R_Busy: Option<Busy>;
    pub static mut ptr_R_CleanUp: Option<CleanUp>;
    pub static mut ptr_R_ShowMessage: Option<Message>;

    pub fn Rf_initialize_R(argc: c_int, argv: *mut *mut c_char) -> c_int;
    pub fn setup_Rmainloop();
    pub fn run_Rmainloop();
    pub fn Rf_onintr();
    pub fn Rf_jump_to_toplevel() -> !;
    pub fn R_dot_Last();
    pub fn R_RunExitFinalizers();
    pub fn R_SaveGlobalEnv();
    pub fn R_CleanTempDir();
    pub fn Rf_CleanEd();
    pub fn Rf_KillAllDevices();

    pub static mut R_InputHandlers: *mut InputHandler;
    pub static mut R_wait_usec: c_int;
    pub fn R_checkActivity(usec: c_int, ignore_stdin: c_int) -> *mut fd_set;
    pub fn R_runHandlers(handlers: *mut InputHandler, mask: *mut fd_set);
}
