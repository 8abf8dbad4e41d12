//! The session of this process and what it was opened with: each set once, before Python calls in.

use std::sync::OnceLock;
use worker_core::config::Config;
use worker_core::engine::Engine;
use worker_protocol::questions::ENGINE_REQUESTS;
use worker_protocol::{CORE_REQUESTS, Capabilities};

static SESSION: OnceLock<Engine> = OnceLock::new();
static CONFIG: OnceLock<Config> = OnceLock::new();

/// The session. Present from before the runtime starts, or from `start` on where the interpreter loads us.
pub(crate) fn session() -> &'static Engine {
    match SESSION.get() {
        Some(engine) => engine,
        // Every way in sets the session before it lets Python call us.
        None => unreachable!("the session is opened before Python runs"),
    }
}

/// Whether the session is open: C code may call in earlier.
pub(crate) fn is_open() -> bool {
    SESSION.get().is_some()
}

/// What the session was opened with, once it is open.
pub(crate) fn config() -> Option<&'static Config> {
    CONFIG.get()
}

/// Opens the session.
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
