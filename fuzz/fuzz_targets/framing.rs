//! Cuts a stream into lines in two ways.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| worker_core::fuzzing::framing(bytes));
