//! A terminal that does not show what is typed, for passwords.
#![expect(unsafe_code, reason = "the terminal's settings")]

use std::os::fd::RawFd;

/// A terminal that shows nothing of what is typed, until this is dropped.
pub struct EchoOff {
    fd: RawFd,
    before: libc::termios,
}

impl EchoOff {
    /// Makes the terminal so; None if the descriptor is none.
    pub fn on(fd: RawFd) -> Option<EchoOff> {
        // SAFETY: termios is plain data, read and written by the calls.
        unsafe {
            let mut settings: libc::termios = std::mem::zeroed();
            if libc::tcgetattr(fd, &raw mut settings) != 0 {
                return None;
            }
            let before = settings;
            settings.c_lflag &= !libc::ECHO;
            (libc::tcsetattr(fd, libc::TCSADRAIN, &raw const settings) == 0).then_some(EchoOff { fd, before })
        }
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        // SAFETY: the settings are those that the terminal had.
        unsafe { libc::tcsetattr(self.fd, libc::TCSADRAIN, &raw const self.before) };
    }
}
