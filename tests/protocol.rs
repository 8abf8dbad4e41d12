//! Golden lines: what `src/protocol.rs` reads and writes, byte for byte.
//!
//! A line that changes here changes for every client outside this repository: `docs/protocol.md` moves with it, and is
//! checked here to show every message, every field and every error code.

use serde_json::{Value, json};
use worker_protocol::*;

const DOCUMENT: &str = include_str!("../docs/protocol.md");

/// The examples of the document: the lines of its `json` blocks.
fn examples() -> Vec<Value> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in DOCUMENT.lines() {
        match line {
            "```json" => inside = true,
            "```" => inside = false,
            line if inside => found.push(serde_json::from_str(line).expect(line)),
            _ => {}
        }
    }
    found
}

/// The document shows the message that a golden line holds.
#[track_caller]
fn is_documented(golden: &str, with_fields: bool) {
    let message: Value = serde_json::from_str(golden).unwrap();
    let kind = |message: &Value| message.get("type").cloned();
    let shown: Vec<Value> = examples().into_iter().filter(|example| kind(example) == kind(&message)).collect();
    assert!(!shown.is_empty(), "docs/protocol.md shows no {golden}");
    for field in message.as_object().unwrap().keys().filter(|_| with_fields) {
        assert!(
            shown.iter().any(|example| example.get(field).is_some()),
            "docs/protocol.md shows no {field:?} of {golden}"
        );
    }
}

#[track_caller]
fn says(message: &impl serde::Serialize, golden: &str) {
    is_documented(golden, true);
    let written = line(message);
    assert_eq!(std::str::from_utf8(&written).unwrap(), format!("{golden}\n"));
}

#[track_caller]
fn reads(golden: &str, wanted: Incoming) {
    // What the worker reads may hold fields that nobody knows.
    is_documented(golden, false);
    assert_eq!(Incoming::parse(golden.as_bytes()), Ok(wanted), "{golden}");
}

fn batch(input: &str) -> InputBatch {
    InputBatch { input: input.into(), to: None, id: None, timeout_ms: None, eof: None, reader: None }
}

#[test]
fn name_and_limits() {
    assert_eq!((NAME, VERSION), ("interpreter-worker", 1));
    assert_eq!((MAX_LINE, MAX_TEXT), (64 << 20, 64 << 10));
    assert_eq!((MAX_QUEUED_CELLS, MAX_QUEUED_BYTES, DEFAULT_GRACE_MS), (10_000, 256 << 20, 2000));
    let codes =
        [Code::Parse, Code::Invalid, Code::UnknownMethod, Code::BadParams, Code::Internal, Code::Busy, Code::Ending];
    assert_eq!(codes.map(|code| code as i32), [-32700, -32600, -32601, -32602, -32001, -32002, -32003]);
    assert_eq!([Code::LineTooLong as i32, Code::QueueFull as i32], [-32004, -32005]);
}

#[test]
fn the_document_names_every_code_and_its_examples_are_messages() {
    for code in [-32700, -32600, -32601, -32602, -32001, -32002, -32003, -32004, -32005] {
        assert!(DOCUMENT.contains(&format!("\n| {code} | ")), "docs/protocol.md does not explain {code}");
    }
    for example in examples() {
        let is_request = match example.get("type").and_then(Value::as_str) {
            Some(kind) => ["input_batch", "interrupt", "shutdown"].contains(&kind),
            None => example.get("method").is_some(),
        };
        if is_request {
            Incoming::parse(example.to_string().as_bytes()).expect("an example that the worker would take");
        }
    }
}

#[test]
fn batches_are_read() {
    reads(r#"{"type":"input_batch","input":"1"}"#, Incoming::Input(batch("1")));
    reads(
        r#"{"type":"input_batch","to":"cell","id":"a","timeout_ms":50,"input":"x","new":[]}"#,
        Incoming::Input(InputBatch { to: Some(To::Cell), id: Some("a".into()), timeout_ms: Some(50), ..batch("x") }),
    );
    reads(
        r#"{"input":"","reader":3,"eof":true,"to":"stdin","type":"input_batch"}"#,
        Incoming::Input(InputBatch { to: Some(To::Stdin), reader: Some(3), eof: Some(true), ..batch("") }),
    );
    reads(r#"{"type":"input_batch","input":"\ud83d\ude00\n","to":null}"#, Incoming::Input(batch("😀\n")));
}

#[test]
fn the_other_messages_are_read() {
    reads(r#"{"type":"interrupt"}"#, Incoming::Interrupt { id: None });
    reads(r#"{"type":"interrupt","id":"a"}"#, Incoming::Interrupt { id: Some("a".into()) });
    reads(r#"{"type":"shutdown"}"#, Incoming::Shutdown { grace_ms: None });
    reads(r#"{"type":"shutdown","grace_ms":0}"#, Incoming::Shutdown { grace_ms: Some(0) });
    let rpc = |id: Value, params: Value| Incoming::Request(Rpc { id, method: "status".into(), params });
    reads(r#"{"jsonrpc":"2.0","id":1,"method":"status"}"#, rpc(json!(1), json!({})));
    reads(r#"{"jsonrpc":"2.0","id":"a","method":"status","params":{"x":1}}"#, rpc(json!("a"), json!({"x": 1})));
}

#[test]
fn bad_lines_are_refused_with_their_code_and_name() {
    for (text, code, id) in [
        ("{", Code::Parse, None),
        ("5", Code::Invalid, None),
        ("{}", Code::Invalid, None),
        (r#"{"type":"news","id":"a"}"#, Code::Invalid, Some("a")),
        (r#"{"type":"input_batch","id":"a"}"#, Code::Invalid, Some("a")),
        (r#"{"type":"input_batch","id":"a","input":"","to":"cell","eof":true}"#, Code::Invalid, Some("a")),
        (r#"{"type":"input_batch","id":"a","input":"","to":"stdin","timeout_ms":1}"#, Code::Invalid, Some("a")),
        (r#"{"type":"input_batch","id":"a","input":"","reader":1}"#, Code::Invalid, Some("a")),
    ] {
        let refusal = Incoming::parse(text.as_bytes()).unwrap_err();
        assert_eq!((refusal.code, refusal.batch_id.as_deref()), (code, id), "{text}");
        assert!(!refusal.message.is_empty());
    }
    let refusal = Incoming::parse(br#"{"jsonrpc":"1.0","id":4,"method":"status"}"#).unwrap_err();
    assert_eq!((refusal.code, refusal.rpc_id), (Code::Invalid, json!(4)));
}

#[test]
fn worker_ready_is_written() {
    let capabilities = Capabilities { images: true, displays: false, requests: vec!["status"], limits: None };
    let protocol = ProtocolInfo { name: NAME, version: VERSION };
    let worker = WorkerInfo { name: "worker", version: "9.9.9" };
    let hello =
        Event::WorkerReady { protocol, worker, session_id: "s", lang: "python", pid: 7, capabilities: &capabilities };
    says(
        &hello,
        r#"{"type":"worker_ready","protocol":{"name":"interpreter-worker","version":1},"worker":{"name":"worker","version":"9.9.9"},"session_id":"s","lang":"python","pid":7,"capabilities":{"images":true,"displays":false,"requests":["status"]}}"#,
    );
}

#[test]
fn every_ready_is_written() {
    says(&Event::Ready(Ready::default()), r#"{"type":"ready"}"#);
    let runtime = RuntimeInfo {
        name: "CPython".into(),
        version: "3.11.7".into(),
        executable: Some("/p".into()),
        home: None,
        prefix: "/usr".into(),
    };
    says(
        &Event::Ready(Ready { runtime: Some(&runtime), startup_ms: Some(1.5), ..Ready::default() }),
        r#"{"type":"ready","runtime":{"name":"CPython","version":"3.11.7","executable":"/p","prefix":"/usr"},"startup_ms":1.5}"#,
    );
    let error = ErrorInfo { name: "E".into(), message: "m".into(), traceback: vec!["t".into()] };
    let ready = Ready {
        id: Some("a"),
        outcome: Some(Outcome::Error),
        elapsed_ms: Some(0.25),
        discarded_stdin_bytes: Some(3),
        timed_out: true,
        error: Some(&error),
        ..Ready::default()
    };
    says(
        &Event::Ready(ready),
        r#"{"type":"ready","id":"a","outcome":"error","elapsed_ms":0.25,"discarded_stdin_bytes":3,"timed_out":true,"error":{"name":"E","message":"m","traceback":["t"]}}"#,
    );
    let names = [Outcome::Ok, Outcome::Interrupted, Outcome::Discarded].map(|o| serde_json::to_string(&o).unwrap());
    assert_eq!(names, [r#""ok""#, r#""interrupted""#, r#""discarded""#]);
}

#[test]
fn input_events_are_written() {
    says(
        &Event::InputWait { prompt: "p> ", hidden: false, reader: 1, id: Some("a") },
        r#"{"type":"input_wait","prompt":"p> ","reader":1,"id":"a"}"#,
    );
    says(
        &Event::InputWait { prompt: "", hidden: true, reader: 2, id: None },
        r#"{"type":"input_wait","prompt":"","hidden":true,"reader":2}"#,
    );
    says(
        &Event::InputLine { prompt: "p> ", text: Some("x"), hidden: false, reader: 1, id: Some("a") },
        r#"{"type":"input_line","prompt":"p> ","text":"x","reader":1,"id":"a"}"#,
    );
    says(
        &Event::InputLine { prompt: "", text: None, hidden: true, reader: 2, id: None },
        r#"{"type":"input_line","prompt":"","hidden":true,"reader":2}"#,
    );
}

#[test]
fn pictures_and_displays_are_written() {
    let image = Event::OutputImage {
        mime_type: "image/png",
        data_b64: "AA==",
        source: None,
        is_update: false,
        width: Some(2),
        height: None,
        id: None,
    };
    says(
        &image,
        r#"{"type":"output_image","mime_type":"image/png","data_b64":"AA==","source":null,"is_update":false,"width":2}"#,
    );
    let (data, metadata) = (json!({"text/html": "<b>"}), json!({}));
    let display =
        Event::OutputDisplay { data: &data, metadata: &metadata, source: Some("d"), is_update: true, id: Some("a") };
    says(
        &display,
        r#"{"type":"output_display","data":{"text/html":"<b>"},"metadata":{},"source":"d","is_update":true,"id":"a"}"#,
    );
}

#[test]
fn ends_are_written() {
    says(&Event::SessionEnd(SessionEnd::new(EndReason::Shutdown)), r#"{"type":"session_end","reason":"shutdown"}"#);
    let exit = SessionEnd { exit_code: Some(3), ..SessionEnd::new(EndReason::RuntimeExit) };
    says(&Event::SessionEnd(exit), r#"{"type":"session_end","reason":"runtime_exit","exit_code":3}"#);
    let crash = SessionEnd { signal: Some("SIGSEGV".into()), ..SessionEnd::new(EndReason::Crash).with_message("m") };
    says(&Event::SessionEnd(crash), r#"{"type":"session_end","reason":"crash","message":"m","signal":"SIGSEGV"}"#);
    let names = [EndReason::StartupFailed, EndReason::ProtocolError].map(|r| serde_json::to_string(&r).unwrap());
    assert_eq!(names, [r#""startup_failed""#, r#""protocol_error""#]);
}

#[test]
fn responses_are_written() {
    says(
        &Response::result(&json!(1), &json!({"delivered": true})),
        r#"{"jsonrpc":"2.0","id":1,"result":{"delivered":true}}"#,
    );
    let refusal = Refusal::new(Code::QueueFull, "full").of_batch(Some("a".into()));
    says(
        &Response::refusal(&refusal),
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"full","data":{"id":"a"}}}"#,
    );
    let refusal = Refusal { rpc_id: json!("r"), ..Refusal::new(Code::Busy, "busy") };
    says(&Response::refusal(&refusal), r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32002,"message":"busy"}}"#);
}
