//! Whether this process is the session's own, or a child that user code has made from it.
//!
//! The process id decides, not a hook of C's `fork`: a child that comes from a system call of its own (`syscall(SYS_fork)`,
//! `clone`) runs no hooks. Asking for the id is a system call, which costs as much as a third of a `print`. So a copy of the
//! memory is told by the memory itself: one page that the kernel empties in every such copy.

use std::os::fd::RawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering::SeqCst};

/// No process id: the hook has run, so this is a child.
const FORKED: i32 = -1;

/// The process id of the session; 0 before there is one.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// A word that is not 0 in the session and 0 in every copy of its memory; null where the kernel cannot do that.
static MARK: AtomicPtr<AtomicI32> = AtomicPtr::new(std::ptr::null_mut());
static IN_CHILD: OnceLock<InChild> = OnceLock::new();

/// What happens in a child that C's `fork` has made, before `fork` returns in it.
#[derive(Debug)]
pub struct InChild {
    /// Closed, so that the supervisor sees the end of file when the session is gone.
    pub close: Vec<RawFd>,
    /// Called in this order. No lock may be taken in them.
    pub call: &'static [fn()],
}

/// From now on the calling process is the session's own, and others that come from it are not.
pub fn own_process(in_child: InChild) {
    // SAFETY: getpid cannot fail; a plain C function is registered, which lives as long as the process.
    let pid = unsafe { libc::getpid() };
    if IN_CHILD.set(in_child).is_err() {
        return;
    }
    MARK.store(emptied_in_copies(pid).unwrap_or(std::ptr::null_mut()), SeqCst);
    OWNER.store(pid, SeqCst);
    // SAFETY: a plain C function that lives as long as this object, which is never unloaded.
    unsafe { libc::pthread_atfork(None, None, Some(after_fork)) };
}

/// A word in a page of its own, which is never freed.
fn emptied_in_copies(value: i32) -> Option<*mut AtomicI32> {
    // SAFETY: a fresh mapping, larger than the word and aligned for it.
    unsafe {
        let (size, flags) = (size_of::<AtomicI32>(), libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let page = libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        let word = page.cast::<AtomicI32>();
        if libc::madvise(page, size, libc::MADV_WIPEONFORK) != 0 {
            libc::munmap(page, size);
            return None;
        }
        (*word).store(value, SeqCst);
        Some(word)
    }
}

/// Whether this process has a copy of the session's memory: user code has forked it, in whatever way.
///
/// A child that shares the memory instead (`vfork`) is not told from the session: what it prints is the session's, as it is
/// written into the session's own buffer. Where it matters who dies, ask `is_own_process`.
pub fn in_child() -> bool {
    let mark = MARK.load(SeqCst);
    if mark.is_null() {
        return !is_own_process();
    }
    // SAFETY: the mapping is never freed.
    unsafe { (*mark).load(SeqCst) == 0 }
}

/// Whether this process is the session's own, and not any kind of child: its id is compared. Safe in a signal handler.
pub fn is_own_process() -> bool {
    match OWNER.load(SeqCst) {
        0 => true,
        FORKED => false,
        // SAFETY: getpid cannot fail.
        pid => pid == unsafe { libc::getpid() },
    }
}

extern "C" fn after_fork() {
    if OWNER.swap(FORKED, SeqCst) == FORKED {
        // A child's child: all is done.
        return;
    }
    let Some(in_child) = IN_CHILD.get() else { return };
    in_child.call.iter().for_each(|function| function());
    for &fd in &in_child.close {
        // SAFETY: the child has the session's descriptors, and nothing of the session works in it any more.
        unsafe { libc::close(fd) };
    }
}
