//! Functions of C's library in whose place libR calls the engine's: `signal`, and what starts commands and reads their output.
//!
//! Around each of its waits R installs a handler by `signal()` that jumps out of the wait. It would be called for both signals of
//! one interrupt, and R would put ours back without the flags of `sigaction`. So libR's calls of `signal` come here: R's
//! handler is stored, and ours calls it for the interrupts that count. After `system()`, also with `intern = TRUE`, R does not
//! check for an interrupt at once, and a handler of the user's around the call alone would not be called: so it is raised here.
//! Pictures are shown before a command or another child starts, and so before what that prints. Where the entries in libR's
//! table cannot be changed, R does as it does without them.

#![expect(unsafe_code, reason = "changes an entry of libR's table of imported functions")]

use crate::libr::by_name::looked_up;
use crate::runtime::api;
use libc::{c_char, c_int, c_void, sighandler_t};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};
use worker_core::process::fork;
use worker_core::signals::interrupt;

/// The handler that R believes to be installed; 0: the worker's.
static HANDLER: AtomicUsize = AtomicUsize::new(0);

/// Calls the handler of a wait that R is in; it jumps. Comes back when R is in none. Signal context, R's thread.
pub(crate) fn pass_on() {
    let handler = HANDLER.load(SeqCst);
    if handler != 0 {
        // SAFETY: R passed this to `signal`; nothing on the way here has a destructor.
        let handler = unsafe { std::mem::transmute::<usize, unsafe extern "C-unwind" fn(c_int)>(handler) };
        // SAFETY: as above.
        unsafe { handler(libc::SIGINT) }
    }
}

/// What `signal` gives R for the worker's handler. Its address counts; it is not called.
unsafe extern "C-unwind" fn own(_signal: c_int) {}

/// The address that stands for the worker's handler.
fn own_address() -> sighandler_t {
    own as *const () as sighandler_t
}

/// `signal`, as libR calls it.
unsafe extern "C-unwind" fn signal(number: c_int, handler: sighandler_t) -> sighandler_t {
    let is_end_of_wait = HANDLER.load(SeqCst) != 0;
    // R's handler may run before R knows what to put back; what it puts back then is no handler at all.
    let is_own = handler == own_address() || (is_end_of_wait && handler == libc::SIG_DFL);
    let is_function = is_own || ![libc::SIG_DFL, libc::SIG_IGN, libc::SIG_ERR].contains(&handler);
    if number != libc::SIGINT || !is_function || !(is_end_of_wait || interrupt::is_installed()) {
        // SAFETY: what libR asked for.
        return unsafe { libc::signal(number, handler) };
    }
    let before = HANDLER.swap(if is_own { 0 } else { handler }, SeqCst);
    if !is_own && looked_up().interrupt_is_pending() {
        // R checked the flag before it called this, so an interrupt that came in between would be raised only after the wait.
        pass_on();
    }
    if before == 0 { own_address() } else { before }
}

/// `system`, as libR calls it: an interrupt that came meanwhile acts at once.
unsafe extern "C-unwind" fn system(command: *const c_char) -> c_int {
    api::reserve();
    crate::plots::show::show_new_pages();
    // SAFETY: what libR asked for. Nothing here has a destructor when R jumps.
    unsafe {
        let status = libc::system(command);
        act_on_interrupt();
        status
    }
}

/// Raises an interrupt that is pending, unless interrupts are suspended: jumps then. R may have blocked SIGPROF around the
/// caller.
unsafe fn act_on_interrupt() {
    if !looked_up().interrupt_is_pending() {
        return;
    }
    // SAFETY: plain calls on a set that is filled before; nothing here has a destructor when R jumps.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGPROF);
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, &mut before);
        crate::libr::R_CheckUserInterrupt();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
    }
}

/// `popen`, as libR calls it.
unsafe extern "C-unwind" fn popen(command: *const c_char, mode: *const c_char) -> *mut libc::FILE {
    api::reserve();
    crate::plots::show::show_new_pages();
    // SAFETY: what libR asked for.
    unsafe { libc::popen(command, mode) }
}

/// Called before each `fork`: by `parallel`, by R for a command with a time limit, by any library. Any thread.
unsafe extern "C" fn before_fork() {
    if interrupt::is_main_thread() && !fork::in_child() && crate::plots::show::has_new_page() {
        // R jumps out of the fork here when its protection stack is full: then there is none, and R's error says why.
        api::reserve();
        crate::plots::show::show_new_pages();
    }
}

/// The child that libR waits for and nothing else; 0: none.
static AWAITED: AtomicI32 = AtomicI32::new(0);

/// `waitpid`, as libR calls it: notes the child that R waits for.
unsafe extern "C-unwind" fn waitpid(pid: libc::pid_t, status: *mut c_int, options: c_int) -> libc::pid_t {
    let is_wait = pid > 0 && options & libc::WNOHANG == 0;
    AWAITED.store(if is_wait { pid } else { 0 }, SeqCst);
    // SAFETY: what libR asked for. A handler of R's may jump away from here, and leave AWAITED set; see
    // `interrupt_awaited_child`.
    let ended = unsafe { libc::waitpid(pid, status, options) };
    AWAITED.store(0, SeqCst);
    ended
}

/// Sends SIGINT to the process group of the child that R waits for, if that leads one: R 4.5 and newer run the commands of
/// `pipe()` in groups of their own, which no interrupt of the session's group reaches. Any thread.
pub(crate) fn interrupt_awaited_child() {
    let pid = AWAITED.load(SeqCst);
    // The interrupt may be over, and the child one of the next cell.
    if pid == 0 || !looked_up().interrupt_is_pending() {
        return;
    }
    // SAFETY: plain system calls. A child that is not waited for keeps its number, so the group is still its own.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        let is_child = libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, options) == 0;
        if is_child && libc::getpgid(pid) == pid {
            libc::kill(-pid, libc::SIGINT);
        }
    }
}

/// The stream that was last read by lines to its end. `system(intern = TRUE)` reads so, pipe connections do not.
static READ_TO_END: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    /// C's own, which the crate `libc` leaves out.
    #[link_name = "getdelim"]
    fn c_getdelim(buffer: *mut *mut c_char, size: *mut usize, end: c_int, stream: *mut libc::FILE) -> libc::ssize_t;
}

/// `getdelim`, as libR calls it.
unsafe extern "C-unwind" fn getdelim(
    buffer: *mut *mut c_char,
    size: *mut usize,
    end: c_int,
    stream: *mut libc::FILE,
) -> libc::ssize_t {
    // SAFETY: what libR asked for.
    let length = unsafe { c_getdelim(buffer, size, end, stream) };
    if length < 0 {
        READ_TO_END.store(stream as usize, SeqCst);
    }
    length
}

/// `getline`, as libR calls it.
unsafe extern "C-unwind" fn getline(
    buffer: *mut *mut c_char,
    size: *mut usize,
    stream: *mut libc::FILE,
) -> libc::ssize_t {
    // SAFETY: what libR asked for.
    unsafe { getdelim(buffer, size, c_int::from(b'\n'), stream) }
}

/// `pclose`, as libR calls it: an interrupt that came in `system(intern = TRUE)` acts at once. A pipe connection is not to be
/// left half closed.
unsafe extern "C-unwind" fn pclose(stream: *mut libc::FILE) -> c_int {
    // SAFETY: what libR asked for. Nothing here has a destructor when R jumps.
    unsafe {
        let status = libc::pclose(stream);
        if READ_TO_END.swap(0, SeqCst) == stream as usize {
            act_on_interrupt();
        }
        status
    }
}

/// Changes libR's table of imported functions, and registers [`before_fork`]. Before R runs.
pub(crate) fn install() {
    // SAFETY: the table is libR's, which stays loaded, as this library does; nothing of R runs yet.
    unsafe {
        libc::pthread_atfork(Some(before_fork), None, None);
        let mut info: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(crate::libr::setup_Rmainloop as *const c_void, &mut info) == 0 {
            return;
        }
        let mut base = info.dli_fbase as usize;
        libc::dl_iterate_phdr(Some(visit_object), (&raw mut base).cast());
    }
}

/// Called for each loaded object: changes the table of the one that is loaded at the address that `data` points to.
unsafe extern "C" fn visit_object(info: *mut libc::dl_phdr_info, _size: usize, data: *mut c_void) -> c_int {
    // SAFETY: the loader passes a valid description; `data` is the address that `install` passed.
    unsafe {
        let info = &*info;
        if info.dlpi_addr as usize != *data.cast::<usize>() {
            return 0;
        }
        let headers = std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
        if let Some(header) = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC) {
            let base = info.dlpi_addr as usize;
            redirect(base, (base + header.p_vaddr as usize) as *const [u64; 2]);
        }
    }
    1
}

/// Tags of the dynamic section, as in `elf.h`.
const DT_PLTRELSZ: u64 = 2;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_JMPREL: u64 = 23;

/// The relocations that hold a function's address: by way of the table of imported functions, and directly.
#[cfg(target_arch = "x86_64")]
const KINDS: [u64; 2] = [7, 6];
#[cfg(target_arch = "aarch64")]
const KINDS: [u64; 2] = [1026, 1025];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const KINDS: [u64; 2] = [u64::MAX; 2];

/// Changes the entries for these functions in an object's tables.
unsafe fn redirect(base: usize, mut dynamic: *const [u64; 2]) {
    let mut found = [0u64; 24];
    // SAFETY: the dynamic section ends with a zero tag.
    unsafe {
        while (*dynamic)[0] != 0 {
            let [tag, value] = *dynamic;
            if let Some(place) = found.get_mut(tag as usize) {
                *place = value;
            }
            dynamic = dynamic.add(1);
        }
    }
    // The loader makes addresses of the offsets; not every loader does.
    let at = |tag: u64| match found[tag as usize] as usize {
        offset if offset < base => base + offset,
        address => address,
    };
    for (table, size) in [(DT_JMPREL, DT_PLTRELSZ), (DT_RELA, DT_RELASZ)] {
        if found[table as usize] == 0 {
            continue;
        }
        let count = found[size as usize] as usize / 24;
        // SAFETY: the table holds so many entries of offset, symbol and kind, and addend.
        let entries = unsafe { std::slice::from_raw_parts(at(table) as *const [u64; 3], count) };
        for [offset, info, _] in entries {
            // SAFETY: the symbol's index is the object's own; a symbol begins with the offset of its name.
            let name = unsafe {
                let symbol = (at(DT_SYMTAB) + (info >> 32) as usize * 24) as *const u32;
                CStr::from_ptr((at(DT_STRTAB) + *symbol as usize) as *const c_char)
            };
            let ours = match name.to_bytes() {
                b"signal" => signal as *const (),
                b"system" => system as *const (),
                b"popen" => popen as *const (),
                b"getline" => getline as *const (),
                // What C's header makes of `getline`.
                b"getdelim" | b"__getdelim" => getdelim as *const (),
                b"pclose" => pclose as *const (),
                b"waitpid" => waitpid as *const (),
                _ => continue,
            };
            if KINDS.contains(&(info & 0xffff_ffff)) {
                // SAFETY: the entry is the object's own.
                unsafe { write_entry((base + *offset as usize) as *mut usize, ours as usize) };
            }
        }
    }
}

/// Writes one entry, which may have been made read-only.
unsafe fn write_entry(entry: *mut usize, address: usize) {
    // SAFETY: the page is that of the entry, and libR's.
    unsafe {
        let size = libc::sysconf(libc::_SC_PAGESIZE) as usize;
        let page = (entry as usize / size * size) as *mut c_void;
        if libc::mprotect(page, size, libc::PROT_READ | libc::PROT_WRITE) == 0 {
            entry.write_volatile(address);
        }
    }
}
