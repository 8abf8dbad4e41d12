//! How interrupts reach R, the functions of C's library that libR is led to, and R's calls after a fault.

#[cfg(target_os = "linux")]
pub(crate) mod crash_traceback;
pub(crate) mod interpose;
pub(crate) mod interrupts;
pub(crate) mod resend;
