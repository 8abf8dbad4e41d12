//! Drives the session state machine through any order of events.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| worker_core::fuzzing::session(bytes));
