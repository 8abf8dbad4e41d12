//! The ways to reach a worker, the console and the clients.

mod activation;
mod console;
mod every_way;
mod examples;
mod listen;
mod listen_unix;
mod readme;
