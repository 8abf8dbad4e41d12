//! The supervisor's side as a library: start a worker, drive it, and learn how it ended.
//!
//! One [`Worker`] is one session. Cells go in with [`Worker::send`], events come out with [`Worker::recv`] in the
//! order in which the worker said them, and [`Worker::shutdown`] ends it, whatever state it is in.
//!
//! ```no_run
//! use std::time::Duration;
//! use worker_client::{Batch, Event, Launch};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (mut worker, _hello, _ready) = Launch::python().start(Duration::from_secs(10))?;
//! worker.send(&Batch::cell("print('hello', input('who? '))").id("greet"))?;
//! loop {
//!     match worker.recv_timeout(Duration::from_secs(60))? {
//!         Event::OutputText(text) => print!("{}", String::from_utf8_lossy(&text.bytes())),
//!         Event::InputWait(wait) => worker.send(&Batch::stdin("Ada").reader(wait.reader))?,
//!         Event::Ready(ready) if ready.id.as_deref() == Some("greet") => break,
//!         _ => {}
//!     }
//! }
//! println!("{}", worker.shutdown(Duration::from_secs(2)).unwrap());
//! # Ok(())
//! # }
//! ```
//!
//! A thread of its own reads the channel, so no event is lost while the caller does something else; when too many
//! wait ([`Launch::backlog`]) the worker waits too.

mod batch;
mod error;
mod event;
mod exit;
mod launch;
#[cfg(test)]
mod tests;
mod threads;
mod timeouts;
mod worker;

pub use batch::{Batch, Sender};
pub use error::{CallError, LaunchError, NoEvent, StartError};
pub use event::{
    Capabilities, Event, InputLine, InputWait, Named, OutputDisplay, OutputImage, OutputText, Ready, Response,
    RpcError, SessionEnd, WorkerReady,
};
pub use exit::{Exit, Reason, signal_name};
pub use launch::{Launch, Transport};
pub use worker::Worker;
