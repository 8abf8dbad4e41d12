//! Takes a runtime and an engine into this process with the dynamic linker, and calls the engine.
#![expect(unsafe_code, reason = "loading a library runs its constructors, and its symbols have no types")]

use crate::launcher::start::error::StartError;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
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
        // SAFETY: the function is the engine's entry point, and the buffer lives across the call.
        unsafe { call_at_the_end_of_the_stack(config.as_ptr(), config.len(), self.main) }
    }
}

// Calls `main`. Whoever looks for a handler of a C++ exception finds the end of the stack here, as the function has no entry
// in the unwinding tables, and so `std::terminate` is called where the exception was thrown, with the runtime's stack as it
// was. Else the search comes to `main` of Rust, which would stop it only after the stack has been unwound, and a runtime
// that looks at its stack when it is told of SIGABRT would crash once more.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn call_at_the_end_of_the_stack(config: *const u8, len: usize, main: Main) -> i32 {
    core::arch::naked_asm!("push rbp", "mov rbp, rsp", "call rdx", "pop rbp", "ret")
}

#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn call_at_the_end_of_the_stack(config: *const u8, len: usize, main: Main) -> i32 {
    core::arch::naked_asm!("stp x29, x30, [sp, #-16]!", "mov x29, sp", "blr x2", "ldp x29, x30, [sp], #16", "ret")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe extern "C" fn call_at_the_end_of_the_stack(config: *const u8, len: usize, main: Main) -> i32 {
    main(config, len)
}
