//! The one way in which a runtime waits: for input, for room in the channel, for a command.

use crate::output::emitter::Interrupted;
use crate::signals::interrupt;

/// What a wait needs of the runtime that a session hosts.
pub trait Runtime {
    /// What the runtime raises at an interrupt.
    type Error;

    /// Has the runtime act on signals that it has noted, on the main thread; user code's handlers may run. An error ends the
    /// wait.
    fn check(&self) -> Result<(), Self::Error>;

    /// Runs `body` without the runtime's own lock (the GIL), on the calling thread.
    fn detach<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T;
}

/// Calls `body`, detached, until it gives `Ok`. `Err` means that a signal has ended this call of it; then the runtime acts on the
/// signal, and `body` is called again unless that is an error. Any thread, with the runtime's lock.
///
/// On the main thread signals are blocked from the runtime's check to the end of `body`, which unblocks them only inside its
/// system call. So no signal is lost between the check and the wait, and user code's handlers run with signals unblocked.
pub fn wait<R: Runtime, T: Send>(
    runtime: &R,
    mut body: impl FnMut() -> Result<T, Interrupted> + Send,
) -> Result<T, R::Error> {
    let is_main = interrupt::is_main_thread();
    loop {
        if is_main {
            runtime.check()?;
        }
        let _blocked = is_main.then(interrupt::block_sigint);
        if is_main {
            runtime.check()?;
        }
        if let Ok(result) = runtime.detach(&mut body) {
            return Ok(result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Raises at the check with this number.
    struct Raises {
        checks: Cell<u32>,
        at: u32,
    }

    impl Runtime for Raises {
        type Error = u32;

        fn check(&self) -> Result<(), u32> {
            self.checks.set(self.checks.get() + 1);
            if self.checks.get() == self.at { Err(self.at) } else { Ok(()) }
        }

        fn detach<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
            body()
        }
    }

    fn run(at: u32, signals: u32) -> (Result<u32, u32>, u32) {
        let runtime = Raises { checks: Cell::new(0), at };
        let mut calls = 0;
        let result = wait(&runtime, || {
            calls += 1;
            if calls > signals { Ok(calls) } else { Err(Interrupted) }
        });
        (result, calls)
    }

    #[test]
    fn i1_a_signal_ends_a_call_and_an_error_ends_the_wait() {
        // The mask and the main thread are the calling thread's own.
        std::thread::spawn(|| {
            interrupt::adopt_test_thread();
            assert_eq!(run(0, 0), (Ok(1), 1));
            assert_eq!(run(0, 3), (Ok(4), 4), "a signal that the runtime does not raise ends nothing");
            assert_eq!(run(1, 0), (Err(1), 0), "raised before signals are blocked");
            assert_eq!(run(2, 0), (Err(2), 0), "raised between the two");
            assert_eq!(run(3, 1), (Err(3), 1), "raised after the signal that ended a call");
        })
        .join()
        .unwrap();
    }

    #[test]
    fn another_thread_checks_nothing() {
        assert_eq!(run(1, 2), (Ok(3), 3));
    }
}
