//! R's C interface, as far as the engine calls it: a file for each group of R's headers.
//!
//! What is declared here the engine cannot load without. So it is only what *Writing R Extensions* documents as API, or in
//! its chapter on front ends, and what every R from 4.1 on has; the test `r1_the_engine_needs_only_what_r_documents` holds
//! that. Everything else is looked up when the engine starts ([`by_name`]).
//!
//! The crate libR-sys would serve one R alone: its build script runs the R of the machine that builds and links its libR,
//! it needs hard what newer versions of R hide, and its structures are those of one version.
//!
//! R leaves a function by `longjmp` when an error or an interrupt ends it, and most of these may: they are declared `C-unwind`.
//! The module `runtime` has the rule for calls of them.

#![expect(unsafe_code, reason = "declarations of R's C interface")]
#![expect(non_snake_case, non_upper_case_globals, non_camel_case_types, reason = "the names are R's")]
#![expect(clippy::upper_case_acronyms, reason = "the names are R's")]

pub(crate) mod by_name;
mod front_end;
mod graphics;
mod internals;

pub(crate) use front_end::*;
pub(crate) use graphics::*;
pub(crate) use internals::*;
