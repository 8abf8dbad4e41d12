//! Reads a line of a supervisor's.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| worker_core::fuzzing::parsing(bytes));
