//! This process and others: who there is, how they are signalled and how they end.

use super::*;

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

/// Ends the process at once, without exit handlers.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit does not return.
    unsafe { libc::_exit(status) }
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
