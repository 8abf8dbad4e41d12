//! The output thread: flushes text that has waited long enough, reads the raw pipes, and writes what did not fit.
//!
//! It waits in one `poll` and never for a lock that anybody holds for long, so it goes on while the interpreter is
//! stuck in native code and while the supervisor does not read.

use crate::output::emitter::Emitter;
use std::io;
use std::sync::Arc;

/// Starts the thread, which runs until the process ends. It calls `on_wake` whenever it is woken: what must be emitted after a
/// fault is emitted there.
pub(crate) fn spawn(emitter: Arc<Emitter>, on_wake: fn()) -> io::Result<()> {
    std::thread::Builder::new()
        .name("worker-output".into())
        .stack_size(256 << 10)
        .spawn(move || run(&emitter, on_wake))
        .map(drop)
}

fn run(emitter: &Emitter, on_wake: fn()) {
    sys::block_signals_in_this_thread();
    loop {
        let (has_room, is_backlogged) = emitter.poll_interest();
        // A negative descriptor is skipped by poll.
        let [out, err] = match &emitter.capture {
            Some(capture) if has_room => capture.fds(),
            _ => [-1, -1],
        };
        let sink = if is_backlogged { emitter.sink.fd() } else { -1 };
        let mut fds = [
            sys::pollfd(emitter.wake.fd(), libc::POLLIN),
            sys::pollfd(emitter.alarm.fd(), libc::POLLIN),
            sys::pollfd(out, libc::POLLIN),
            sys::pollfd(err, libc::POLLIN),
            sys::pollfd(sink, libc::POLLOUT),
        ];
        sys::poll(&mut fds, None);
        let [wake, alarm, out, err, sink] = fds.map(|fd| fd.revents != 0);
        if wake {
            on_wake();
            emitter.wake.clear();
        }
        if out || err {
            emitter.take_raw([out, err]);
        }
        if alarm {
            emitter.alarm.clear();
            emitter.on_alarm(&mut emitter.lock());
        }
        if sink {
            emitter.on_writable(&mut emitter.lock());
        }
    }
}
