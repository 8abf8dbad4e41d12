//! The few things that are asked of the operating system directly, and the only place where Linux differs.
//!
//! Everything here is a thin, checked wrapper: no state, no policy.

#![expect(unsafe_code, reason = "system calls and C's stdio, which no safe crate covers")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Internal descriptors live at this number or above, out of the way of what users number by hand.
pub const FIRST_INTERNAL_FD: RawFd = 10;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A close-on-exec copy of `fd`, numbered [`FIRST_INTERNAL_FD`] or above.
pub fn dup_high(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with an integer argument touches no memory; the result is a fresh descriptor that nobody else owns.
    unsafe {
        let copy = check(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, FIRST_INTERNAL_FD))?;
        Ok(OwnedFd::from_raw_fd(copy))
    }
}

/// Makes `target` refer to what `fd` refers to, inheritable.
pub fn dup_onto(fd: RawFd, target: RawFd) -> io::Result<()> {
    // SAFETY: dup2 touches no memory.
    check(unsafe { libc::dup2(fd, target) }).map(drop)
}

/// Takes ownership of a descriptor that was inherited under a number.
pub fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: the caller names a descriptor that was handed to this process for this purpose.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Sets or clears close-on-exec.
pub fn set_cloexec(fd: RawFd, on: bool) -> io::Result<()> {
    // SAFETY: fcntl with an integer argument touches no memory.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, if on { libc::FD_CLOEXEC } else { 0 }) }).map(drop)
}

/// A pipe, both ends close-on-exec and numbered high: (read end, write end).
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = os_pipe::pipe()?;
    Ok((dup_high(reader.as_raw_fd())?, dup_high(writer.as_raw_fd())?))
}

/// How many bytes can be read from a pipe at once.
pub fn available(fd: RawFd) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, which `count` is.
    let result = unsafe { libc::ioctl(fd, libc::FIONREAD, &mut count) };
    if result < 0 { 0 } else { count as usize }
}

/// Reads at most `buf.len()` bytes; retries when a signal comes.
pub fn read(fd: RawFd, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the kernel writes at most `buf.len()` bytes into `buf`.
        let n = unsafe { libc::read(fd, buf.as_mut_ptr().cast(), buf.len()) };
        if n >= 0 {
            return Ok(n as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Writes what can be written; retries when a signal comes.
pub fn write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the kernel reads at most `bytes.len()` bytes from `bytes`.
        let n = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        if n >= 0 {
            return Ok(n as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Writes everything, waiting where it must; for descriptors that have no emitter.
pub fn write_all(fd: RawFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [pollfd(fd, libc::POLLOUT)], None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends to a socket without waiting, whatever the descriptor's own mode is.
pub fn send_nowait(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the kernel reads at most `bytes.len()` bytes from `bytes`.
        let n = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
        if n >= 0 {
            return Ok(n as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Takes a connection that has come, without waiting for one.
pub fn accept_nowait(listener: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: accept may be given no room for the address; the result is a fresh descriptor.
    unsafe {
        let fd = check(libc::accept(listener, std::ptr::null_mut(), std::ptr::null_mut()))?;
        let fd = OwnedFd::from_raw_fd(fd);
        set_cloexec(fd.as_raw_fd(), true)?;
        Ok(fd)
    }
}

/// What kind of thing a descriptor refers to.
pub fn file_type(fd: RawFd) -> io::Result<libc::mode_t> {
    stat(fd).map(|stat| stat.st_mode & libc::S_IFMT)
}

/// Device and inode of what a descriptor refers to: two descriptors of one pipe agree.
pub fn identity(fd: RawFd) -> io::Result<(libc::dev_t, libc::ino_t)> {
    stat(fd).map(|stat| (stat.st_dev, stat.st_ino))
}

fn stat(fd: RawFd) -> io::Result<libc::stat> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat fills the structure when it succeeds, and only then is it read.
    unsafe {
        check(libc::fstat(fd, stat.as_mut_ptr()))?;
        Ok(stat.assume_init())
    }
}

/// Opens the same pipe or file again for writing without waiting, with a mode of its own.
///
/// `O_NONBLOCK` belongs to the open file description, which a parent may share; a second opening is ours alone.
pub fn reopen_nonblocking(fd: RawFd) -> io::Result<OwnedFd> {
    let path = std::ffi::CString::new(format!("/proc/self/fd/{fd}")).map_err(io::Error::other)?;
    // SAFETY: the path is a C string that lives across the call; the result is a fresh descriptor.
    let opened = unsafe {
        let fd =
            check(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY))?;
        OwnedFd::from_raw_fd(fd)
    };
    dup_high(opened.as_raw_fd())
}

/// Makes a write that would wait fail instead, for everybody who shares the open file description.
pub fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: fcntl with integer arguments touches no memory.
    unsafe {
        let flags = check(libc::fcntl(fd, libc::F_GETFL))?;
        check(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK)).map(drop)
    }
}

/// An entry for [`poll`].
pub fn pollfd(fd: RawFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd { fd, events, revents: 0 }
}

/// Waits for any of `fds`; false when the time ran out or a signal came.
pub fn poll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> bool {
    // A wait rounds up to a whole millisecond, so that a deadline has passed when it returns.
    let timeout = timeout.map_or(-1, |t| t.as_micros().div_ceil(1000).min(i32::MAX as u128) as libc::c_int);
    // SAFETY: the pointer and the count describe `fds`.
    unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) > 0 }
}

/// How a wait with SIGINT open ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// A descriptor has something.
    Ready,
    /// The time ran out.
    Timeout,
    /// A signal was handled.
    Signal,
}

/// Waits for any of `fds` with the signal mask `open`, which is in force for the wait alone.
pub fn ppoll(fds: &mut [libc::pollfd], timeout: Option<Duration>, open: &libc::sigset_t) -> Waited {
    let timeout =
        timeout.map(|t| libc::timespec { tv_sec: t.as_secs() as libc::time_t, tv_nsec: t.subsec_nanos().into() });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    #[cfg(target_os = "linux")]
    // SAFETY: all pointers refer to live values of the right types, or are null where null is allowed.
    let result = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout, open) };
    #[cfg(not(target_os = "linux"))]
    let result = fallback::ppoll(fds, timeout, open);
    match result {
        0 => Waited::Timeout,
        n if n > 0 => Waited::Ready,
        _ => Waited::Signal,
    }
}

/// Tells of two descriptors which can be read now. Asked before each `print`, so it must cost as little as can be.
///
/// An epoll with nothing to tell answers without looking at the descriptors, in a third of the time that `poll` takes,
/// half of which is being a point of cancellation. A pipe joins the epoll's list inside its writer's `write`.
#[derive(Debug)]
pub struct Pair {
    #[cfg(target_os = "linux")]
    set: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    fds: [RawFd; 2],
}

impl Pair {
    /// The descriptors must stay open as long as this lives.
    #[cfg(target_os = "linux")]
    pub fn new(fds: [RawFd; 2]) -> io::Result<Pair> {
        // SAFETY: epoll_create1 touches no memory; the result is a fresh descriptor.
        let set = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        for (number, fd) in fds.into_iter().enumerate() {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: number as u64 };
            // SAFETY: the event lives across the call.
            check(unsafe { libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) })?;
        }
        Ok(Pair { set: dup_high(set.as_raw_fd())? })
    }

    /// Which of them can be read now.
    #[cfg(target_os = "linux")]
    pub fn readable(&self) -> [bool; 2] {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 2];
        // SAFETY: the kernel writes at most two events. The raw call is no point of cancellation.
        let count =
            unsafe { libc::syscall(libc::SYS_epoll_pwait, self.set.as_raw_fd(), events.as_mut_ptr(), 2, 0, 0, 8) };
        let mut readable = [false; 2];
        for event in &events[..count.clamp(0, 2) as usize] {
            readable[event.u64 as usize & 1] = true;
        }
        readable
    }

    /// The descriptors must stay open as long as this lives.
    #[cfg(not(target_os = "linux"))]
    pub fn new(fds: [RawFd; 2]) -> io::Result<Pair> {
        Ok(Pair { fds })
    }

    /// Which of them can be read now.
    #[cfg(not(target_os = "linux"))]
    pub fn readable(&self) -> [bool; 2] {
        let mut fds = self.fds.map(|fd| pollfd(fd, libc::POLLIN));
        poll(&mut fds, Some(Duration::ZERO));
        fds.map(|fd| fd.revents & libc::POLLIN != 0)
    }
}

/// Something that one thread sets and another finds in its `poll`: an eventfd, or a pipe where there is none.
#[derive(Debug)]
pub struct Wake {
    reader: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    writer: OwnedFd,
}

impl Wake {
    /// A wake that is not set.
    pub fn new() -> io::Result<Wake> {
        #[cfg(target_os = "linux")]
        {
            // SAFETY: eventfd touches no memory; the result is a fresh descriptor.
            let fd = unsafe {
                let fd = check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
                OwnedFd::from_raw_fd(fd)
            };
            Ok(Wake { reader: dup_high(fd.as_raw_fd())? })
        }
        #[cfg(not(target_os = "linux"))]
        {
            let (reader, writer) = pipe()?;
            set_nonblocking(reader.as_raw_fd())?;
            set_nonblocking(writer.as_raw_fd())?;
            Ok(Wake { reader, writer })
        }
    }

    /// Sets it. Safe in a signal handler.
    pub fn set(&self) {
        #[cfg(target_os = "linux")]
        let fd = self.reader.as_raw_fd();
        #[cfg(not(target_os = "linux"))]
        let fd = self.writer.as_raw_fd();
        // A full counter or pipe is set already.
        let _ = write(fd, &1u64.to_ne_bytes());
    }

    /// Clears it.
    pub fn clear(&self) {
        let mut counter = [0u8; 8];
        // An empty counter is clear already.
        let _ = read(self.reader.as_raw_fd(), &mut counter);
    }

    /// What to poll for reading.
    pub fn fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}

/// A one-shot alarm that a thread finds in its `poll`.
#[derive(Debug)]
pub struct Alarm {
    fd: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    ring: std::sync::mpsc::Sender<Duration>,
}

impl Alarm {
    /// An alarm that is not set.
    #[cfg(target_os = "linux")]
    pub fn new() -> io::Result<Alarm> {
        // SAFETY: timerfd_create touches no memory; the result is a fresh descriptor.
        let fd = unsafe {
            let fd = check(libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK))?;
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Alarm { fd: dup_high(fd.as_raw_fd())? })
    }

    /// Rings once after `delay`.
    #[cfg(target_os = "linux")]
    pub fn set(&self, delay: Duration) {
        let value =
            libc::timespec { tv_sec: delay.as_secs() as libc::time_t, tv_nsec: delay.subsec_nanos().max(1).into() };
        let spec = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // SAFETY: the specification lives across the call and no old value is asked for.
        unsafe { libc::timerfd_settime(self.fd.as_raw_fd(), 0, &spec, std::ptr::null_mut()) };
    }

    /// An alarm that is not set.
    #[cfg(not(target_os = "linux"))]
    pub fn new() -> io::Result<Alarm> {
        let (fd, writer) = pipe()?;
        set_nonblocking(fd.as_raw_fd())?;
        let (ring, delays) = std::sync::mpsc::channel::<Duration>();
        std::thread::Builder::new().name("worker-alarm".into()).spawn(move || {
            for delay in delays {
                std::thread::sleep(delay);
                let _ = write(writer.as_raw_fd(), &[1]);
            }
        })?;
        Ok(Alarm { fd, ring })
    }

    /// Rings once after `delay`.
    #[cfg(not(target_os = "linux"))]
    pub fn set(&self, delay: Duration) {
        let _ = self.ring.send(delay);
    }

    /// Acknowledges a ring.
    pub fn clear(&self) {
        let mut counter = [0u8; 8];
        let _ = read(self.fd.as_raw_fd(), &mut counter);
    }

    /// What to poll for reading.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

unsafe extern "C" {
    #[cfg_attr(target_os = "macos", link_name = "__stdoutp")]
    static mut stdout: *mut libc::FILE;
    fn ftrylockfile(file: *mut libc::FILE) -> libc::c_int;
    fn funlockfile(file: *mut libc::FILE);
    #[cfg(target_os = "linux")]
    fn fflush_unlocked(file: *mut libc::FILE) -> libc::c_int;
    #[cfg(target_os = "linux")]
    fn __fpending(file: *mut libc::FILE) -> libc::size_t;
}

/// Passes on what C code printed and stdio still holds; skipped when another thread is in the middle of printing.
pub fn flush_c_stdout() {
    // SAFETY: C's stdout exists for the life of the process; its lock is tried, held for the flush and given back.
    unsafe {
        let file = stdout;
        if file.is_null() {
            return;
        }
        #[cfg(target_os = "linux")]
        if __fpending(file) == 0 {
            return;
        }
        if ftrylockfile(file) == 0 {
            #[cfg(target_os = "linux")]
            fflush_unlocked(file);
            #[cfg(not(target_os = "linux"))]
            libc::fflush(file);
            funlockfile(file);
        }
    }
}

/// A descriptor that becomes readable when process `pid` ends; none where the platform has no such thing.
pub fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: pidfd_open takes two integers; the result is a fresh descriptor.
        let fd = unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) as libc::c_int;
            OwnedFd::from_raw_fd(check(fd)?)
        };
        dup_high(fd.as_raw_fd())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Orphans of this process's descendants become its children from now on.
pub fn become_subreaper() {
    #[cfg(target_os = "linux")]
    // SAFETY: prctl with integer arguments touches no memory.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    };
}

/// When the parent dies, a process that was stopped goes on, and finds that its supervisor is gone. Nobody else might wake it.
pub fn go_on_when_the_parent_dies() {
    #[cfg(target_os = "linux")]
    // SAFETY: prctl with integer arguments touches no memory.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGCONT, 0, 0, 0)
    };
}

/// Resident memory of this process in bytes; 0 where it cannot be told.
pub fn resident_bytes() -> u64 {
    let Ok(statm) = std::fs::read_to_string("/proc/self/statm") else { return 0 };
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    pages * page_size()
}

fn page_size() -> u64 {
    // SAFETY: sysconf takes an integer and gives one.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE).max(0) as u64 }
}

/// Gives pid, parent and process group of every process, without allocating: for use after a fault.
#[cfg(target_os = "linux")]
pub fn each_process(mut each: impl FnMut(i32, i32, i32)) {
    let mut entries = [0u8; 4096];
    // SAFETY: the path is a C string; the descriptor is closed at the end.
    let dir = unsafe { libc::open(c"/proc".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) };
    if dir < 0 {
        return;
    }
    loop {
        // SAFETY: the kernel writes at most the given number of bytes of records.
        let size = unsafe { libc::syscall(libc::SYS_getdents64, dir, entries.as_mut_ptr(), entries.len()) };
        let Ok(size @ 1..) = usize::try_from(size) else { break };
        let mut at = 0;
        while at + 19 < size {
            // A record: inode and offset (8 bytes each), its length (2), its type (1), its name.
            let length = usize::from(u16::from_ne_bytes([entries[at + 16], entries[at + 17]]));
            let name = &entries[at + 19..(at + length).min(size)];
            let name = &name[..name.iter().position(|&byte| byte == 0).unwrap_or(name.len())];
            if let Some(pid) = decimal(name)
                && let Some((parent, group)) = parent_and_group(name)
            {
                each(pid, parent, group);
            }
            at += length.max(1);
        }
    }
    // SAFETY: the descriptor is ours.
    unsafe { libc::close(dir) };
}

#[cfg(target_os = "linux")]
fn decimal(digits: &[u8]) -> Option<i32> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + i32::from(digit - b'0')))
}

#[cfg(target_os = "linux")]
fn parent_and_group(pid: &[u8]) -> Option<(i32, i32)> {
    let mut path = [0u8; 32];
    let mut len = 0;
    for part in [b"/proc/", pid, b"/stat"] {
        path[len..len + part.len()].copy_from_slice(part);
        len += part.len();
    }
    let mut stat = [0u8; 512];
    // SAFETY: the path is zero-terminated, being shorter than its array; the descriptor is closed.
    let size = unsafe {
        let fd = libc::open(path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC);
        if fd < 0 {
            return None;
        }
        let size = read(fd, &mut stat);
        libc::close(fd);
        size.ok()?
    };
    let stat = &stat[..size];
    let rest = &stat[stat.iter().rposition(|&byte| byte == b')')? + 1..];
    let mut fields = rest.split(|&byte| byte == b' ').filter(|field| !field.is_empty());
    fields.next()?;
    Some((decimal(fields.next()?)?, decimal(fields.next()?)?))
}

/// Registers functions that run around `fork`: in the child only.
pub fn at_fork_in_child(child: extern "C" fn()) {
    // SAFETY: the function is a plain C function that lives as long as this object, which is never unloaded.
    unsafe { libc::pthread_atfork(None, None, Some(child)) };
}

/// Ends the process at once, without exit handlers.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit does not return.
    unsafe { libc::_exit(status) }
}

/// The calling thread, as the system names it for signals.
pub fn this_thread() -> libc::pthread_t {
    // SAFETY: pthread_self cannot fail.
    unsafe { libc::pthread_self() }
}

/// Sends a signal to one thread of this process, which must still exist.
pub fn signal_thread(thread: libc::pthread_t, signal: libc::c_int) {
    // SAFETY: the only thread that is signalled is the main one, which lives as long as the process.
    unsafe { libc::pthread_kill(thread, signal) };
}

/// Sends a signal to a process, or to a group where `pid` is negative; false when there is none to take it.
pub fn signal_process(pid: libc::pid_t, signal: libc::c_int) -> bool {
    // SAFETY: kill takes two integers.
    unsafe { libc::kill(pid, signal) == 0 }
}

/// Whether this process has children, ended ones that nobody has waited for included.
pub fn has_children() -> bool {
    // SAFETY: waitid fills the structure and, by WNOWAIT, takes nothing from whoever waits for the child.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_ALL, 0, &mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) == 0
    }
}

/// The process group of this process.
pub fn process_group() -> libc::pid_t {
    // SAFETY: getpgrp cannot fail.
    unsafe { libc::getpgrp() }
}

/// Waits for any child without blocking: the pid of one that ended, or none.
pub fn reap_any() -> Option<libc::pid_t> {
    // SAFETY: no status is asked for, so the pointer may be null.
    let pid = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
    (pid > 0).then_some(pid)
}

/// Nanoseconds of the monotonic clock. Safe in a signal handler.
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime fills the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(not(target_os = "linux"))]
mod fallback {
    //! `ppoll` where there is none: the mask is changed around `poll`, which leaves a short moment in which a
    //! signal is handled just before the wait, so the wait is cut into slices.

    pub fn ppoll(fds: &mut [libc::pollfd], timeout: *const libc::timespec, open: &libc::sigset_t) -> libc::c_int {
        // SAFETY: the caller passes live values; a null timeout means none.
        unsafe {
            let total = timeout.as_ref().map(|t| t.tv_sec as i64 * 1000 + t.tv_nsec as i64 / 1_000_000);
            let slice = total.unwrap_or(50).min(50) as libc::c_int;
            let mut old = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, open, &mut old);
            let result = libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, slice);
            libc::pthread_sigmask(libc::SIG_SETMASK, &old, std::ptr::null_mut());
            match result {
                0 if total.is_none_or(|t| t > slice as i64) => -1,
                other => other,
            }
        }
    }
}
