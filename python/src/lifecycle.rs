//! Bringing CPython up and down: the way in from the launcher, the way back from `-c`, and the end.

#![expect(unsafe_code, reason = "CPython's start and end, called through its C API")]

use crate::cell::turns;
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
/// What is given to `-c`: an expression, so that it binds no name in `__main__`.
const WAY_BACK: &str = "__import__('_worker').start()";

/// `start` was reached: from then on the runtime is up.
static IS_UP: AtomicBool = AtomicBool::new(false);
/// The interpreter was executed and has loaded us; else the launcher has loaded it.
static IS_EXECUTED: AtomicBool = AtomicBool::new(false);
/// What ended the runtime, once the cell loop is over.
static END: OnceLock<Option<SessionEnd>> = OnceLock::new();

/// The launcher's way in: opens the session, runs Python to its end, and gives the exit status.
///
/// `json` and `len` describe a [`worker_core::config::Config`]. Call it once, on the main thread, with `libpython` loaded globally.
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
    // It has said by itself why it did not.
    if open(config).is_err() {
        return STARTUP_FAILED;
    }
    let Ok(way_back) = CString::new(WAY_BACK) else { return STARTUP_FAILED };
    // SAFETY: the functions and strings given to C live as long as the process; Python is not up yet, as
    // PyImport_AppendInittab asks, and Py_BytesMain gets a null-terminated argument vector.
    unsafe {
        // On a fatal configuration error CPython calls exit() by itself.
        libc::atexit(on_exit);
        ffi::PyImport_AppendInittab(c"_worker".as_ptr(), Some(init_module));
        let mut argv: [*mut c_char; 4] = [
            executable.as_ptr().cast_mut(),
            c"-c".as_ptr().cast_mut(),
            way_back.as_ptr().cast_mut(),
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

/// Says the end. Gives the exit status.
fn finish() -> i32 {
    let Some(end) = END.get() else { return startup_failed() };
    session().end(end.clone())
}

extern "C" fn on_exit() {
    if is_open() && !IS_UP.load(SeqCst) && !worker_core::process::fork::in_child() {
        startup_failed();
    }
}

fn startup_failed() -> i32 {
    let said = session().startup_stderr();
    let why = if said.trim().is_empty() {
        "Python ended while it started, without a word".to_owned()
    } else {
        format!("Python did not start: {}", said.trim())
    };
    let hint = "check PYTHONHOME, PYTHONPATH and the virtual environment, or name another interpreter with --python";
    let mut end = SessionEnd::new(EndReason::StartupFailed).with_message(format!("{why} ({hint})"));
    end.exit_code = Some(STARTUP_FAILED.into());
    session().diagnose(end.message.as_deref().unwrap_or_default());
    session().end(Some(end))
}

/// Python's way back: takes over the interpreter that called it and runs the session as soon as the code of `-c` is over.
///
/// `config_fd`: where an interpreter that loaded this module by itself finds its [`worker_core::config::Config`].
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
    take_over(py)?;
    // The session runs when the last reference to the code of `-c` goes away: that is after its frame has ended, so no frame of
    // ours is below the user's, and before CPython finalises.
    let code = py.import("sys")?.getattr("_getframe")?.call0()?.getattr("f_code")?;
    let run =
        PyCFunction::new_closure(py, None, None, |args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>| {
            run(args.py());
        })?;
    let watch = py.import("_weakref")?.getattr("ref")?.call1((code, run))?;
    // The reference must live until it is called; it is never freed.
    std::mem::forget(watch.unbind());
    Ok(())
}

fn open_from(fd: i32) -> Result<(), String> {
    use std::io::{Read, Seek};
    // SAFETY: the launcher has passed the number in the code that called this, for this alone.
    let mut file = unsafe { worker_core::process::fork::file_from(fd) };
    let mut json = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut json)).map_err(|error| error.to_string())?;
    let config = worker_core::parse_config(&json).map_err(|error| error.to_string())?;
    let startup_pipe = config.startup_pipe;
    if open(config).is_err() {
        // It has said by itself why it did not. CPython's own end would have a word, and a status, of its own.
        worker_core::process::fork::exit(STARTUP_FAILED);
    }
    if let Some(pipe) = startup_pipe {
        // SAFETY: the launcher has named it in the configuration, for this alone.
        unsafe { worker_core::process::fork::confirm_start(pipe) };
    }
    Ok(())
}

/// Everything that makes the interpreter the session's.
fn take_over(py: Python<'_>) -> PyResult<()> {
    code::prepare(py)?;
    globals::prepare(py)?;
    let sys = py.import("sys")?;
    stdio::install(py, &sys)?;
    patch::install(py, &sys)?;
    let executable = sys.getattr("executable")?;
    sys.setattr("argv", [""])?;
    let typed = config().and_then(|config| config.python.as_ref()).map(|python| python.executable.clone());
    sys.setattr("orig_argv", [typed.unwrap_or_default().into_os_string()])?;
    sys.setattr("ps1", ">>> ")?;
    sys.setattr("ps2", "... ")?;
    note_faults(py)?;
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

/// A fault's Python traceback goes where the session's last words find it. A user who enables `faulthandler` takes it over.
fn note_faults(py: Python<'_>) -> PyResult<()> {
    let faulthandler = py.import("faulthandler")?;
    if faulthandler.call_method0("is_enabled")?.is_truthy()? {
        // By the environment. Its handlers come before ours, which an executed interpreter has installed later.
        faulthandler.call_method0("disable")?;
        worker_core::signals::crash::install_handlers();
        return faulthandler.call_method0("enable").map(drop);
    }
    // Without a place for it a crash is told without its traceback.
    let Ok(notes) = worker_core::signals::crash::make_notes() else { return Ok(()) };
    let options = PyDict::new(py);
    options.set_item("file", notes)?;
    options.set_item("all_threads", false)?;
    faulthandler.call_method("enable", (), Some(&options)).map(drop)
}

fn run(py: Python<'_>) {
    let end = turns::run(py);
    globals::let_go();
    // A forked child does not go by `on_finalized`. CPython forgets such an interrupt at the next string that it runs.
    let _ = globals::exec_nothing(py);
    if !worker_core::process::fork::in_child() {
        session().begin_finalizing();
    } else if let Some(end) = &end {
        leave_child(py, end);
    }
    let _ = END.set(end);
    // Exit handlers run with SIGINT open: an interrupt stops the one that runs.
    interrupt::allow();
}

/// A forked child that the user's code ended with a status of its own: finalises and is gone with that status.
fn leave_child(_py: Python<'_>, end: &SessionEnd) {
    let status = end.exit_code.unwrap_or(0).rem_euclid(256) as i32;
    if status != 0 {
        // SAFETY: the interpreter is initialised and this is its thread.
        unsafe { ffi::Py_FinalizeEx() };
        worker_core::process::fork::exit(status);
    }
}

/// CPython has finalised. It is not waited for until it comes back: where a KeyboardInterrupt has ever left an `exec` of a
/// string, also one that was caught, it ends the process by SIGINT instead.
extern "C" fn on_finalized() {
    if worker_core::process::fork::in_child() || IS_UP.load(SeqCst) && END.get().is_none() {
        // In the middle of a cell native code has called `Py_Exit`, which calls `exit()` now.
        return;
    }
    let status = finish();
    if IS_EXECUTED.load(SeqCst) {
        worker_core::process::fork::exit(status);
    }
    // As the launcher does: what C code has registered with `atexit` runs.
    std::process::exit(status & 0xff);
}
