//! The few system calls that the launcher makes by hand, each wrapped so that the rest of it is safe code.
#![expect(unsafe_code, reason = "environment, descriptors and locale are reached through libc")]

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::ops::Range;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Descriptors that the worker keeps for itself start here, out of the way of user code.
const FIRST_OWN_FD: RawFd = 10;

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Sets a variable of this process.
///
/// Only for the launcher's single-threaded life, before an engine is called.
pub fn set_env(name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
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
    // SAFETY: the array ends in null, and under the condition of `set_env` nobody changes it meanwhile.
    (0..)
        .map(|at| unsafe { if environ.is_null() { std::ptr::null_mut() } else { *environ.add(at) } })
        .take_while(|entry| !entry.is_null())
}

/// Notes where the environment lies that the kernel gave to this process. To be called before anything changes it.
pub fn note_environment() {
    // SAFETY: entries are C strings.
    let end_of = |entry: *mut libc::c_char| entry as usize + unsafe { CStr::from_ptr(entry) }.count_bytes();
    let start = entries().map(|entry| entry as usize).min().unwrap_or_default();
    INITIAL.get_or_init(|| start..entries().map(end_of).max().unwrap_or_default());
}

/// Removes a variable of this process, under the same condition, and overwrites what /proc/self/environ shows of it.
pub fn remove_env(name: impl AsRef<OsStr>) {
    let name = name.as_ref();
    let initial = INITIAL.get().cloned().unwrap_or_default();
    let is_named = |entry: &*mut libc::c_char| {
        // SAFETY: entries are C strings.
        let bytes = unsafe { CStr::from_ptr(*entry) }.to_bytes();
        initial.contains(&(*entry as usize))
            && bytes.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
    };
    let mut found: Vec<_> = entries().filter(is_named).collect();
    // SAFETY: as for `set_env`.
    unsafe { std::env::remove_var(name) }
    for entry in &mut found {
        // SAFETY: the string lies in the memory that the kernel gave to this process for it, and nothing names it any more.
        unsafe { std::ptr::write_bytes(*entry, 0, CStr::from_ptr(*entry).count_bytes()) };
    }
}

/// A copy of a descriptor at 10 or above, closed upon exec.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl takes any number, and answers EBADF for one that is not open.
    let copy = checked(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, FIRST_OWN_FD) })?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Closes a descriptor that was handed to this process by number.
pub fn close(fd: RawFd) {
    // SAFETY: called for numbers from the command line that have been duplicated; nothing here owns them.
    unsafe { libc::close(fd) };
}

/// Closes every descriptor of this process but a few. Only for a child that runs no destructors of their owners.
pub fn close_all_but(kept: &[RawFd]) {
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    let mut from = 0;
    for fd in kept {
        if from < fd {
            // SAFETY: a range of numbers; what they were is no longer used in this process.
            unsafe { libc::close_range(from as u32, fd as u32 - 1, 0) };
        }
        from = fd + 1;
    }
    // SAFETY: as above.
    unsafe { libc::close_range(from as u32, u32::MAX, 0) };
}

/// Makes one number a copy of another's descriptor, inherited by children.
pub fn replace(from: RawFd, onto: RawFd) -> io::Result<()> {
    // SAFETY: dup2 takes any numbers; who calls says that the second is theirs to replace.
    checked(unsafe { libc::dup2(from, onto) }).map(drop)
}

/// What kind of file a descriptor is of.
pub fn file_type(fd: RawFd) -> io::Result<std::fs::FileType> {
    // SAFETY: the file is never dropped, so the descriptor stays with whoever owns it.
    let file = std::mem::ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(fd) });
    Ok(file.metadata()?.file_type())
}

/// How a descriptor was opened (`O_RDONLY` and so on), or the error for one that is not open.
pub fn status_flags(fd: RawFd) -> io::Result<i32> {
    // SAFETY: fcntl takes any number.
    checked(unsafe { libc::fcntl(fd, libc::F_GETFL) })
}

/// Makes operations on a descriptor of our own not wait.
pub fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    let flags = status_flags(fd)?;
    // SAFETY: fcntl takes any number.
    checked(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) }).map(drop)
}

/// Takes a connection, at 10 or above and closed upon exec.
pub fn accept(listener: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: accept may be given no room for the address.
    let fd =
        checked(unsafe { libc::accept4(listener, std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_CLOEXEC) })?;
    // SAFETY: the kernel just gave us this descriptor.
    let low = unsafe { OwnedFd::from_raw_fd(fd) };
    duplicate(std::os::fd::AsRawFd::as_raw_fd(&low))
}

/// Does something while files that are made belong to this user alone.
pub fn with_private_files<T>(make: impl FnOnce() -> T) -> T {
    // SAFETY: umask takes any number and cannot fail.
    let before = unsafe { libc::umask(0o177) };
    let made = make();
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    made
}

/// Keeps a descriptor open across exec, or not.
pub fn set_inherited(fd: RawFd, inherited: bool) -> io::Result<()> {
    // SAFETY: fcntl takes any number.
    checked(unsafe { libc::fcntl(fd, libc::F_SETFD, if inherited { 0 } else { libc::FD_CLOEXEC }) }).map(drop)
}

/// Whether the descriptor is a socket, and if so, whether a peer is connected.
pub fn is_connected_socket(fd: RawFd) -> Option<bool> {
    let mut kind: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointers are to locals of the stated size.
    let result =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &raw mut length) };
    if result < 0 {
        return None;
    }
    // SAFETY: sockaddr_storage is plain bytes, for which zero is valid.
    let mut address: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the pointers are to locals of the stated size.
    Some(unsafe { libc::getpeername(fd, (&raw mut address).cast(), &raw mut length) } == 0)
}

/// The character set of the locale that the environment asks for; None when that locale is not installed.
pub fn locale_charset() -> Option<String> {
    // SAFETY: the name is an empty C string, the base is null: a new locale from the environment.
    let locale = unsafe { libc::newlocale(libc::LC_CTYPE_MASK, c"".as_ptr(), std::ptr::null_mut()) };
    if locale.is_null() {
        return None;
    }
    // SAFETY: the locale is live; the answer is a C string that lives as long as the locale does.
    let name = unsafe { CStr::from_ptr(libc::nl_langinfo_l(libc::CODESET, locale)) }.to_string_lossy().into_owned();
    // SAFETY: the locale is ours and used no further.
    unsafe { libc::freelocale(locale) };
    Some(name)
}

/// Gives SIGINT back its default action if the parent ignored it, since Python then installs no handler of its own.
pub fn reset_ignored_interrupt() {
    // SAFETY: sigaction is plain data; reading and setting a disposition touches nothing else.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGINT, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
        {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
        }
        // A mask is inherited as well, and a blocked SIGINT would never interrupt a cell.
        let mut interrupt: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut interrupt);
        libc::sigaddset(&raw mut interrupt, libc::SIGINT);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const interrupt, std::ptr::null_mut());
    }
}

/// A SIGINT has come and nobody has asked yet.
static WAS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether a SIGINT has come since this was last asked.
pub fn was_interrupted() -> bool {
    WAS_INTERRUPTED.swap(false, Ordering::SeqCst)
}

/// Takes SIGINT and only notes it. Not by ignoring it, which children would inherit.
pub fn note_interrupts() {
    extern "C" fn note(_: libc::c_int) {
        WAS_INTERRUPTED.store(true, Ordering::SeqCst);
    }
    let handler: extern "C" fn(libc::c_int) = note;
    // SAFETY: sigaction is plain data, and a handler that stores into an atomic is safe at any moment.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGINT, &raw const action, std::ptr::null_mut());
    }
}

/// A terminal that shows nothing of what is typed, until this is dropped.
pub struct Unseen {
    fd: RawFd,
    before: libc::termios,
}

impl Unseen {
    /// Makes the terminal so; None if the descriptor is none.
    pub fn on(fd: RawFd) -> Option<Unseen> {
        // SAFETY: termios is plain data, read and written by the calls.
        unsafe {
            let mut settings: libc::termios = std::mem::zeroed();
            checked(libc::tcgetattr(fd, &raw mut settings)).ok()?;
            let before = settings;
            settings.c_lflag &= !libc::ECHO;
            checked(libc::tcsetattr(fd, libc::TCSADRAIN, &raw const settings)).ok()?;
            Some(Unseen { fd, before })
        }
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // SAFETY: the settings are those that the terminal had.
        unsafe { libc::tcsetattr(self.fd, libc::TCSADRAIN, &raw const self.before) };
    }
}

/// A pidfd of a process.
pub fn open_process(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers; the descriptor that it gives is ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// What became of a [`fork`].
pub enum Fork {
    /// In the parent; the child's process id.
    Parent(i32),
    /// In the child.
    Child,
}

/// Forks. The launcher has a single thread when it does, so the child may do anything.
pub fn fork() -> io::Result<Fork> {
    // SAFETY: there are no other threads whose locks the child could find held.
    match checked(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Waits for one child to end.
pub fn wait_for(pid: i32) {
    // SAFETY: a null status pointer is allowed.
    while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

/// Waits for a signal, all of them being blocked: its number, and whether it came from the terminal. None if none comes
/// in time.
pub fn next_signal(limit: Option<Duration>) -> Option<(i32, bool)> {
    let limit = limit
        .map(|limit| libc::timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: limit.subsec_nanos().into() });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: all are plain data that outlives the calls; the set is complete.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        loop {
            let signal = libc::sigtimedwait(&raw const all, &raw mut info, limit);
            if signal > 0 {
                return Some((signal, info.si_code == libc::SI_KERNEL));
            }
            if io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock {
                return None;
            }
        }
    }
}

/// Sends a signal to a process, if it is there.
pub fn send_signal(pid: i32, signal: i32) {
    // SAFETY: kill takes two integers.
    unsafe { libc::kill(pid, signal) };
}

/// Makes a write beyond the limit of a file's size an error of that write. Not by ignoring the signal, which children
/// would inherit.
pub fn survive_large_files() {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler: extern "C" fn(libc::c_int) = nothing;
    // SAFETY: sigaction is plain data, and a handler that does nothing is safe at any moment.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGXFSZ, &raw const action, std::ptr::null_mut());
    }
}

/// Ends this process at once: no destructors, no exit handlers.
pub fn leave(code: i32) -> ! {
    // SAFETY: it does not return and touches nothing.
    unsafe { libc::_exit(code) }
}

/// Replaces this process; gives the error if that failed.
pub fn exec(program: &OsStr, arguments: &[&OsStr]) -> io::Error {
    let to_c = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::other);
    let program = match to_c(program) {
        Ok(program) => program,
        Err(error) => return error,
    };
    let arguments: Vec<CString> = match arguments.iter().map(|text| to_c(text)).collect() {
        Ok(arguments) => arguments,
        Err(error) => return error,
    };
    let mut pointers: Vec<*const libc::c_char> = arguments.iter().map(|text| text.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: both are C strings, the vector ends in null, and all of it lives until the call returns. Rust's own start
    // ignores SIGPIPE, and a program would inherit that; only dispositions are changed, and put back upon failure.
    unsafe {
        let before = libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::execv(program.as_ptr(), pointers.as_ptr());
        let error = io::Error::last_os_error();
        libc::signal(libc::SIGPIPE, before);
        error
    }
}

/// A nameless file in memory, closed upon exec unless [`set_inherited`] says otherwise.
pub fn memory_file(name: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: the name is a C string; the descriptor that it gives is ours.
    let fd = checked(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: as above.
    let low = unsafe { OwnedFd::from_raw_fd(fd) };
    duplicate(std::os::fd::AsRawFd::as_raw_fd(&low))
}

/// The user on whose behalf files are opened.
pub fn effective_user() -> u32 {
    // SAFETY: geteuid cannot fail.
    unsafe { libc::geteuid() }
}

/// Whether the file system under the descriptor forbids to run what lies on it.
pub fn forbids_execution(fd: RawFd) -> bool {
    // SAFETY: statvfs is plain data, written by the call.
    unsafe {
        let mut info: libc::statvfs = std::mem::zeroed();
        libc::fstatvfs(fd, &raw mut info) == 0 && info.f_flag & libc::ST_NOEXEC != 0
    }
}

/// Whether a file may be executed by this process.
pub fn is_executable(path: &std::path::Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: a C string.
    unsafe { libc::access(path.as_ptr(), libc::X_OK) == 0 }
}
