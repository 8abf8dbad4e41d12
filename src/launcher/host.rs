//! Takes a runtime and an engine into this process with the dynamic linker, and calls the engine.
#![expect(unsafe_code, reason = "loading a library runs its constructors, and its symbols have no types")]

use super::start::StartError;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
use std::error::Error as _;
use std::path::Path;

/// The engines' one entry point.
type Main = extern "C-unwind" fn(*const u8, usize) -> i32;

/// An engine in this process.
pub struct LoadedEngine {
    main: Main,
}

/// Loads the runtime's library for good. Its symbols are global, since extension modules expect to find them so.
pub fn load_runtime(path: &Path) -> Result<(), StartError> {
    // SAFETY: it is the runtime that the user chose to run, and its constructors are as trusted as the rest of it.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
    let library = library.map_err(|error| StartError::Library { library: path.to_path_buf(), error })?;
    std::mem::forget(library);
    Ok(())
}

/// Loads an engine for good.
pub fn load_engine(path: &Path) -> Result<LoadedEngine, libloading::Error> {
    // SAFETY: the file holds the engine that was built with this launcher.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }?;
    // SAFETY: both crates define the symbol with this type; the library is never closed.
    let main = *unsafe { library.get::<Main>(b"worker_engine_main\0") }?;
    std::mem::forget(library);
    Ok(LoadedEngine { main })
}

impl LoadedEngine {
    /// Hosts the session that the configuration describes; gives the exit status.
    pub fn call(self, config: &[u8]) -> i32 {
        (self.main)(config.as_ptr(), config.len())
    }
}

/// The dynamic linker's own words.
pub fn reason(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}
