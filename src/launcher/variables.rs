//! The variables of this process's environment: set, and removed without a trace.
//!
//! Only for the launcher's single-threaded life, before an engine is called.
#![expect(unsafe_code, reason = "the environment may be changed only while nobody else reads it")]

use std::ffi::{CStr, OsStr};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

/// Sets a variable of this process.
pub fn set(name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
    // SAFETY: the launcher starts no thread before it calls an engine, so nobody reads the environment meanwhile.
    unsafe { std::env::set_var(name, value) }
}

/// The memory of the environment that this process was started with, which /proc/self/environ shows as long as it lives.
static INITIAL: OnceLock<Range<usize>> = OnceLock::new();

unsafe extern "C" {
    static mut environ: *mut *mut libc::c_char;
}

/// The entries of the environment, each `NAME=value`.
fn entries() -> impl Iterator<Item = *mut libc::c_char> {
    // SAFETY: the array ends in null, and under the condition of `set` nobody changes it meanwhile.
    (0..)
        .map(|at| unsafe { if environ.is_null() { std::ptr::null_mut() } else { *environ.add(at) } })
        .take_while(|entry| !entry.is_null())
}

/// Notes where the environment lies that the kernel gave to this process. To be called before anything changes it.
pub fn note_initial() {
    // SAFETY: entries are C strings.
    let end_of = |entry: *mut libc::c_char| entry as usize + unsafe { CStr::from_ptr(entry) }.count_bytes();
    let start = entries().map(|entry| entry as usize).min().unwrap_or_default();
    INITIAL.get_or_init(|| start..entries().map(end_of).max().unwrap_or_default());
}

/// Removes a variable of this process, and overwrites what /proc/self/environ shows of it.
pub fn remove(name: impl AsRef<OsStr>) {
    let name = name.as_ref();
    let initial = INITIAL.get().cloned().unwrap_or_default();
    let is_named = |entry: &*mut libc::c_char| {
        // SAFETY: entries are C strings.
        let bytes = unsafe { CStr::from_ptr(*entry) }.to_bytes();
        initial.contains(&(*entry as usize))
            && bytes.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
    };
    let mut found: Vec<_> = entries().filter(is_named).collect();
    // SAFETY: as for `set`.
    unsafe { std::env::remove_var(name) }
    for entry in &mut found {
        // SAFETY: the string lies in the memory that the kernel gave to this process for it, and nothing names it any more.
        unsafe { std::ptr::write_bytes(*entry, 0, CStr::from_ptr(*entry).count_bytes()) };
    }
}
