//! Requests to the interpreter: the Rust side of `requests.py`, `complete.py` and `introspect.py`.

use crate::runtime::embedded::Part;
use crate::runtime::session::session;
use crate::runtime::signals::swallow_signals;
use pyo3::prelude::*;
use serde_json::Value;
use worker_core::Request;
use worker_core::engine::Engine;
use worker_core::signals::interrupt;
use worker_protocol::questions::{self, Completeness, Place, Question};
use worker_protocol::{Code, Refusal};

/// `is_complete`.
static REQUESTS: Part = Part::new("<worker requests>", include_str!("requests.py"), &[]);
/// Attributes and summaries of objects, without running their code.
static OBJECTS: Part = Part::new("<worker objects>", include_str!("objects.py"), &[]);
/// Unfinished source.
static SOURCE: Part = Part::new("<worker source>", include_str!("source.py"), &[&OBJECTS]);
/// `inspect` and `variables`.
static INTROSPECT: Part = Part::new("<worker introspect>", include_str!("introspect.py"), &[&OBJECTS, &SOURCE]);
/// `complete`.
static COMPLETE: Part = Part::new("<worker complete>", include_str!("complete.py"), &[&INTROSPECT, &OBJECTS, &SOURCE]);

/// Works on one request and sends the response, which is a refusal if Python raises. Main thread, with the GIL, between
/// cells or in a read of standard input. SIGINT is unblocked while Python works; a KeyboardInterrupt ends the request
/// alone.
pub(crate) fn answer(py: Python<'_>, engine: &Engine, request: &Request) {
    interrupt::unblock_signals();
    let answer = dispatch(py, request);
    let _blocked = interrupt::block_sigint();
    // An interrupt that came at the end of the work, and was not raised yet, was meant for the request too.
    swallow_signals(py);
    engine.respond(request, answer);
}

/// Calls the Python function of the request's name and turns its value into the response's.
fn dispatch(py: Python<'_>, request: &Request) -> Result<Value, Refusal> {
    let method = &request.rpc.method;
    match Question::of(&request.rpc)? {
        Question::IsComplete(code) => {
            let (status, indent): (String, String) = call(py, &REQUESTS, method, (code,))?;
            let completeness = match status.as_str() {
                "incomplete" => Completeness::Incomplete { indent },
                "invalid" => Completeness::Invalid,
                _ => Completeness::Complete,
            };
            Ok(completeness.result())
        }
        Question::Complete(Place { code, cursor }) => {
            let (matches, start, end): (Vec<_>, _, _) = call(py, &COMPLETE, method, (code, cursor))?;
            Ok(questions::completions(matches, start..end))
        }
        Question::Inspect(Place { code, cursor }) => {
            let found: Option<String> = call(py, &INTROSPECT, method, (code, cursor))?;
            Ok(questions::inspection(found.as_deref()))
        }
        Question::Variables => {
            let found: Vec<_> = call(py, &INTROSPECT, method, ())?;
            Ok(questions::variables(found))
        }
    }
}

/// Calls a function of a part and converts its value.
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
