//! The session of this process and its configuration. Both are set once, before Python code can call the engine.

use std::sync::OnceLock;
use worker_core::config::Config;
use worker_core::engine::Engine;
use worker_protocol::questions::ENGINE_REQUESTS;
use worker_protocol::{CORE_REQUESTS, Capabilities};

static SESSION: OnceLock<Engine> = OnceLock::new();
static CONFIG: OnceLock<Config> = OnceLock::new();

/// The session. Any thread, without the GIL. Panics before [`open`] has returned `Ok`.
pub(crate) fn session() -> &'static Engine {
    match SESSION.get() {
        Some(engine) => engine,
        // Each entry point opens the session before Python can call the engine.
        None => unreachable!("the session is opened before Python runs"),
    }
}

/// Whether [`open`] has succeeded: a handler of C's `atexit` may run earlier. Any thread.
pub(crate) fn is_open() -> bool {
    SESSION.get().is_some()
}

/// The configuration that the session was opened with; none before [`open`]. Any thread.
pub(crate) fn config() -> Option<&'static Config> {
    CONFIG.get()
}

/// Opens the session: takes over fds 0, 1 and 2 and the channel, and starts the session's threads. Main thread, once.
/// `Err` is the reason; the supervisor and stderr have it already.
pub(crate) fn open(config: Config) -> Result<(), String> {
    let mut requests = CORE_REQUESTS.to_vec();
    requests.extend(ENGINE_REQUESTS);
    let capabilities = Capabilities { images: true, displays: false, requests, limits: config.limits.clone() };
    let engine = Engine::open(&config, capabilities).map_err(|error| error.to_string())?;
    // Both are set once, here, before Python can call in.
    let _ = SESSION.set(engine);
    let _ = CONFIG.set(config);
    Ok(())
}
