//! Interrupts by message, request and signal: what each is answered with, and what it leaves alone.

use crate::support::harness::{LIMIT, Session, launch};
use serde_json::json;
use std::time::Duration;
use worker_client::{Batch, Event};

#[test]
fn an_interrupt_that_the_cell_survives_is_merged_into_its_ready() {
    let mut s = Session::python();
    let id =
        s.begin("try:\n    print('go', flush=True)\n    while True: pass\nexcept KeyboardInterrupt: pass\ninput('p ')");
    s.until_printed(&id, "go\n");
    s.interrupt();
    s.wait_for("p ");
    s.interrupt();
    s.finish(&id).interrupted();
    s.status();
    s.says("1", "1\n");
}

#[test]
fn the_request_gives_its_result_instead_of_a_ready() {
    let mut s = Session::python();
    assert_eq!(s.call("interrupt", json!({})).unwrap(), json!({"delivered": false}));
    let id = s.begin("print('go', flush=True)\nwhile True: pass");
    s.until_printed(&id, "go\n");
    assert_eq!(s.call("interrupt", json!({"id": "unknown"})).unwrap(), json!({"delivered": false}));
    assert_eq!(s.call("interrupt", json!({"id": id})).unwrap(), json!({"delivered": true}));
    s.finish(&id).interrupted();
    let id = s.begin("print('go', flush=True)\nwhile True: pass");
    let queued = s.begin("2");
    s.until_printed(&id, "go\n");
    assert_eq!(s.call("interrupt", json!({})).unwrap(), json!({"delivered": true}));
    s.finish(&id).interrupted();
    s.discarded(&queued);
    s.says("1", "1\n");
}

#[test]
fn an_interrupt_of_an_unknown_or_ended_cell_does_nothing() {
    let mut s = Session::python();
    let over = s.begin("1");
    s.finish(&over).ok();
    let id = s.begin("input('p ')");
    let wait = s.wait_for("p ");
    for name in [over.as_str(), "never heard of"] {
        s.worker.sender().interrupt_cell(name).unwrap();
    }
    s.status();
    s.answer(&wait, "undisturbed");
    assert_eq!(s.finish(&id).ok().stdout, "'undisturbed'\n");
    s.worker.sender().interrupt_cell(&id).unwrap();
    s.status();
    s.says("1", "1\n");
}

#[test]
fn an_interrupt_by_name_spares_the_queue() {
    let mut s = Session::python();
    let first = s.begin("print('go', flush=True)\nwhile True: pass");
    let second = s.begin("'second'");
    s.until_printed(&first, "go\n");
    s.worker.sender().interrupt_cell(&first).unwrap();
    s.finish(&first).interrupted();
    assert_eq!(s.finish(&second).ok().stdout, "'second'\n");
    let waiting = s.begin("input('p ')");
    let after = s.begin("'after'");
    s.wait_for("p ");
    s.worker.sender().interrupt_cell(&waiting).unwrap();
    s.finish(&waiting).interrupted();
    assert_eq!(s.finish(&after).ok().stdout, "'after'\n");
}

#[test]
fn timeout_interrupts_the_cell_and_spares_the_queue() {
    let mut s = Session::python();
    let codes = ["while True: pass", "import time; time.sleep(60)", "input('p ')"];
    for (n, code) in codes.into_iter().enumerate() {
        let id = format!("t{n}");
        s.send(Batch::cell(code).id(&id).timeout(Duration::from_millis(50)));
        let queued = s.begin("'queued'");
        if code.starts_with("input") {
            s.wait_for("p ");
        }
        let cell = s.finish(&id).interrupted();
        assert!(cell.ready.timed_out && cell.ready.elapsed_ms.unwrap() >= 50.0, "{:?}", cell.ready);
        let cell = s.finish(&queued).ok();
        assert_eq!((cell.stdout.as_str(), cell.ready.timed_out), ("'queued'\n", false));
    }
}

#[test]
fn timeout_strikes_once_and_is_told_whatever_the_outcome() {
    let mut s = Session::python();
    let caught = "hits = 0\ntry:\n    x = 0\n    while True: pass\nexcept KeyboardInterrupt: hits += 1\nimport time; time.sleep(0.2)\nprint(hits)";
    s.send(Batch::cell(caught).id("t").timeout(Duration::from_millis(20)));
    let cell = s.finish("t").ok();
    assert!(cell.ready.timed_out);
    assert_eq!(cell.stdout, "1\n");
    s.send(
        Batch::cell("try:\n    x = 0\n    while True: pass\nexcept KeyboardInterrupt: 1/0")
            .id("u")
            .timeout(Duration::from_millis(20)),
    );
    assert!(s.finish("u").failed("ZeroDivisionError").ready.timed_out);
    s.send(Batch::cell("'quick'").id("v").timeout(Duration::from_secs(3600)));
    assert!(!s.finish("v").ok().ready.timed_out);
}

#[test]
fn a_timeout_of_zero_or_of_a_cell_that_is_over_strikes_nothing_else() {
    let mut s = Session::python();
    for n in 0..50 {
        let id = format!("t{n}");
        s.send(Batch::cell("pass").id(&id).timeout(Duration::from_millis(n % 3)));
        s.finish(&id);
        s.says("1", "1\n");
    }
}

#[test]
fn message_and_signal_together_while_idle_are_answered_once() {
    let mut s = Session::python();
    for _ in 0..20 {
        s.interrupt();
        s.worker.signal(libc::SIGINT);
        s.bare_ready();
        s.status();
        s.says("1", "1\n");
    }
}

#[test]
fn an_interrupt_while_starting_stops_the_profile_and_is_answered_by_the_first_ready() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("startup.py");
    std::fs::write(&file, "print('go', flush=True)\nwhile True: pass\n").unwrap();
    let mut worker = launch().env("PYTHONSTARTUP", &file).arg("--startup").spawn().unwrap();
    assert!(matches!(worker.recv_timeout(LIMIT), Ok(Event::WorkerReady(_))));
    assert!(matches!(worker.recv_timeout(LIMIT), Ok(Event::OutputText(_))));
    worker.interrupt().unwrap();
    loop {
        match worker.recv_timeout(LIMIT).unwrap() {
            Event::OutputText(_) => {}
            Event::Ready(ready) => break assert!(ready.runtime.is_some(), "{ready:?}"),
            other => panic!("{other:?}"),
        }
    }
    worker.send(&Batch::cell("1").id("x")).unwrap();
    let mut after = std::iter::repeat_with(|| worker.recv_timeout(LIMIT).unwrap());
    let end = after.find(|event| !matches!(event, Event::OutputText(_)));
    assert!(matches!(&end, Some(Event::Ready(ready)) if ready.id.as_deref() == Some("x")), "{end:?}");
}
