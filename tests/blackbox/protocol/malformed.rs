//! L7: every kind of bad line gets its answer, and nothing is lost.

use crate::support::harness::Session;
use crate::support::random::Random;
use serde_json::{Value, json};
use std::time::Duration;
use worker_client::{Batch, Event};

#[test]
fn l7_lines_that_are_not_json_get_a_parse_error() {
    let mut s = Session::python();
    for line in [
        "{",
        "hello",
        "{\"type\": \"input_batch\", \"input\": \"x}",
        "\u{0}",
        "{'type': 'interrupt'}",
        "[1, 2",
        "{} {}",
        "nul",
        "\u{feff}{}",
    ] {
        s.line(line);
        assert_eq!(s.refusal().code, -32700, "{line:?}");
    }
    s.line(b"{\"type\": \"input_batch\", \"input\": \"\xff\xfe\"}");
    assert_eq!(s.refusal().code, -32700);
    s.line("[".repeat(100_000));
    assert_eq!(s.refusal().code, -32700);
    s.says("1", "1\n");
}

#[test]
fn l7_json_that_is_no_message_is_refused() {
    let mut s = Session::python();
    for line in [
        "1",
        "null",
        "\"text\"",
        "[]",
        "{}",
        r#"{"type": "no_such_type"}"#,
        r#"{"type": 5}"#,
        r#"{"type": null}"#,
        r#"{"type": "input_batch"}"#,
        r#"{"type": "input_batch", "input": 5}"#,
        r#"{"type": "input_batch", "input": null}"#,
        r#"{"type": "input_batch", "input": "1", "to": "nowhere"}"#,
        r#"{"type": "input_batch", "input": "1", "to": 1}"#,
        r#"{"type": "input_batch", "input": "1", "timeout_ms": "soon"}"#,
        r#"{"type": "input_batch", "input": "1", "timeout_ms": -1}"#,
        r#"{"type": "input_batch", "input": "1", "id": 5}"#,
        r#"{"type": "input_batch", "input": "1", "to": "stdin", "eof": "yes"}"#,
        r#"{"type": "input_batch", "input": "1", "to": "stdin", "reader": "one"}"#,
        r#"{"type": "interrupt", "id": 5}"#,
        r#"{"type": "shutdown", "grace_ms": "long"}"#,
        r#"{"type": "shutdown", "grace_ms": -5}"#,
        r#"{"type": "worker_ready"}"#,
        r#"{"jsonrpc": "1.0", "method": "status"}"#,
    ] {
        s.line(line);
        assert_eq!(s.refusal().code, -32600, "{line}");
    }
    s.says("1", "1\n");
}

#[test]
fn l7_a_refused_batch_is_named() {
    let mut s = Session::python();
    s.line(r#"{"type": "input_batch", "input": 5, "id": "mine"}"#);
    assert_eq!(s.refusal().batch_id(), Some("mine"));
    s.line(r#"{"type": "input_batch", "input": 5}"#);
    assert_eq!(s.refusal().batch_id(), None);
}

#[test]
fn l7_requests_that_are_wrong_are_answered_by_their_id() {
    let mut s = Session::python();
    for (line, id, code) in [
        (r#"{"jsonrpc": "2.0", "id": 7, "method": "no_such_method"}"#, json!(7), -32601),
        (r#"{"jsonrpc": "2.0", "id": "a", "method": "no_such_method", "params": {}}"#, json!("a"), -32601),
        (r#"{"jsonrpc": "2.0", "id": 8, "method": 9}"#, json!(8), -32600),
        (r#"{"jsonrpc": "2.0", "id": 9}"#, json!(9), -32600),
        (r#"{"jsonrpc": "2.0", "id": 10, "method": "interrupt", "params": {"id": 5}}"#, json!(10), -32602),
        (r#"{"jsonrpc": "2.0", "id": 11, "method": "shutdown", "params": {"grace_ms": "x"}}"#, json!(11), -32602),
        (r#"{"jsonrpc": "2.0", "id": 12, "method": "is_complete", "params": {}}"#, json!(12), -32602),
        (r#"{"jsonrpc": "2.0", "id": 13, "method": "is_complete", "params": {"code": 3}}"#, json!(13), -32602),
    ] {
        s.line(line);
        let response = s.response();
        assert_eq!((response.id, response.error.unwrap().code), (id, code), "{line}");
    }
}

#[test]
fn unknown_fields_and_empty_lines_are_ignored() {
    let mut s = Session::python();
    s.line("");
    s.line("   ");
    s.line("\r");
    s.line(r#"{"type": "input_batch", "input": "5", "id": "x", "colour": "red", "nested": {"a": [1]}}"#);
    assert_eq!(s.finish("x").ok().stdout, "5\n");
    s.line("  {\"input\": \"6\",\t\"id\": \"y\", \"type\": \"input_batch\"}  \r");
    assert_eq!(s.finish("y").ok().stdout, "6\n");
    s.line(r#"{"type": "input_batch", "input": "7", "id": "z", "to": null, "timeout_ms": null, "eof": null, "reader": null}"#);
    assert_eq!(s.finish("z").ok().stdout, "7\n");
    s.line(r#"{"type": "input_batch", "input": "'\u00e9\ud83d\ude00'", "id": "w"}"#);
    assert_eq!(s.finish("w").ok().stdout, "'é😀'\n");
    s.status();
}

#[test]
fn a_line_that_is_too_long_is_skipped_and_answered() {
    let mut s = Session::python().patient(Duration::from_secs(120));
    let id = s.begin("input('p ')");
    let wait = s.wait_for("p ");
    let sender = s.worker.sender();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..70 {
        sender.raw(&chunk).unwrap();
    }
    sender.raw(b"\n").unwrap();
    assert_eq!(s.refusal().code, -32004);
    s.answer(&wait, "goes on");
    assert_eq!(s.finish(&id).ok().stdout, "'goes on'\n");
    let big = format!("x = '{}'\nlen(x)", "y".repeat(40 << 20));
    s.says(&big, &format!("{}\n", 40 << 20));
}

#[test]
fn lines_cut_anywhere_are_put_together() {
    let mut s = Session::python();
    let sender = s.worker.sender();
    let text = "{\"type\": \"input_batch\", \"id\": \"x\", \"input\": \"'é→'\"}\n{\"type\": \"input_batch\", \"id\": \"y\", \"input\": \"2\"}\n";
    for byte in text.as_bytes() {
        sender.raw(&[*byte]).unwrap();
    }
    assert_eq!(s.finish("x").ok().stdout, "'é→'\n");
    assert_eq!(s.finish("y").ok().stdout, "2\n");
}

#[test]
fn l7_fuzzed_lines_are_answered_one_by_one() {
    let mut s = Session::python();
    let seeds = [
        r#"{"type": "input_batch", "input": "1", "to": "cell", "id": "a", "timeout_ms": 500}"#,
        r#"{"type": "input_batch", "input": "1", "to": "stdin", "reader": 1, "eof": true}"#,
        r#"{"jsonrpc": "2.0", "id": 1, "method": "status", "params": {}}"#,
        r#"{"type": "interrupt", "id": "a"}"#,
    ];
    let mut random = Random::new(4);
    let mut sent = 0;
    for round in 0..1500 {
        let mut line = seeds[random.below(4) as usize].as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            if line.is_empty() {
                break;
            }
            let at = random.below(line.len() as u64) as usize;
            match random.below(4) {
                0 => line[at] = random.below(256) as u8,
                1 => drop(line.remove(at)),
                2 => line.insert(at, b"{}[]\",:\\0 "[random.below(10) as usize]),
                _ => line.truncate(at.max(1)),
            }
        }
        line.retain(|byte| *byte != b'\n');
        // What is still a message does what it says; only what is none has exactly one answer.
        let valid = serde_json::from_slice::<Value>(&line).is_ok();
        if !valid && !line.trim_ascii().is_empty() {
            s.line(&line);
            sent += 1;
        }
        if round % 100 == 0 {
            for _ in 0..sent {
                assert_eq!(s.refusal().code, -32700);
            }
            sent = 0;
            s.says("1", "1\n");
        }
    }
    for _ in 0..sent {
        assert_eq!(s.refusal().code, -32700);
    }
}

#[test]
fn l7_good_messages_in_any_order_lose_nothing() {
    for seed in 0..6 {
        let mut s = Session::python();
        let mut random = Random::new(100 + seed);
        let mut cells = Vec::new();
        for n in 0..150 {
            match random.below(8) {
                0..=2 => cells.push(s.begin(&format!("print({n})"))),
                3 => cells.push(s.begin("x = input('p ')")),
                4 => s.send(Batch::stdin(format!("line {n}"))),
                5 => s.interrupt(),
                6 => drop(s.ask("status", json!({}))),
                _ => s.worker.sender().interrupt_cell(&format!("c{n}")).unwrap(),
            }
        }
        // Whatever waits now is stopped; after that every cell has exactly one end, and they come in order.
        let last = s.ask("status", json!({}));
        s.interrupt();
        let (mut ends, mut answered) = (Vec::new(), false);
        while ends.len() < cells.len() || !answered {
            match s.next() {
                Event::Ready(ready) => {
                    if let Some(id) = ready.id {
                        assert!(ready.outcome.is_some());
                        ends.push(id);
                    }
                }
                Event::Response(response) => answered |= response.id == last,
                Event::InputWait(_) => {}
                other => s.fail(&format!("{other:?}")),
            }
        }
        let mut sorted = ends.clone();
        sorted.sort_by_key(|id| id[1..].parse::<u32>().unwrap());
        assert_eq!(sorted, cells, "one end each");
        let id = s.begin("'alive'");
        loop {
            match s.next() {
                Event::Ready(ready) if ready.id.as_deref() == Some(&id) => break,
                Event::Ready(ready) => assert_eq!((ready.id, ready.outcome), (None, None)),
                other => s.fail(&format!("{other:?}")),
            }
        }
        for id in cells.iter().chain([&id]) {
            s.take(Some(id));
        }
    }
}
