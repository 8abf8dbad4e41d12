//! Requests that only the interpreter can answer: completion, help and the like.

use worker::Request;
use worker::engine::Engine;
use worker::protocol::{Code, Refusal};

/// What is answered here.
pub(crate) const METHODS: [&str; 0] = [];

/// Works on a request and answers it.
pub(crate) fn answer(engine: &Engine, request: &Request) {
    engine.respond(
        request,
        Err(Refusal::new(
            Code::UnknownMethod,
            format!("no method {:?}", request.rpc.method),
        )),
    );
}
