//! The buffer of C's standard output, which code that prints by itself fills.

unsafe extern "C" {
    static mut stdout: *mut libc::FILE;
    fn ftrylockfile(file: *mut libc::FILE) -> libc::c_int;
    fn funlockfile(file: *mut libc::FILE);
    fn fflush_unlocked(file: *mut libc::FILE) -> libc::c_int;
    fn __fpending(file: *mut libc::FILE) -> libc::size_t;
    fn __fbufsize(file: *mut libc::FILE) -> libc::size_t;
}

/// What C code prints goes out a line at a time, as at a terminal; left alone where it goes out at once.
pub fn buffer_c_stdout_by_lines() {
    // SAFETY: C's stdout exists for the life of the process; no other thread prints yet.
    unsafe {
        let file = stdout;
        // `setvbuf(…, _IONBF, …)` leaves a buffer of one byte.
        if file.is_null() || __fbufsize(file) == 1 {
            return;
        }
        libc::setvbuf(file, std::ptr::null_mut(), libc::_IOLBF, 0);
    }
}

/// Passes on what C code printed and stdio still holds; skipped when another thread is in the middle of printing.
pub fn flush_c_stdout() {
    // SAFETY: C's stdout exists for the life of the process; its lock is tried, held for the flush and given back.
    unsafe {
        let file = stdout;
        if file.is_null() || __fpending(file) == 0 {
            return;
        }
        if ftrylockfile(file) == 0 {
            fflush_unlocked(file);
            funlockfile(file);
        }
    }
}
