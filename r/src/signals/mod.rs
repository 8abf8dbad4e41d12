//! Interrupts on their way into R, and the last words of a crash.

#[cfg(target_os = "linux")]
pub(crate) mod crash_traceback;
pub(crate) mod interpose;
pub(crate) mod interrupts;
pub(crate) mod resend;
