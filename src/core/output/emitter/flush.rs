//! Messages into the channel: who writes when, and who waits for it.

use super::*;

impl Emitter {
    /// Sees to it that what was appended is flushed before long.
    pub(crate) fn flush_soon(&self) {
        self.flush_if_due(&mut self.out.lock());
    }

    /// Flushes or sets the alarm, as the amount of open text asks for.
    pub(super) fn flush_if_due(&self, out: &mut Out) {
        if out.unflushed_since.is_none() {
            return;
        }
        let open = out.open.as_ref().map_or(0, |open| open.text_len);
        if open >= FLUSH_AT || self.flushes_each_write {
            self.try_flush(out);
        } else if !out.alarm_is_set {
            out.alarm_is_set = true;
            self.alarm.set(FLUSH_AFTER);
        }
    }

    /// Writes what the channel takes at once; the rest is left to the output thread.
    pub(super) fn try_flush(&self, out: &mut Out) {
        self.close(out);
        out.unflushed_since = None;
        while !out.unwritten.is_empty() && !out.is_gone {
            match self.sink.try_write(out.unwritten.bytes()) {
                Ok(n) => {
                    out.unwritten.take(n);
                    out.written += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    out.is_gone = true;
                    self.has_lost_channel.store(true, Relaxed);
                    // Not every end of the reading side shows in a poll: that of a socket that is shut down does not.
                    self.on_lost.set();
                }
            }
        }
        if out.is_gone || out.unwritten.is_empty() {
            out.unwritten.clear();
            out.written = out.accepted;
            return;
        }
        if !out.is_backlogged {
            out.is_backlogged = true;
            self.wake.set();
        }
    }

    /// Tries to write everything; true when nothing is left.
    pub(crate) fn flush(&self) -> bool {
        let mut out = self.out.lock();
        self.try_flush(&mut out);
        out.unwritten.is_empty()
    }

    /// Returns once everything that was accepted before the call is in the channel, or nobody reads it any more.
    pub(crate) fn flush_and_wait(&self, mask: Option<&libc::sigset_t>) -> Result<(), Interrupted> {
        let mark = {
            let mut out = self.out.lock();
            self.try_flush(&mut out);
            out.accepted
        };
        loop {
            {
                let mut out = self.out.lock();
                if out.written < mark {
                    self.try_flush(&mut out);
                }
                if out.written >= mark || out.is_gone {
                    return Ok(());
                }
            }
            self.wait_for_channel(mask)?;
        }
    }

    /// Waits until the channel takes more. With a mask (main thread), a signal that it opens ends the wait.
    pub(crate) fn wait_for_channel(&self, mask: Option<&libc::sigset_t>) -> Result<(), Interrupted> {
        let mut fds = [sys::pollfd(self.sink.fd(), libc::POLLOUT)];
        match mask {
            Some(mask) => match sys::ppoll(&mut fds, None, mask) {
                Waited::Signal => Err(Interrupted),
                Waited::Ready | Waited::Timeout => Ok(()),
            },
            None => {
                sys::poll(&mut fds, None);
                Ok(())
            }
        }
    }

    /// Whether a write to the channel has failed for good.
    pub(crate) fn has_lost_channel(&self) -> bool {
        self.has_lost_channel.load(Relaxed)
    }

    /// Tries for `limit` to get everything out.
    pub(crate) fn flush_within(&self, limit: Duration) {
        let end = std::time::Instant::now() + limit;
        while !self.flush() {
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return;
            }
            sys::poll(&mut [sys::pollfd(self.sink.fd(), libc::POLLOUT)], Some(left));
        }
    }

    /// The alarm rang: flushes text that is old enough.
    pub(crate) fn on_alarm(&self, out: &mut Out) {
        out.alarm_is_set = false;
        let Some(since) = out.unflushed_since else { return };
        let age = Duration::from_nanos(sys::monotonic_ns().saturating_sub(since));
        if age >= FLUSH_AFTER {
            self.try_flush(out);
        } else {
            out.alarm_is_set = true;
            self.alarm.set(FLUSH_AFTER - age);
        }
    }

    /// The channel takes more.
    pub(crate) fn on_writable(&self, out: &mut Out) {
        out.is_backlogged = false;
        self.try_flush(out);
    }

    /// Whether raw output can be read now, and whether there is more to write.
    pub(crate) fn poll_interest(&self) -> (bool, bool) {
        let mut out = self.out.lock();
        let has_room = self.has_room(&mut out);
        (has_room, out.is_backlogged)
    }

    /// The output thread found raw output.
    pub(crate) fn take_raw(&self, raw: [bool; 2]) {
        let mut out = self.out.lock();
        if !out.has_ended {
            self.drain(&mut out, raw);
            self.flush_if_due(&mut out);
        }
    }
}
