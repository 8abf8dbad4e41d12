//! R's active calls in what a session says when it crashes, as R itself prints them in such a case.
//!
//! Only R can list its calls, and after a fault R may fault again, or wait for ever for a lock of the allocator. So a copy of the
//! process asks it, on a stack of its own, and this one waits for the copy for [`COPY_TIMEOUT`] at most.

#![expect(unsafe_code, reason = "a signal handler, and a copy of the process")]

use crate::libr::by_name::looked_up;
use crate::runtime::own::{call, muted};
use crate::runtime::{api, thread::RThread};
use libc::{c_int, c_void, siginfo_t};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};
use std::time::{Duration, Instant};
use worker_core::process::fork;
use worker_core::signals::{crash, interrupt};

/// What a fault in native code ends in.
const SIGNALS: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];
/// How long the copy may take.
const COPY_TIMEOUT: Duration = Duration::from_millis(500);
/// The size of the stack that the copy works on.
const STACK: usize = 8 << 20;

/// The session's own handlers, which say how it ended.
static BEFORE: RThread<[Option<libc::sigaction>; SIGNALS.len()]> = RThread::new([None; SIGNALS.len()]);
/// The descriptor that the copy writes the calls to.
static NOTES: AtomicI32 = AtomicI32::new(-1);
/// A fault has been handled; another one is not asked about.
static HAS_COME: AtomicBool = AtomicBool::new(false);

/// Puts the handlers before those of the session.
pub(crate) fn install() {
    let Ok(notes) = crash::make_notes() else { return };
    NOTES.store(notes, SeqCst);
    for (place, signal) in SIGNALS.into_iter().enumerate() {
        // SAFETY: sigaction is plain data, and the handler has the signature that SA_SIGINFO asks for.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut before);
            if before.sa_flags & libc::SA_SIGINFO == 0 || before.sa_sigaction == libc::SIG_DFL {
                continue;
            }
            BEFORE.with(|all| all[place] = Some(before));
            let action = libc::sigaction { sa_sigaction: on_fault as *const () as usize, ..before };
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// The handler of faults: has the calls noted, then calls the handler that was there before.
extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    if interrupt::is_main_thread() && !fork::in_child() && !HAS_COME.swap(true, SeqCst) {
        note_calls();
    }
    let before = BEFORE.with(|all| SIGNALS.iter().position(|&known| known == signal).and_then(|place| all[place]));
    if let Some(before) = before {
        type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
        // SAFETY: it is a handler of this kind, as `install` has checked.
        unsafe { std::mem::transmute::<usize, Handler>(before.sa_sigaction)(signal, info, context) }
    }
}

/// Has a copy of the process write R's calls.
fn note_calls() {
    // SAFETY: system calls. The copy is made without what C's library does for one, which may wait for a lock, and never
    // comes back from `work`.
    unsafe {
        let pid = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as libc::pid_t;
        if pid == 0 {
            work();
        }
        let begun = Instant::now();
        let mut status = 0;
        while pid > 0 && libc::waitpid(pid, &mut status, libc::WNOHANG) == 0 {
            if begun.elapsed() > COPY_TIMEOUT {
                libc::kill(pid, libc::SIGKILL);
                libc::waitpid(pid, &mut status, 0);
                return;
            }
            libc::poll(std::ptr::null_mut(), 0, 1);
        }
    }
}

/// In the copy: leaves the handler's small stack. Another fault is the copy's end.
unsafe fn work() -> ! {
    // SAFETY: plain calls; the context is filled before it is used, and its stack is a fresh mapping.
    unsafe {
        for signal in SIGNALS {
            libc::signal(signal, libc::SIG_DFL);
        }
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let stack = libc::mmap(std::ptr::null_mut(), STACK, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        let mut context: libc::ucontext_t = std::mem::zeroed();
        if stack != libc::MAP_FAILED && libc::getcontext(&mut context) == 0 {
            context.uc_stack = libc::stack_t { ss_sp: stack, ss_flags: 0, ss_size: STACK };
            libc::makecontext(&mut context, write_calls, 0);
            libc::setcontext(&context);
        }
        libc::_exit(1)
    }
}

/// In the copy, on the large stack.
extern "C" fn write_calls() {
    // SAFETY: R's variables, in a process that nothing else runs in.
    unsafe {
        // R takes any other stack than that of its start for an overflow.
        crate::libr::R_CStackLimit = usize::MAX;
        if !looked_up().gc_is_running() {
            let calls = muted(|| api::without_interrupts(active_calls));
            if !calls.is_empty() {
                let text = format!("Traceback:\n{}\n", calls.join("\n"));
                libc::write(NOTES.load(SeqCst), text.as_ptr().cast(), text.len());
            }
        }
        libc::_exit(0)
    }
}

/// The calls that are active, innermost first, each with its number.
fn active_calls() -> Vec<String> {
    call(c"active_calls").map(api::strings).unwrap_or_default()
}
