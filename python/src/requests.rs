//! Requests that the interpreter answers: the Rust side of `requests.py`.

use crate::{errors, library, session};
use pyo3::prelude::*;
use serde_json::{Value, json};
use worker::Request;
use worker::engine::Engine;
use worker::interrupt;
use worker::protocol::{Code, Refusal};

/// The methods that this engine answers besides the core's.
pub(crate) const METHODS: [&str; 1] = ["is_complete"];

/// Works on one request on the main thread and responds. Signals are open afterwards.
pub(crate) fn answer(py: Python<'_>, engine: &Engine, request: &Request) {
    interrupt::allow();
    let answer = dispatch(py, &request.rpc.method, &request.rpc.params);
    let _held = interrupt::hold();
    // An interrupt that came too late to be raised is the request's too.
    errors::swallow_signals(py);
    engine.respond(request, answer);
}

fn dispatch(py: Python<'_>, method: &str, params: &Value) -> Result<Value, Refusal> {
    let code = || match params.get("code") {
        Some(Value::String(code)) => Ok(code.as_str()),
        _ => Err(Refusal::new(Code::BadParams, "`code` is a string")),
    };
    match method {
        "is_complete" => {
            let (status, indent): (String, String) = call(py, method, (code()?,))?;
            Ok(match status.as_str() {
                "incomplete" => json!({"status": status, "indent": indent}),
                _ => json!({"status": status}),
            })
        }
        _ => Err(Refusal::new(Code::UnknownMethod, format!("unknown method {method:?}"))),
    }
}

fn call<T>(py: Python<'_>, function: &str, args: impl for<'py> pyo3::call::PyCallArgs<'py>) -> Result<T, Refusal>
where
    T: for<'a, 'py> FromPyObject<'a, 'py>,
    for<'a, 'py> <T as FromPyObject<'a, 'py>>::Error: Into<PyErr>,
{
    let result = library::REQUESTS.get(py, function).and_then(|function| function.call1(args));
    let failed = |error: PyErr| {
        if error.is_instance_of::<pyo3::exceptions::PyKeyboardInterrupt>(py) {
            return Refusal::new(Code::Busy, "an interrupt cancelled the request: ask again");
        }
        session().diagnose(&format!("request {function} failed: {error}"));
        Refusal::new(Code::Internal, format!("the request failed inside: {error}"))
    };
    result.map_err(failed)?.extract::<T>().map_err(|error| failed(error.into()))
}
