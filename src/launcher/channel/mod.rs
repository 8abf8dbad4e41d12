//! The way to the supervisor: descriptors that were inherited, a socket to listen on, or one that was handed over.

pub mod acceptor;
pub mod activation;
pub mod bind;
pub mod handshake;
pub mod link;
pub mod listen;
pub mod listen_error;
pub mod signals;
