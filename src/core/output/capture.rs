//! The process's raw fds 1 and 2, which C code and child processes write to, as pipes that end in the session.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use sys::Pair;
use worker_protocol::Stream;

/// The most that is read from a pipe at once.
const PIECE: usize = 64 << 10;

/// Both raw pipes.
#[derive(Debug)]
pub(crate) struct Capture {
    readers: [OwnedFd; 2],
    /// Copies of the writing ends, so that a program that closes its fd 1 does not end the pipe.
    writers: [OwnedFd; 2],
    pair: Pair,
}

impl Capture {
    /// Puts fresh pipes under fds 1 and 2.
    pub(crate) fn install() -> io::Result<Capture> {
        let capture = Capture::new()?;
        for (end, fd) in capture.writing_ends().into_iter().zip([1, 2]) {
            sys::dup_onto(end, fd)?;
        }
        sys::buffer_c_stdout_by_lines();
        Ok(capture)
    }

    /// The pipes alone.
    pub(crate) fn new() -> io::Result<Capture> {
        let (out_reader, out_writer) = sys::pipe()?;
        let (err_reader, err_writer) = sys::pipe()?;
        let pair = Pair::new([out_reader.as_raw_fd(), err_reader.as_raw_fd()])?;
        Ok(Capture { readers: [out_reader, err_reader], writers: [out_writer, err_writer], pair })
    }

    pub(crate) fn writing_ends(&self) -> [RawFd; 2] {
        [self.writers[0].as_raw_fd(), self.writers[1].as_raw_fd()]
    }

    pub(crate) fn fds(&self) -> [RawFd; 2] {
        [self.readers[0].as_raw_fd(), self.readers[1].as_raw_fd()]
    }

    /// Which pipes hold something.
    pub(crate) fn readable(&self) -> [bool; 2] {
        self.pair.readable()
    }

    /// Reads as much as the pipe holds at this moment, in pieces.
    pub(crate) fn read(&self, stream: Stream, scratch: &mut Vec<u8>, mut each: impl FnMut(&[u8])) {
        let fd = self.fds()[stream as usize];
        let mut left = sys::available(fd);
        scratch.resize(left.clamp(1, PIECE).max(scratch.len()), 0);
        while left > 0 {
            let size = left.min(scratch.len());
            match sys::read(fd, &mut scratch[..size]) {
                Ok(n) if n > 0 => {
                    each(&scratch[..n]);
                    left -= n;
                }
                _ => return,
            }
        }
    }
}

/// Puts a pipe under fd 0 whose writing end is closed: whoever reads the raw descriptor finds the end of file.
///
/// Unlike `/dev/null` it can be given to `epoll`, and its identity tells it from whatever user code puts there.
pub(crate) fn install_empty_stdin() -> io::Result<(libc::dev_t, libc::ino_t)> {
    let (reader, writer) = sys::pipe()?;
    drop(writer);
    sys::dup_onto(reader.as_raw_fd(), 0)?;
    sys::identity(0)
}
