//! What an interrupt does to the queue, and the queue's limits.

use crate::support::harness::Session;
use std::collections::BTreeMap;
use std::time::Duration;
use worker_client::{Batch, Event};
use worker_protocol::Outcome;

#[test]
fn queued_cells_are_discarded_after_the_interrupted_one_in_their_order() {
    let mut s = Session::python();
    let running = s.begin("print('go', flush=True)\nwhile True: pass");
    let queued: Vec<_> = (0..5).map(|n| s.begin(&format!("print({n})"))).collect();
    s.until_printed(&running, "go\n");
    s.interrupt();
    s.finish(&running).interrupted();
    for id in queued {
        s.discarded(&id);
    }
    s.says("1", "1\n");
}

#[test]
fn queued_cells_without_a_name_are_discarded_too() {
    let mut s = Session::python();
    let running = s.begin("input('p ')");
    s.wait_for("p ");
    s.send(Batch::cell("print(1)"));
    s.send(Batch::cell("print(2)"));
    s.interrupt();
    s.finish(&running).interrupted();
    for _ in 0..2 {
        assert_eq!(s.finish_unnamed().ready.outcome, Some(Outcome::Discarded));
    }
}

#[test]
fn the_queue_goes_whatever_the_users_code_does_with_the_interrupt() {
    let mut s = Session::python();
    let running = s.begin(
        "try:\n    print('go', flush=True)\n    while True: pass\nexcept KeyboardInterrupt: pass\nprint('went on')",
    );
    let queued = s.begin("print('never')");
    s.until_printed(&running, "go\n");
    s.interrupt();
    assert_eq!(s.finish(&running).ok().stdout, "go\nwent on\n");
    s.discarded(&queued);
    s.says("1", "1\n");
}

#[test]
fn queued_input_is_dropped_by_an_interrupt() {
    let mut s = Session::python();
    let running = s.begin("print('go', flush=True)\nwhile True: pass");
    s.until_printed(&running, "go\n");
    s.send(Batch::stdin("typed ahead"));
    s.interrupt();
    s.finish(&running).interrupted();
    let id = s.begin("input('p ')");
    let wait = s.wait_for("p ");
    s.answer(&wait, "fresh");
    assert_eq!(s.finish(&id).ok().stdout, "'fresh'\n");
}

#[test]
fn a_queued_cell_is_discarded_by_name_and_the_others_stay() {
    let mut s = Session::python();
    let running = s.begin("input('p ')");
    let wait = s.wait_for("p ");
    let ids: Vec<_> = (0..3).map(|n| s.begin(&format!("print({n})"))).collect();
    s.worker.sender().interrupt_cell(&ids[1]).unwrap();
    assert_eq!(s.status()["id"], serde_json::json!(running), "the running cell goes on");
    s.answer(&wait, "x");
    // The discarded cell's `ready` may come at once or in its turn.
    let mut outcomes = BTreeMap::new();
    while outcomes.len() < 4 {
        match s.next() {
            Event::Ready(ready) => outcomes.insert(ready.id.unwrap(), ready.outcome.unwrap()),
            other => s.fail(&format!("{other:?}")),
        };
    }
    let wanted =
        [(&running, Outcome::Ok), (&ids[0], Outcome::Ok), (&ids[1], Outcome::Discarded), (&ids[2], Outcome::Ok)];
    for (id, outcome) in wanted {
        assert_eq!(outcomes[id], outcome, "{id}");
        let said: String = s.take(Some(id)).texts.iter().filter_map(|text| text.text.clone()).collect();
        assert_eq!(said.is_empty(), outcome == Outcome::Discarded, "{id}: {said}");
    }
}

#[test]
fn cells_of_an_interrupted_queue_can_be_named_again() {
    let mut s = Session::python();
    let running = s.begin("print('go', flush=True)\nwhile True: pass");
    s.send(Batch::cell("1").id("again"));
    s.until_printed(&running, "go\n");
    s.interrupt();
    s.finish(&running).interrupted();
    s.discarded("again");
    s.send(Batch::cell("'again'").id("again"));
    assert_eq!(s.finish("again").ok().stdout, "'again'\n");
}

#[test]
fn the_queue_holds_ten_thousand_cells() {
    let mut s = Session::python().patient(Duration::from_secs(120));
    let running = s.begin("input('p ')");
    s.wait_for("p ");
    for n in 0..10_000 {
        s.send(Batch::cell("1").id(format!("q{n}")));
    }
    s.send(Batch::cell("1").id("too many"));
    let refusal = s.refusal();
    assert_eq!((refusal.code, refusal.batch_id()), (-32005, Some("too many")));
    assert_eq!(s.status()["queued_cells"], 10_000);
    s.interrupt();
    s.finish(&running).interrupted();
    for n in 0..10_000 {
        s.discarded(&format!("q{n}"));
    }
    s.says("1", "1\n");
}

#[test]
fn the_queue_holds_256_mebibytes() {
    let mut s = Session::python().patient(Duration::from_secs(120));
    let running = s.begin("input('p ')");
    s.wait_for("p ");
    // Written by hand, since an unoptimised encoder takes its time over 60 MiB.
    let line = |to: &str, id: &str, text: &str| {
        format!(r##"{{"type":"input_batch","to":"{to}","id":"{id}","input":"#{text}"}}"##)
    };
    let (big, less) = ("x".repeat(60 << 20), "x".repeat(17 << 20));
    for n in 0..4 {
        s.line(line("cell", &format!("q{n}"), &big));
    }
    for (to, id) in [("cell", "too much"), ("stdin", "q0")] {
        s.line(line(to, id, &less));
        let refusal = s.refusal();
        assert_eq!((refusal.code, refusal.batch_id()), (-32005, Some(id)));
    }
    s.send(Batch::cell("1").id("small"));
    s.interrupt();
    s.finish(&running).interrupted();
    for id in ["q0", "q1", "q2", "q3", "small"] {
        s.discarded(id);
    }
}
