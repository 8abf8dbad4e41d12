//! Requests that the interpreter answers: the Rust side of `requests.py`, `complete.py` and `introspect.py`.

use crate::library::{self, Part};
use crate::{errors, session};
use pyo3::prelude::*;
use serde_json::{Value, json};
use worker::Request;
use worker::engine::Engine;
use worker::interrupt;
use worker::protocol::{Code, Refusal};

/// The methods that this engine answers besides the core's.
pub(crate) const METHODS: [&str; 4] = ["is_complete", "complete", "inspect", "variables"];

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
    match method {
        "is_complete" => {
            let code = code_of(params)?;
            let (status, indent): (String, String) = call(py, &library::REQUESTS, method, (code,))?;
            Ok(match status.as_str() {
                "incomplete" => json!({"status": status, "indent": indent}),
                _ => json!({"status": status}),
            })
        }
        "complete" => {
            let at = place_of(params)?;
            let (matches, start, end): (Vec<(String, String)>, u64, u64) = call(py, &library::COMPLETE, method, at)?;
            let matches: Vec<_> = matches.iter().map(|(text, kind)| json!({"text": text, "type": kind})).collect();
            Ok(json!({"matches": matches, "start": start, "end": end}))
        }
        "inspect" => {
            let found: Option<String> = call(py, &library::INTROSPECT, method, place_of(params)?)?;
            Ok(match found {
                Some(text) => json!({"found": true, "data": {"text/plain": text}}),
                None => json!({"found": false, "data": {}}),
            })
        }
        "variables" => {
            if !params.is_object() {
                return Err(Refusal::new(Code::BadParams, "`params` is an object"));
            }
            let found: Vec<(String, String, String)> = call(py, &library::INTROSPECT, method, ())?;
            let variables: Vec<_> = found
                .iter()
                .map(|(name, kind, summary)| json!({"name": name, "type": kind, "summary": summary}))
                .collect();
            Ok(json!({"variables": variables}))
        }
        _ => Err(Refusal::new(Code::UnknownMethod, format!("unknown method {method:?}"))),
    }
}

fn code_of(params: &Value) -> Result<&str, Refusal> {
    match params.get("code") {
        Some(Value::String(code)) => Ok(code),
        _ => Err(Refusal::new(Code::BadParams, "`code` is a string")),
    }
}

/// Code and a place in it, counted in Unicode code points.
fn place_of(params: &Value) -> Result<(&str, u64), Refusal> {
    let code = code_of(params)?;
    match params.get("cursor").and_then(Value::as_u64) {
        Some(cursor) if cursor <= code.chars().count() as u64 => Ok((code, cursor)),
        _ => Err(Refusal::new(Code::BadParams, "`cursor` is a number of code points, at most those of `code`")),
    }
}

fn call<T>(
    py: Python<'_>,
    part: &Part,
    function: &str,
    args: impl for<'py> pyo3::call::PyCallArgs<'py>,
) -> Result<T, Refusal>
where
    T: for<'a, 'py> FromPyObject<'a, 'py>,
    for<'a, 'py> <T as FromPyObject<'a, 'py>>::Error: Into<PyErr>,
{
    let result = part.get(py, function).and_then(|function| function.call1(args));
    let failed = |error: PyErr| {
        if error.is_instance_of::<pyo3::exceptions::PyKeyboardInterrupt>(py) {
            return Refusal::new(Code::Busy, "an interrupt cancelled the request: ask again");
        }
        session().diagnose(&format!("request {function} failed: {error}"));
        Refusal::new(Code::Internal, format!("the request failed inside: {error}"))
    };
    result.map_err(failed)?.extract::<T>().map_err(|error| failed(error.into()))
}
