//! R's event handlers, served while the main thread waits: the help server, `later`, Tk and the like.

#![expect(unsafe_code, reason = "walks R's list of input handlers")]

use crate::cell::conditions;
use crate::libr::{self, by_name::looked_up};
use crate::runtime::api;
use std::time::Duration;
use worker_core::signals::interrupt;

/// What may end a wait besides the supervisor.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Descriptors that something in R listens to.
    pub fds: Vec<libc::pollfd>,
    /// How often something in R wants to be asked.
    pub every: Option<Duration>,
}

/// What R wants to be served at this moment.
pub(crate) fn sources() -> Sources {
    let mut fds = Vec::new();
    // SAFETY: the list and both intervals belong to R and change only on this thread.
    let every = unsafe {
        let mut handler = libr::R_InputHandlers;
        while !handler.is_null() {
            let this = &*handler;
            if this.activity != libr::StdinActivity && this.fileDescriptor > 0 {
                fds.push(libc::pollfd { fd: this.fileDescriptor, events: libc::POLLIN, revents: 0 });
            }
            handler = this.next;
        }
        [libr::R_wait_usec, looked_up().graphics_wait()].into_iter().filter(|&every| every > 0).min()
    };
    Sources { fds, every: every.and_then(|every| u64::try_from(every).ok()).map(Duration::from_micros) }
}

/// Runs the handlers that have something to do; tells whether an interrupt ended one. An error in one of them is printed and
/// ends there.
pub(crate) fn serve() -> bool {
    let seen = conditions::save();
    interrupt::unblock_signals();
    // SAFETY: R's own loop body; the mask that R_checkActivity gives is static.
    api::at_top_level(|| unsafe {
        let ready = libr::R_checkActivity(0, 1);
        libr::R_runHandlers(libr::R_InputHandlers, ready);
    });
    interrupt::block_signals();
    // A handler may have a top level of its own, and the interrupt ends there.
    let was_interrupted = conditions::was_interrupted();
    conditions::restore(seen);
    was_interrupted
}
