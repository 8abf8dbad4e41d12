//! The ways to reach a worker, the console and the clients.

mod activation;
mod console;
mod examples;
mod listen;
mod listen_unix;
mod readme;
mod transports;
