//! Other processes, as `/proc` shows them: who there is, whose child each is, and what is known of one.
//!
//! Nothing here allocates, so that it can be used after a fault. A question is a system call or three, so ask of few.

use super::io::read;
use super::signal::current_action;
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What the kernel says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStat {
    /// The number of its parent.
    pub parent: i32,
    /// It has ended, and nobody has waited for it.
    pub is_zombie: bool,
    /// When it started, in ticks since the machine did.
    pub start: u64,
}

/// Gives the number of every process.
pub fn each_process(each: impl FnMut(i32)) {
    each_number(c"/proc".as_ptr(), each);
}

/// Gives the number of every child of a process, ended ones that nobody has waited for included. False where the kernel
/// does not tell. Children that come or go meanwhile may be missed.
pub fn each_child(pid: i32, mut each: impl FnMut(i32)) -> bool {
    let mut knows = false;
    let tasks = Path::of(&[b"/proc/", Digits::of(pid).bytes(), b"/task"]);
    each_number(tasks.as_ptr(), |task| {
        let path = Path::of(&[b"/proc/", Digits::of(pid).bytes(), b"/task/", Digits::of(task).bytes(), b"/children"]);
        let mut number = None;
        knows |= each_piece(&path, |piece| {
            for &byte in piece {
                match byte {
                    b'0'..=b'9' => number = Some(number.unwrap_or(0) * 10 + i32::from(byte - b'0')),
                    _ => number.take().into_iter().for_each(&mut each),
                }
            }
            ControlFlow::Continue(())
        });
        number.into_iter().for_each(&mut each);
    });
    knows
}

/// What the kernel says of a process; none if it is gone.
pub fn process_stat(pid: i32) -> Option<ProcessStat> {
    let mut stat = [0u8; 1024];
    let mut len = 0;
    each_piece(&Path::of(&[b"/proc/", Digits::of(pid).bytes(), b"/stat"]), |piece| {
        let size = piece.len().min(stat.len() - len);
        stat[len..len + size].copy_from_slice(&piece[..size]);
        len += size;
        // One read gives all of it.
        ControlFlow::Break(())
    });
    let stat = &stat[..len];
    // The name, in parentheses, may hold anything; what follows the last one is plain.
    let rest = &stat[stat.iter().rposition(|&byte| byte == b')')? + 1..];
    let mut fields = rest.split(|&byte| byte == b' ').filter(|field| !field.is_empty());
    let is_zombie = matches!(fields.next()?, b"Z" | b"X");
    let parent = decimal(fields.next()?)? as i32;
    // The 22nd field of all; the state is the third.
    let start = decimal(fields.nth(17)?)?;
    Some(ProcessStat { parent, is_zombie, start })
}

/// Whether a process was started with this entry (`NAME=value`) in its environment.
pub fn was_started_with(pid: i32, entry: &[u8]) -> bool {
    // How much of the entry the current one has matched; none once it differs.
    let mut matched = Some(0);
    let mut is_there = false;
    each_piece(&Path::of(&[b"/proc/", Digits::of(pid).bytes(), b"/environ"]), |piece| {
        for &byte in piece {
            match (byte, matched) {
                (0, Some(len)) if len == entry.len() => is_there = true,
                (0, _) => matched = Some(0),
                (_, Some(len)) if entry.get(len) == Some(&byte) => matched = Some(len + 1),
                _ => matched = None,
            }
        }
        if is_there { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    is_there || (matched == Some(entry.len()) && !entry.is_empty())
}

/// The process group of a process; none if it is gone.
pub fn group_of(pid: i32) -> Option<i32> {
    // SAFETY: getpgid takes an integer.
    let group = unsafe { libc::getpgid(pid) };
    (group >= 0).then_some(group)
}

/// Whether this process has ever had a child that is not a child any more: one that was waited for, or one that nobody needs
/// to wait for.
pub fn has_had_children() -> bool {
    let ignored = current_action(libc::SIGCHLD);
    // SAFETY: getrusage fills the structure.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
        usage
    };
    // No process runs without touching memory.
    usage.ru_minflt > 0 || ignored.sa_sigaction == libc::SIG_IGN || ignored.sa_flags & libc::SA_NOCLDWAIT != 0
}

/// A path that is put together on the stack.
struct Path([u8; 64]);

impl Path {
    fn of(parts: &[&[u8]]) -> Path {
        let mut path = [0; 64];
        let mut len = 0;
        for part in parts {
            path[len..len + part.len()].copy_from_slice(part);
            len += part.len();
        }
        // The longest that is asked for leaves room for the zero.
        debug_assert!(len < path.len());
        Path(path)
    }

    fn as_ptr(&self) -> *const libc::c_char {
        self.0.as_ptr().cast()
    }
}

/// A number in digits.
struct Digits([u8; 10], usize);

impl Digits {
    fn of(number: i32) -> Digits {
        let (mut digits, mut at, mut rest) = ([0; 10], 10, number.unsigned_abs());
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                return Digits(digits, at);
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.0[self.1..]
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// Gives the content of a file in pieces, until there is enough; false if it cannot be opened.
fn each_piece(path: &Path, mut each: impl FnMut(&[u8]) -> ControlFlow<()>) -> bool {
    // SAFETY: the path is zero-terminated; the result is a fresh descriptor.
    let file = unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if fd < 0 {
            return false;
        }
        OwnedFd::from_raw_fd(fd)
    };
    let mut piece = [0u8; 2048];
    while let Ok(size @ 1..) = read(file.as_raw_fd(), &mut piece) {
        if each(&piece[..size]).is_break() {
            break;
        }
    }
    true
}

/// Gives every entry of a folder whose name is a number.
fn each_number(path: *const libc::c_char, mut each: impl FnMut(i32)) {
    // SAFETY: the path is a C string; the result is a fresh descriptor.
    let folder = unsafe {
        let fd = libc::open(path, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
        if fd < 0 {
            return;
        }
        OwnedFd::from_raw_fd(fd)
    };
    let mut entries = [0u8; 8192];
    loop {
        // SAFETY: the kernel writes at most the given number of bytes of records.
        let size =
            unsafe { libc::syscall(libc::SYS_getdents64, folder.as_raw_fd(), entries.as_mut_ptr(), entries.len()) };
        let Ok(size @ 1..) = usize::try_from(size) else { return };
        let mut at = 0;
        while at + 19 < size {
            // A record: inode and offset (8 bytes each), its length (2), its type (1), its name.
            let length = usize::from(u16::from_ne_bytes([entries[at + 16], entries[at + 17]]));
            let name = &entries[at + 19..(at + length).min(size)];
            let name = &name[..name.iter().position(|&byte| byte == 0).unwrap_or(name.len())];
            if let Some(number) = decimal(name) {
                each(number as i32);
            }
            at += length.max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn sleeping(name: &str, value: &str) -> Killed {
        Killed(Command::new("sleep").arg("1000").env_clear().env(name, value).env("Z", "z").spawn().unwrap())
    }

    #[test]
    fn c13_a_child_is_found_and_described() {
        let me = std::process::id() as i32;
        let child = sleeping("A", "b");
        let pid = child.0.id() as i32;
        let (mut children, mut all) = (Vec::new(), Vec::new());
        assert!(each_child(me, |pid| children.push(pid)));
        each_process(|pid| all.push(pid));
        assert!(children.contains(&pid) && all.contains(&pid) && all.contains(&me) && !children.contains(&me));
        let stat = process_stat(pid).unwrap();
        assert_eq!((stat.parent, stat.is_zombie), (me, false));
        assert!(stat.start >= process_stat(me).unwrap().start);
        assert_eq!(group_of(pid), group_of(me));
        assert_eq!((process_stat(i32::MAX), group_of(i32::MAX)), (None, None));
    }

    #[test]
    fn c13_an_entry_of_the_environment_is_the_whole_entry() {
        let child = sleeping("WORKER_SESSION", "a-b-c");
        let pid = child.0.id() as i32;
        // The child's environment is its own once it runs the program.
        while !was_started_with(pid, b"Z=z") {
            std::thread::yield_now();
        }
        assert!(was_started_with(pid, b"WORKER_SESSION=a-b-c"));
        for other in [&b"WORKER_SESSION=a-b-"[..], b"WORKER_SESSION=a-b-cd", b"ORKER_SESSION=a-b-c", b"z", b""] {
            assert!(!was_started_with(pid, other), "{other:?}");
        }
    }
}
