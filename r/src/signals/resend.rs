//! Sends an interrupt again that came in the moment before R began to wait for a child.
//!
//! R sets a flag and raises the interrupt where it checks that; `system()` and `system(intern = TRUE)` check it only when the
//! child has ended, and a read of a pipe when the command has closed that. While the flag is set, this thread sends SIGINT to the
//! session's processes again, and to the command that R waits for. And a SIGINT that arrives when `system()` has just begun to
//! ignore it is lost: this thread sets R's flag then.

#![expect(unsafe_code, reason = "an eventfd that a signal handler writes to, and R's flag")]

use super::interpose;
use crate::libr::by_name::looked_up;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::time::Duration;
use worker_core::process::descendants;
use worker_core::signals::interrupt;

/// What wakes the thread.
static WAKE: AtomicI32 = AtomicI32::new(-1);

/// The lowest number for a descriptor of ours.
const FIRST_OWN_FD: i32 = 10;

/// How long R has to raise an interrupt by itself, and how long this thread waits before it sends the next.
const INTERVAL: Duration = Duration::from_millis(30);

/// Starts the thread; `note` sets R's flag. Where that fails, interrupts still do what they do in plain R.
pub(crate) fn start(note: extern "C" fn()) {
    // SAFETY: a new descriptor, or -1, moved out of the way of what users number by hand.
    let fd = unsafe {
        let low = libc::eventfd(0, libc::EFD_CLOEXEC);
        let fd = libc::fcntl(low, libc::F_DUPFD_CLOEXEC, FIRST_OWN_FD);
        libc::close(low);
        fd
    };
    if fd < 0 {
        return;
    }
    WAKE.store(fd, SeqCst);
    interrupt::call_after_sigint(wake);
    let was_open = interrupt::block_signals();
    let started =
        std::thread::Builder::new().name("resend".to_owned()).stack_size(64 << 10).spawn(move || run(fd, note));
    if started.is_err() {
        WAKE.store(-1, SeqCst);
    }
    if was_open {
        interrupt::unblock_signals();
    }
}

/// Wakes the thread: an interrupt has been sent. Any thread, and signal context.
pub(crate) extern "C" fn wake() {
    let fd = WAKE.load(SeqCst);
    if fd >= 0 {
        let one = 1u64;
        // SAFETY: write is safe in a signal handler, and the value lives across the call; errno is kept by the caller.
        unsafe { libc::write(fd, (&raw const one).cast(), 8) };
    }
}

/// The thread.
fn run(fd: libc::c_int, note: extern "C" fn()) {
    sys::block_signals_in_this_thread();
    let mut count = 0u64;
    // SAFETY: the buffer is as long as an eventfd asks for.
    while unsafe { libc::read(fd, (&raw mut count).cast(), 8) } == 8 {
        std::thread::sleep(INTERVAL);
        if interrupt::take_lost_sigint() {
            note();
        }
        while looked_up().interrupt_is_pending() {
            descendants::interrupt_group(|| looked_up().interrupt_is_pending());
            interpose::interrupt_awaited_child();
            std::thread::sleep(INTERVAL);
        }
    }
}
