//! CPython's initialisation and end: the launcher's call, the call of `start` from `-c`, and what follows finalisation.

#![expect(unsafe_code, reason = "CPython's start and end, called through its C API")]

use crate::cell::turns;
use crate::plain::messages;
use crate::runtime::session::{config, is_open, open, session};
use crate::runtime::signals::set_flag;
use crate::runtime::{code, globals};
use crate::{patch, stdio};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use std::ffi::{CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use worker_core::signals::interrupt;
use worker_protocol::{EndReason, RuntimeInfo, SessionEnd};

/// The exit status of a start that failed.
const STARTUP_FAILED: i32 = 1;
/// The code for `-c`: an expression, so that it binds no name in `__main__`.
const START_CODE: &str = "__import__('_worker').start()";

/// `start` was called: CPython is initialised.
static IS_UP: AtomicBool = AtomicBool::new(false);
/// The launcher executed the interpreter, which has loaded this object. Otherwise the launcher has loaded both.
static IS_EXECUTED: AtomicBool = AtomicBool::new(false);
/// How the session ends, once the cell loop is over: none inside if the supervisor ended it.
static END: OnceLock<Option<SessionEnd>> = OnceLock::new();

/// The launcher's call: opens the session, runs CPython until it has finalised, and gives the exit status.
///
/// `json` and `len` describe a [`worker_core::config::Config`]. Call it once, on the main thread, with `libpython` loaded
/// globally. Where the session cannot be opened or CPython cannot be initialised the supervisor gets the reason, and
/// the status is 1.
///
/// # Safety
/// `json` points to `len` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn worker_engine_main(json: *const u8, len: usize) -> i32 {
    // SAFETY: the launcher passes a live buffer.
    let json = unsafe { std::slice::from_raw_parts(json, len) };
    let Ok(config) = worker_core::parse_config(json) else { return STARTUP_FAILED };
    let executable = config.python.as_ref().map(|python| python.executable.clone()).unwrap_or_default();
    let Ok(executable) = CString::new(executable.as_os_str().as_bytes()) else { return STARTUP_FAILED };
    // The supervisor has the reason already.
    if open(config).is_err() {
        return STARTUP_FAILED;
    }
    let Ok(start_code) = CString::new(START_CODE) else { return STARTUP_FAILED };
    // SAFETY: the functions and strings given to C live as long as the process; Python is not up yet, as
    // PyImport_AppendInittab asks, and Py_BytesMain gets a null-terminated argument vector.
    unsafe {
        // On a fatal configuration error CPython calls exit() by itself.
        libc::atexit(on_exit);
        ffi::PyImport_AppendInittab(c"_worker".as_ptr(), Some(init_module));
        let mut argv: [*mut c_char; 4] = [
            executable.as_ptr().cast_mut(),
            c"-c".as_ptr().cast_mut(),
            start_code.as_ptr().cast_mut(),
            std::ptr::null_mut(),
        ];
        ffi::Py_BytesMain(3, argv.as_mut_ptr());
    }
    finish()
}

extern "C" fn init_module() -> *mut ffi::PyObject {
    // SAFETY: pyo3 generates this function with exactly this contract.
    unsafe { PyInit__worker() }
}

unsafe extern "C" {
    fn PyInit__worker() -> *mut ffi::PyObject;
}

/// Ends the session: its processes are ended and `session_end` is sent. Gives the exit status.
fn finish() -> i32 {
    let Some(end) = END.get() else { return startup_failed() };
    session().end(end.clone())
}

/// `exit()` was called. Before `start` that means that CPython could not be initialised.
extern "C" fn on_exit() {
    if is_open() && !IS_UP.load(SeqCst) && !worker_core::process::fork::in_child() {
        startup_failed();
    }
}

/// Ends a session whose CPython could not be initialised, with what it has written to stderr as the reason.
fn startup_failed() -> i32 {
    let message = messages::startup_failure(&session().startup_stderr());
    let mut end = SessionEnd::new(EndReason::StartupFailed).with_message(message);
    end.exit_code = Some(STARTUP_FAILED.into());
    session().diagnose(end.message.as_deref().unwrap_or_default());
    session().end(Some(end))
}

/// What the code of `-c` calls: prepares the interpreter, and has the session run as soon as that code has ended.
///
/// `config_fd`: the descriptor with the JSON of a [`worker_core::config::Config`], where the interpreter loaded this module
/// by itself. Raises `RuntimeError` if that cannot be read, and what the preparation raises. Main thread, once.
#[pyfunction]
#[pyo3(signature = (config_fd=None))]
pub(crate) fn start(py: Python<'_>, config_fd: Option<i32>) -> PyResult<()> {
    if let Some(fd) = config_fd {
        open_from(fd).map_err(pyo3::exceptions::PyRuntimeError::new_err)?;
        IS_EXECUTED.store(true, SeqCst);
    }
    // SAFETY: a plain C function that lives as long as the process.
    unsafe { ffi::Py_AtExit(Some(on_finalized)) };
    IS_UP.store(true, SeqCst);
    prepare_interpreter(py)?;
    // The callback of this weak reference runs the session. It is called when the code object of `-c` is freed: after
    // its frame has ended, so that the user's frames are outermost, and before CPython finalises.
    let code = py.import("sys")?.getattr("_getframe")?.call0()?.getattr("f_code")?;
    let run =
        PyCFunction::new_closure(py, None, None, |args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>| {
            run(args.py());
        })?;
    let reference = py.import("_weakref")?.getattr("ref")?.call1((code, run))?;
    // A weak reference that is freed earlier would not be called.
    std::mem::forget(reference.unbind());
    Ok(())
}

/// Opens the session of an executed interpreter, with the configuration in the file `fd`, which it closes.
fn open_from(fd: i32) -> Result<(), String> {
    use std::io::{Read, Seek};
    // SAFETY: the launcher has put the number into the code that calls this; nothing else uses the descriptor.
    let mut file = unsafe { worker_core::process::fork::file_from(fd) };
    let mut json = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut json)).map_err(|error| error.to_string())?;
    let config = worker_core::parse_config(&json).map_err(|error| error.to_string())?;
    let startup_pipe = config.startup_pipe;
    if open(config).is_err() {
        // The supervisor has the reason already. An exception here would print a traceback and change the status.
        worker_core::process::fork::exit(STARTUP_FAILED);
    }
    if let Some(pipe) = startup_pipe {
        // SAFETY: the launcher has put the number into the configuration; nothing else uses the descriptor.
        unsafe { worker_core::process::fork::confirm_start(pipe) };
    }
    Ok(())
}

/// Stores what the engine needs of the interpreter, replaces its streams and functions, and sets what differs from
/// `python -c`.
fn prepare_interpreter(py: Python<'_>) -> PyResult<()> {
    code::prepare(py)?;
    globals::prepare(py)?;
    let sys = py.import("sys")?;
    stdio::install(py, &sys)?;
    patch::install(py, &sys)?;
    let executable = sys.getattr("executable")?;
    sys.setattr("argv", [""])?;
    let chosen = config().and_then(|config| config.python.as_ref()).map(|python| python.executable.clone());
    sys.setattr("orig_argv", [chosen.unwrap_or_default().into_os_string()])?;
    sys.setattr("ps1", ">>> ")?;
    sys.setattr("ps2", "... ")?;
    enable_faulthandler(py)?;
    interrupt::install_before_current(set_flag);
    let runtime = RuntimeInfo {
        name: "CPython".into(),
        version: Python::version_str().split(' ').next().unwrap_or_default().into(),
        executable: executable.extract().ok(),
        home: None,
        prefix: sys.getattr("prefix")?.extract()?,
    };
    turns::prepare(py, runtime)
}

/// Enables `faulthandler`, so that the `session_end` of a crash contains the Python traceback. A user who enables
/// `faulthandler` has it write elsewhere.
fn enable_faulthandler(py: Python<'_>) -> PyResult<()> {
    let faulthandler = py.import("faulthandler")?;
    if faulthandler.call_method0("is_enabled")?.is_truthy()? {
        // PYTHONFAULTHANDLER or an option has enabled it. In an executed interpreter the session's handlers were
        // installed after its own; it is to be called first.
        faulthandler.call_method0("disable")?;
        worker_core::signals::crash::install_handlers();
        return faulthandler.call_method0("enable").map(drop);
    }
    // Without this file a crash is reported without its traceback.
    let Ok(notes) = worker_core::signals::crash::make_notes() else { return Ok(()) };
    let options = PyDict::new(py);
    options.set_item("file", notes)?;
    options.set_item("all_threads", false)?;
    faulthandler.call_method("enable", (), Some(&options)).map(drop)
}

/// Runs the session: all of its cells, up to where CPython finalises.
fn run(py: Python<'_>) {
    let end = turns::run(py);
    globals::release();
    // A forked child does not end in `on_finalized`, so a KeyboardInterrupt that left an `exec` would end it by SIGINT.
    let _ = globals::exec_nothing(py);
    if !worker_core::process::fork::in_child() {
        session().begin_finalizing();
    } else if let Some(end) = &end {
        leave_child(py, end);
    }
    let _ = END.set(end);
    // The handlers of Python's `atexit` run with SIGINT unblocked: an interrupt stops the one that runs.
    interrupt::unblock_signals();
}

/// Finalises CPython in a forked child and ends the process, unless the status is 0: after `-c` the status would be 0.
fn leave_child(_py: Python<'_>, end: &SessionEnd) {
    let status = messages::exit_status(end.exit_code.unwrap_or(0));
    if status != 0 {
        // SAFETY: the interpreter is initialised and this is its thread.
        unsafe { ffi::Py_FinalizeEx() };
        worker_core::process::fork::exit(status);
    }
}

/// CPython has finalised: ends the session and the process. `Py_BytesMain` may not return after this: where a
/// KeyboardInterrupt has left an `exec` of a string, also one that was caught, it ends the process by SIGINT.
extern "C" fn on_finalized() {
    if worker_core::process::fork::in_child() || IS_UP.load(SeqCst) && END.get().is_none() {
        // Native code has called `Py_Exit` in the middle of a cell. It calls `exit()` next.
        return;
    }
    let status = finish();
    if IS_EXECUTED.load(SeqCst) {
        worker_core::process::fork::exit(status);
    }
    // As after a return to the launcher, the handlers of C's `atexit` run.
    std::process::exit(status & 0xff);
}
