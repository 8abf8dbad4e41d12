//! The R engine of `worker`: hosts R in this process and drives it through R's own read-eval-print loop.
//!
//! The launcher loads libR and then this library, and calls [`worker_engine_main`] on the main thread. R calls back for
//! each line of input (`console/callbacks.rs`) and gets cells expression by expression (`cell/source.rs`).

#![expect(unsafe_code, reason = "the entry point, and bringing up R")]

mod bootstrap;
mod cell;
mod console;
mod libr;
mod plots;
mod requests;
mod runtime;
mod signals;

use console::callbacks;
use libc::{c_char, c_int};
use libr::by_name::looked_up;
use runtime::{own::Native, session, top};
use signals::{interpose, interrupts};
use std::ffi::CString;
use worker_core::config::Config;
use worker_core::engine::Engine;
use worker_core::signals::interrupt;
use worker_protocol::questions::ENGINE_REQUESTS;
use worker_protocol::{CORE_REQUESTS, Capabilities};

/// The functions of each module that R code of ours calls.
const NATIVES: [&[Native]; 3] = [&plots::NATIVES, &cell::NATIVES, &console::NATIVES];

/// The engine's entry point: opens the session that `config_json` describes, runs it, and gives the process's exit status.
///
/// # Safety
/// `config_json` points to `len` bytes; this is the process's main thread, and libR is loaded.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn worker_engine_main(config_json: *const u8, len: usize) -> i32 {
    // SAFETY: the caller's promise.
    let json = unsafe { std::slice::from_raw_parts(config_json, len) };
    let opened = worker_core::parse_config(json)
        .map_err(|error| error.to_string())
        .and_then(|config| open(&config).map(|engine| (config, engine)));
    let (config, engine) = match opened {
        Ok(opened) => opened,
        Err(message) => return report_failed_start(&message),
    };
    // SAFETY: this is the main thread, and R has not been started.
    unsafe {
        start(&config, engine);
        drop(config);
        // From here on R drives: it comes back only by the console's callbacks and ends the process itself.
        libr::run_Rmainloop();
    }
    0
}

/// Writes why the session cannot be opened to stderr, as there is no channel for it; gives the exit status.
fn report_failed_start(message: &str) -> i32 {
    eprintln!("worker: the R engine cannot start: {message}");
    1
}

/// Opens the session with what this engine can do.
fn open(config: &Config) -> Result<Engine, String> {
    let mut requests = CORE_REQUESTS.to_vec();
    requests.extend(ENGINE_REQUESTS);
    let capabilities =
        Capabilities { images: true, requests, limits: config.limits.clone(), ..Capabilities::default() };
    Engine::open(config, capabilities).map_err(|error| error.to_string())
}

/// Brings R up to its first prompt. Site and user profiles run here.
unsafe fn start(config: &Config, engine: Engine) {
    let extra = config.r.iter().flat_map(|r| &r.args).map(String::as_str);
    // Of what follows `--interactive` R reads only the options that it has in common with all front ends.
    let arguments =
        ["R", "--no-save", "--no-restore", "--quiet", "--no-readline", "--interactive"].into_iter().chain(extra);
    // R keeps these pointers.
    let arguments: Vec<*mut c_char> =
        arguments.filter_map(|argument| CString::new(argument).ok()).map(CString::into_raw).collect();
    let arguments: &'static mut [*mut c_char] = arguments.leak();
    let count = c_int::try_from(arguments.len()).unwrap_or(c_int::MAX);
    bootstrap::prepare(&NATIVES, config.plot);
    session::open(engine);
    looked_up();
    // SAFETY: R's own order of initialisation; the argument vector is never freed. Nothing here has a destructor from here on.
    unsafe {
        libr::R_SignalHandlers = 0;
        libr::Rf_initialize_R(count, arguments.as_mut_ptr());
        callbacks::install();
        interrupts::install();
        interpose::install();
        #[cfg(target_os = "linux")]
        signals::crash_traceback::install();
        interrupts::start_resending();
        interrupt::unblock_signals();
        libr::setup_Rmainloop();
        interrupt::block_signals();
    }
    top::note();
}
