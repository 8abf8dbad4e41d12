//! Data and decisions of the engine that need no interpreter: no file in this folder names pyo3.
//!
//! This file is also the root of the test target `plain`, since tests of the whole library could not be linked without
//! libpython. So modules here name each other by `super::`, and everything in them is tested.

pub(crate) mod frames;
pub(crate) mod line_buffer;
pub(crate) mod messages;
pub(crate) mod prompt_watch;
pub(crate) mod source;
pub(crate) mod stdin;
