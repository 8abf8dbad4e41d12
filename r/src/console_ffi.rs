//! The parts of R's C interface for front ends that libR-sys lacks, and those of its functions that may jump.
//!
//! R leaves a function by `longjmp` when an error or an interrupt ends it. What can do so is declared `C-unwind` here, even
//! where libR-sys has it as well: a frame of ours that calls such a function holds nothing with a destructor.

#![expect(non_snake_case, non_upper_case_globals, reason = "the names are R's")]
#![expect(improper_ctypes, reason = "R's values are opaque, and only pointers to them cross")]
#![expect(unsafe_code, reason = "declarations of R's C interface")]

use libR_sys::{ParseStatus, Rboolean, SEXP};
use libc::{c_char, c_int, c_uchar, c_void, fd_set};
use std::ffi::CStr;

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

unsafe extern "C-unwind" {
    // Rinterface.h
    pub static mut R_SignalHandlers: c_int;
    pub static mut ptr_R_ReadConsole: Option<ReadConsole>;
    pub static mut ptr_R_WriteConsole: Option<WriteConsole>;
    pub static mut ptr_R_WriteConsoleEx: Option<WriteConsoleEx>;
    pub static mut ptr_R_ResetConsole: Option<Plain>;
    pub static mut ptr_R_FlushConsole: Option<Plain>;
    pub static mut ptr_R_ClearerrConsole: Option<Plain>;
    pub static mut ptr_R_Busy: Option<Busy>;
    pub static mut ptr_R_CleanUp: Option<CleanUp>;
    pub static mut ptr_R_ShowMessage: Option<Message>;
    pub static mut R_Outputfile: *mut libc::FILE;
    pub static mut R_Consolefile: *mut libc::FILE;
    pub static R_GlobalContext: *mut c_void;
    pub fn Rf_PrintValue(value: SEXP);
    pub fn Rf_onintr();
    pub fn Rf_jump_to_toplevel() -> !;
    pub fn R_curErrorBuf() -> *const c_char;

    // Rembedded.h
    pub fn Rf_initialize_R(argc: c_int, argv: *mut *mut c_char) -> c_int;
    pub fn setup_Rmainloop();
    pub fn run_Rmainloop();
    pub fn R_dot_Last();
    pub fn R_RunExitFinalizers();
    pub fn Rf_CleanEd();
    pub fn Rf_KillAllDevices();
    pub fn R_CleanTempDir();
    pub fn R_SaveGlobalEnv();

    // R_ext/eventloop.h
    pub static mut R_InputHandlers: *mut InputHandler;
    pub static mut R_wait_usec: c_int;
    pub fn R_checkActivity(usec: c_int, ignore_stdin: c_int) -> *mut fd_set;
    pub fn R_runHandlers(handlers: *mut InputHandler, mask: *mut fd_set);

    // Of the rest of the interface, what may jump.
    pub fn R_CheckUserInterrupt();
    pub fn Rf_eval(expr: SEXP, env: SEXP) -> SEXP;
    pub fn R_ParseVector(text: SEXP, n: c_int, status: *mut ParseStatus, srcfile: SEXP) -> SEXP;
    pub fn R_gc_running() -> c_int;
    pub fn R_ToplevelExec(body: unsafe extern "C-unwind" fn(*mut c_void), data: *mut c_void) -> Rboolean;
}

/// The address of something of R's that not every R lets others see; null where this one does not.
pub fn optional(name: &CStr) -> *mut c_void {
    // SAFETY: dlsym takes a C string. libR is loaded globally.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}
