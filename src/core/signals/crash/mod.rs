//! The last words of a process that dies by a fault: everything it wrote, `session_end`, then death by the same signal.
//!
//! The handler runs on a stack of its own in whatever state the process is in, so it stores what happened, wakes the output
//! thread and waits for it. That thread allocates nothing either: the fault may have come from inside the allocator. If it
//! does not answer, or is itself the one that crashed, the handler writes what it can by itself.

#![expect(unsafe_code, reason = "signal handlers and what may be called in them")]

mod fatal;
mod files;
mod notes;
mod words;

pub use notes::{make_notes, set_notes};

pub(crate) use notes::forget_notes;

use crate::output::emitter::{Emitter, Stopped};
use crate::timeouts::OUTPUT_THREAD_AT_FAULT;
use files::Files;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use sys::Wake;
use words::{Fault, Words};
use worker_protocol::config::Config;

/// The size of the handler's stack. The buffers of the last words are static, so that little is needed.
const STACK: usize = 64 << 10;
/// What lies below it: a multiple of the page's size, also where pages are large.
const GUARD: usize = 64 << 10;

/// The signal that came; 0: none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// The address of the fault.
static ADDRESS: AtomicUsize = AtomicUsize::new(0);
/// The address means something: the kernel sent the signal because of a fault.
static HAS_ADDRESS: AtomicBool = AtomicBool::new(false);
/// Who says the last words: 0 nobody yet, 1 the output thread, 2 the handler.
static SPEAKER: AtomicU32 = AtomicU32::new(0);

/// What the handler and the output thread need: made at the start of the session, and never dropped.
struct Place {
    /// Where it is said.
    emitter: Arc<Emitter>,
    /// The output thread has said everything.
    done: Wake,
    /// What is removed.
    files: Files,
    /// Who would say the end in our stead listens here.
    end_pipe: Option<RawFd>,
    /// Kills the session's children. Allocates nothing.
    kill_children: fn(),
}

/// Empty until the handlers are installed.
static PLACE: OnceLock<Place> = OnceLock::new();

/// Installs the handlers and gives the calling (main) thread a stack for them.
///
/// `kill_children` is called after a fault, so it may allocate nothing and take no lock.
pub(crate) fn install(emitter: Arc<Emitter>, config: &Config, kill_children: fn()) -> std::io::Result<()> {
    let place =
        Place { emitter, done: Wake::new()?, files: Files::of(config), end_pipe: config.end_pipe, kill_children };
    if PLACE.set(place).is_err() {
        return Ok(());
    }
    give_stack();
    fatal::install_at_start(on_fault);
    Ok(())
}

/// Installs the handlers where the default action stands: a handler of somebody else's stays, and so does "ignore".
pub fn install_handlers() {
    fatal::install_where_default(on_fault);
}

/// The signals that have our handler at the moment: for a runtime that has recorded them as somebody's, and not as the default.
pub fn handled() -> impl Iterator<Item = libc::c_int> {
    fatal::handled_by(on_fault)
}

/// Gives the calling thread a stack for handlers, so that an overflow of its own stack is told too. It is never freed.
pub fn give_stack() {
    // SAFETY: a fresh mapping becomes the thread's alternate stack and stays mapped. Its first page is a guard.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let base = libc::mmap(std::ptr::null_mut(), GUARD + STACK, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if base != libc::MAP_FAILED {
            libc::mprotect(base, GUARD, libc::PROT_NONE);
            let stack = libc::stack_t { ss_sp: base.byte_add(GUARD), ss_flags: 0, ss_size: STACK };
            libc::sigaltstack(&stack, std::ptr::null_mut());
        }
    }
}

/// A signal that ends the process has come, on any thread.
extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    if !sys::is_own_process() {
        notes::signal_safe_forget_noted();
        return sys::die_of(signal);
    }
    let Some(place) = PLACE.get() else { return sys::die_of(signal) };
    if SIGNAL.compare_exchange(0, signal, SeqCst, SeqCst).is_ok() {
        // SAFETY: the kernel passes a valid siginfo; the address is read only where the kernel has set it.
        unsafe {
            let is_fault = matches!(signal, libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL);
            HAS_ADDRESS.store((*info).si_code > 0 && is_fault, SeqCst);
            ADDRESS.store((*info).si_addr() as usize, SeqCst);
        }
        place.emitter.wake.set();
        signal_safe_wait(&place.done);
        if SPEAKER.compare_exchange(0, 2, SeqCst, SeqCst).is_ok() {
            signal_safe_clear_up(place);
            signal_safe_speak(place, None);
        } else if SPEAKER.load(SeqCst) == 1 {
            // It has begun; a little more time to finish costs less than half a line.
            signal_safe_wait(&place.done);
        }
    } else if SPEAKER.load(SeqCst) != 2 {
        // A second thread crashes while the first is being told of: it must not end the process before.
        signal_safe_wait(&place.done);
    }
    sys::die_of(signal);
}

/// Waits for the output thread to be done, or until [`OUTPUT_THREAD_AT_FAULT`] is over.
///
/// Safe in a signal handler: `poll`.
fn signal_safe_wait(done: &Wake) {
    sys::poll(&mut [sys::pollfd(done.fd(), libc::POLLIN)], Some(OUTPUT_THREAD_AT_FAULT));
}

/// Called by the output thread whenever it wakes: says the last words if there was a fault.
pub(crate) fn attend() {
    if SIGNAL.load(SeqCst) == 0 {
        return;
    }
    if let Some(place) = PLACE.get()
        && SPEAKER.compare_exchange(0, 1, SeqCst, SeqCst).is_ok()
    {
        signal_safe_clear_up(place);
        signal_safe_speak(place, words::stop(&place.emitter));
        place.files.remove_temp_dir();
        place.done.set();
    }
    // The process is about to die; nothing may follow `session_end`.
    loop {
        std::thread::park();
    }
}

/// Kills the session's children, which would go on writing, and removes the socket file, at which nobody listens any more.
///
/// Safe in a signal handler: system calls on numbers and paths that are known.
fn signal_safe_clear_up(place: &Place) {
    let kill_children = place.kill_children;
    kill_children();
    place.files.signal_safe_remove_socket_file();
}

/// Says everything, with what [`words::stop`] gave if the caller is not the handler.
///
/// Safe in a signal handler: system calls and static buffers; what was accepted lies in mappings that stay.
fn signal_safe_speak(place: &Place, stopped: Option<Stopped>) {
    let signal = SIGNAL.load(SeqCst);
    let fault = Fault {
        signal: fatal::signal_safe_name_of(signal),
        address: HAS_ADDRESS.load(SeqCst).then(|| ADDRESS.load(SeqCst)),
        is_limit: signal == libc::SIGXCPU,
    };
    // SAFETY: `SPEAKER` lets one thread of the process come here, once.
    let words = unsafe { Words::signal_safe_new(&place.emitter) };
    if words.signal_safe_say(stopped, fault)
        && let Some(pipe) = place.end_pipe
    {
        // Nobody needs it that is not there.
        let _ = sys::write(pipe, b"1");
    }
}
