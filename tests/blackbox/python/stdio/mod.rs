//! What a Python session prints and reads.

mod output;
mod printing;
mod prompts;
mod readers;
mod redirects;
mod stdin;
mod subinterpreters;
mod threads;
