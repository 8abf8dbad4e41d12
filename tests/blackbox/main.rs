//! The real binary as a black box: one test or more for every numbered behaviour and every rule of the protocol.
//!
//! Tests are written from the documents and named after the behaviour that they prove. They never sleep to be
//! lucky: they wait for events, and a session that does not say what it should within a minute fails its test
//! with everything that it has said.

mod asking;
mod closing;
mod harness;
mod peer;
mod pythons;
mod r;
mod said;

mod activation;
mod cells;
mod circumstances;
mod console;
mod crashes;
mod death;
mod descendants;
mod discarding;
mod ending;
mod examples;
mod exits;
mod faults;
mod future_cells;
mod g1_matplotlib;
mod hygiene;
mod init;
mod interrupts;
mod isolation;
mod layouts;
mod limits;
mod listen;
mod listen_unix;
mod lost;
mod malformed;
mod mcp_repl;
mod merging;
mod output;
mod printing;
mod prompt;
mod prompts;
mod r_cells;
mod r_examples;
mod r_interrupts;
mod r_life;
mod r_outcomes;
mod r_plots;
mod r_reads;
mod r_requests;
mod r_versions;
mod readers;
mod readme;
mod redirects;
mod refusals;
mod requests;
mod requests_python;
mod routing;
mod stand_ins;
mod startup;
mod stdin;
mod storms;
mod subinterpreters;
mod threads;
mod tools;
mod tracebacks;
mod transcripts;
mod transports;
