//! The real binary as a black box: one test or more for every numbered behaviour and every rule of the protocol.
//!
//! Tests are written from the documents and named after the behaviour that they prove. They never sleep to be
//! lucky: they wait for events, and a session that does not say what it should within a minute fails its test
//! with everything that it has said.

mod process;
mod protocol;
mod python;
mod r;
mod support;
mod transports;
