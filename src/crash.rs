//! The last words of a process that dies by a fault: everything it wrote, `session_end`, then death by the same signal.
//!
//! The handler runs on a stack of its own in whatever state the process is in, so it stores what happened, wakes the output
//! thread and waits for it. That thread allocates nothing either: the fault may have come from inside the allocator. If it
//! does not answer, or is itself the one that crashed, the handler writes what it can by itself.

#![expect(unsafe_code, reason = "signal handlers and what may be called in them")]

mod signals;

pub use signals::{handled, install_handlers};

use crate::config::{Config, SocketFile};
use crate::emitter::Emitter;
use crate::protocol::Stream;
use crate::sys::{self, Wake};
use std::cell::UnsafeCell;
use std::ffi::CString;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// How long the handler waits for the output thread.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long one write may wait for the supervisor.
const WRITE_PATIENCE: Duration = Duration::from_millis(250);
/// The size of the handler's stack. The buffers below are static, so that little is needed.
const STACK: usize = 64 << 10;
/// What lies below it: a multiple of the page's size, also where pages are large.
const GUARD: usize = 64 << 10;
/// So much of what the runtime has noted about the fault goes into the message.
const MOST_NOTES: usize = 8 << 10;

/// The signal that came; 0: none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// The address of the fault.
static ADDRESS: AtomicUsize = AtomicUsize::new(0);
/// The address means something: the kernel sent the signal because of a fault.
static HAS_ADDRESS: AtomicBool = AtomicBool::new(false);
/// Who says the last words: 0 nobody yet, 1 the output thread, 2 the handler.
static SPEAKER: AtomicU32 = AtomicU32::new(0);
/// Where the runtime notes what it knows of a fault, such as the calls that led there.
static NOTES: AtomicI32 = AtomicI32::new(-1);
/// What is accepted and not yet written: whole lines. Published by the emitter for the case that its lock is never released.
static UNWRITTEN: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static UNWRITTEN_LEN: AtomicUsize = AtomicUsize::new(0);

struct Place {
    emitter: std::sync::Arc<Emitter>,
    done: Wake,
    /// The session's temporary directory.
    temp_dir: Option<CString>,
    /// The socket file of `--listen`.
    socket_file: Option<(CString, SocketFile)>,
    /// Who would say the end in our stead listens here.
    end_pipe: Option<RawFd>,
}

static PLACE: OnceLock<Place> = OnceLock::new();

/// Room for the one who speaks: the input of an encoding step and its output.
struct Scratch {
    input: UnsafeCell<[u8; 16 << 10]>,
    output: UnsafeCell<[u8; 100 << 10]>,
}

// SAFETY: only the one speaker, chosen by an atomic exchange, touches it.
unsafe impl Sync for Scratch {}

static SCRATCH: Scratch = Scratch { input: UnsafeCell::new([0; 16 << 10]), output: UnsafeCell::new([0; 100 << 10]) };

/// Installs the handlers and gives the calling (main) thread a stack for them.
pub(crate) fn install(emitter: std::sync::Arc<Emitter>, config: &Config) -> std::io::Result<()> {
    let to_c = |path: &Path| CString::new(path.as_os_str().as_bytes()).ok();
    let temp_dir = config.temp_dir.as_deref().and_then(to_c);
    let socket_file = config.socket_file.clone().and_then(|file| Some((to_c(&file.path)?, file)));
    let place = Place { emitter, done: Wake::new()?, temp_dir, socket_file, end_pipe: config.end_pipe };
    if PLACE.set(place).is_err() {
        return Ok(());
    }
    give_stack();
    signals::install_at_start();
    Ok(())
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

/// Names a file (a memfd) into which the runtime writes what it knows of a fault before our handler is called.
pub fn set_notes(fd: RawFd) {
    NOTES.store(fd, SeqCst);
}

/// The emitter says what is accepted and not yet written: whole lines at an address that stays valid until the next call.
pub(crate) fn publish(unwritten: &[u8]) {
    UNWRITTEN_LEN.store(0, SeqCst);
    UNWRITTEN.store(unwritten.as_ptr().cast_mut(), SeqCst);
    UNWRITTEN_LEN.store(unwritten.len(), SeqCst);
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    if !sys::is_own_process() {
        forget_noted();
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
        sys::poll(&mut [sys::pollfd(place.done.fd(), libc::POLLIN)], Some(PATIENCE));
        if SPEAKER.compare_exchange(0, 2, SeqCst, SeqCst).is_ok() {
            speak(&place.emitter, false);
        } else if SPEAKER.load(SeqCst) == 1 {
            // It has begun; a little more time to finish costs less than half a line.
            sys::poll(&mut [sys::pollfd(place.done.fd(), libc::POLLIN)], Some(PATIENCE));
        }
    } else if SPEAKER.load(SeqCst) != 2 {
        // A second thread crashes while the first is being told of: it must not end the process before.
        sys::poll(&mut [sys::pollfd(place.done.fd(), libc::POLLIN)], Some(PATIENCE));
    }
    sys::die_of(signal);
}

/// Called by the output thread whenever it wakes: says the last words if there was a fault.
pub(crate) fn attend() {
    if SIGNAL.load(SeqCst) == 0 {
        return;
    }
    if let Some(place) = PLACE.get()
        && SPEAKER.compare_exchange(0, 1, SeqCst, SeqCst).is_ok()
    {
        speak(&place.emitter, true);
        remove_temp_dir();
        place.done.set();
    }
    // The process is about to die; nothing may follow `session_end`.
    loop {
        std::thread::park();
    }
}

/// Says everything. `can_wait`: the caller is not the one that crashed and may wait for the emitter's lock.
fn speak(emitter: &Emitter, can_wait: bool) {
    let fd = emitter.sink.fd();
    crate::tree::kill_children_in_a_fault();
    remove_socket_file();
    // SAFETY: this is the one speaker.
    let (input, output) = unsafe { (&mut *SCRATCH.input.get(), &mut *SCRATCH.output.get()) };
    let has_ended = if can_wait {
        sys::flush_c_stdout();
        emitter.lock_for_fault(Duration::from_millis(150), |unwritten, is_open, has_ended| {
            put(fd, unwritten);
            if is_open {
                put(fd, b"\"}\n");
            }
            has_ended
        })
    } else {
        None
    };
    if has_ended.is_none() {
        // The lock is the crasher's: what it had published are whole lines.
        // SAFETY: the emitter published an address that is valid until it publishes another, which it cannot while we speak.
        let unwritten = unsafe {
            let start = UNWRITTEN.load(SeqCst);
            let len = UNWRITTEN_LEN.load(SeqCst);
            if start.is_null() { &[][..] } else { std::slice::from_raw_parts(start, len) }
        };
        put(fd, unwritten);
    }
    if has_ended == Some(true) {
        return;
    }
    if let Some(capture) = &emitter.capture {
        for (stream, raw) in [Stream::Stdout, Stream::Stderr].into_iter().zip(capture.fds()) {
            drain(fd, stream, raw, input, output);
        }
    }
    let mut line = Line { bytes: output, len: 0 };
    let signal = SIGNAL.load(SeqCst);
    let name = signals::name_of(signal);
    line.push(b"{\"type\":\"session_end\",\"reason\":\"crash\",\"message\":\"");
    line.push(name.as_bytes());
    if HAS_ADDRESS.load(SeqCst) {
        line.push(b" at address 0x");
        line.push_hex(ADDRESS.load(SeqCst));
    }
    if signal == libc::SIGXCPU {
        line.push(b" (the limit of CPU time is reached)");
    }
    let notes = NOTES.load(SeqCst);
    if notes >= 0 {
        // SAFETY: pread writes at most the given number of bytes into the buffer.
        let size = unsafe { libc::pread(notes, input.as_mut_ptr().cast(), MOST_NOTES, 0) };
        if let Ok(size @ 1..) = usize::try_from(size) {
            line.push(b": ");
            let text = input[..size].utf8_chunks().next().map_or("", |chunk| chunk.valid());
            line.push_escaped(text.trim_end());
        }
    }
    // The second dialect, which captures nothing, has no such field.
    if emitter.capture.is_some() {
        line.push(b"\",\"signal\":\"");
        line.push(name.as_bytes());
    }
    line.push(b"\"}\n");
    let len = line.len;
    put(fd, &output[..len]);
    if let Some(pipe) = PLACE.get().and_then(|place| place.end_pipe) {
        put(pipe, b"1");
    }
}

/// Removes the session's temporary directory by a program of its own: doing it here would allocate.
fn remove_temp_dir() {
    let Some(dir) = PLACE.get().and_then(|place| place.temp_dir.as_ref()) else { return };
    let program = c"/bin/rm";
    let argv = [program.as_ptr().cast_mut(), c"-rf".as_ptr().cast_mut(), dir.as_ptr().cast_mut(), std::ptr::null_mut()];
    let environment = [std::ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: the vectors are null-terminated and live across the call; posix_spawn does not use the heap.
    unsafe {
        libc::posix_spawn(
            &mut pid,
            program.as_ptr(),
            std::ptr::null(),
            std::ptr::null(),
            argv.as_ptr(),
            environment.as_ptr(),
        )
    };
}

/// Removes the socket file of `--listen` unless another has come to its place. Allocates nothing.
fn remove_socket_file() {
    let Some((path, file)) = PLACE.get().and_then(|place| place.socket_file.as_ref()) else { return };
    // SAFETY: a C string, and a structure that the call fills before it is read.
    unsafe {
        let mut found: libc::stat = std::mem::zeroed();
        if libc::lstat(path.as_ptr(), &mut found) == 0 && (found.st_dev, found.st_ino) == (file.device, file.inode) {
            libc::unlink(path.as_ptr());
        }
    }
}

/// Says what a raw pipe holds.
fn drain(fd: RawFd, stream: Stream, raw: RawFd, input: &mut [u8], output: &mut [u8]) {
    let mut left = sys::available(raw).min(1 << 20);
    let mut held = 0;
    while left > 0 {
        let most = (input.len() - held).min(left);
        let Ok(size @ 1..) = sys::read(raw, &mut input[held..held + most]) else { return };
        left -= size;
        let all = held + size;
        // The beginning of a character waits for its rest.
        let valid = match std::str::from_utf8(&input[..all]) {
            Err(error) if error.error_len().is_none() && left > 0 => error.valid_up_to(),
            _ => all,
        };
        let mut line = Line { bytes: output, len: 0 };
        line.push(b"{\"type\":\"output_text\",\"stream\":\"");
        line.push(if stream == Stream::Stdout { b"stdout" } else { b"stderr" });
        line.push(b"\",\"origin\":\"fd\",");
        match std::str::from_utf8(&input[..valid]) {
            Ok(text) => {
                line.push(b"\"text\":\"");
                line.push_escaped(text);
            }
            Err(_) => {
                line.push(b"\"data_b64\":\"");
                line.push_base64(&input[..valid]);
            }
        }
        line.push(b"\"}\n");
        let len = line.len;
        put(fd, &output[..len]);
        input.copy_within(valid..all, 0);
        held = all - valid;
    }
}

/// Writes as much as the supervisor takes in time.
fn put(fd: RawFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match sys::write(fd, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if !sys::poll(&mut [sys::pollfd(fd, libc::POLLOUT)], Some(WRITE_PATIENCE)) {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// A line in a buffer of fixed size; what does not fit is left out.
struct Line<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl Line<'_> {
    fn push(&mut self, bytes: &[u8]) {
        let size = bytes.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + size].copy_from_slice(&bytes[..size]);
        self.len += size;
    }

    fn push_hex(&mut self, number: usize) {
        for shift in (0..usize::BITS / 4).rev() {
            let digit = number >> (shift * 4) & 15;
            if digit != 0 || shift == 0 || number >> (shift * 4) != 0 {
                self.push(&[b"0123456789abcdef"[digit]]);
            }
        }
    }

    fn push_escaped(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            match byte {
                b'\n' => self.push(b"\\n"),
                b'"' => self.push(b"\\\""),
                b'\\' => self.push(b"\\\\"),
                0..0x20 => {
                    self.push(b"\\u00");
                    self.push(&[
                        b"0123456789abcdef"[usize::from(byte >> 4)],
                        b"0123456789abcdef"[usize::from(byte & 15)],
                    ]);
                }
                _ => self.push(&[byte]),
            }
        }
    }

    fn push_base64(&mut self, bytes: &[u8]) {
        use base64::Engine as _;
        let engine = &base64::engine::general_purpose::STANDARD;
        if let Ok(size) = engine.encode_slice(bytes, &mut self.bytes[self.len..]) {
            self.len += size;
        }
    }
}

/// A file in memory for [`set_notes`]; in a forked child it is not shared any more.
pub fn make_notes() -> std::io::Result<RawFd> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
        // SAFETY: memfd_create gives a fresh descriptor that nobody else owns.
        let fd = unsafe {
            let fd = libc::memfd_create(c"worker-notes".as_ptr(), libc::MFD_CLOEXEC);
            if fd < 0 {
                return Err(std::io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        let high = sys::dup_high(std::os::fd::AsRawFd::as_raw_fd(&fd))?.into_raw_fd();
        set_notes(high);
        Ok(high)
    }
    #[cfg(not(target_os = "linux"))]
    Err(std::io::ErrorKind::Unsupported.into())
}

/// In a child that C's `fork` did not make: what the runtime has noted of the child's fault is not the session's.
fn forget_noted() {
    let fd = NOTES.load(SeqCst);
    if fd >= 0 {
        // SAFETY: async-signal-safe calls on a file in memory, whose offset is shared with the session.
        unsafe {
            libc::ftruncate(fd, 0);
            libc::lseek(fd, 0, libc::SEEK_SET);
        }
    }
}

/// In a forked child: notes about its own fault are not the session's.
pub(crate) fn forget_notes() {
    let fd = NOTES.swap(-1, SeqCst);
    if fd >= 0 {
        // SAFETY: async-signal-safe calls on descriptors of this process.
        unsafe {
            let null = libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            if null >= 0 {
                libc::dup3(null, fd, libc::O_CLOEXEC);
                libc::close(null);
            }
        }
    }
}
