//! Batches that routing refuses, and what it says of them.

use crate::support::harness::Session;
use std::time::Duration;
use worker_client::Batch;

#[test]
fn a_name_that_is_queued_or_running_is_refused() {
    let mut s = Session::python();
    s.send(Batch::cell("input('p ')").id("dup"));
    let wait = s.wait_for("p ");
    s.send(Batch::cell("2").id("dup"));
    let refusal = s.refusal();
    assert_eq!((refusal.code, refusal.batch_id()), (-32600, Some("dup")));
    s.send(Batch::cell("'queued'").id("next"));
    s.send(Batch::cell("3").id("next"));
    assert_eq!(s.refusal().batch_id(), Some("next"));
    s.answer(&wait, "x");
    assert_eq!(s.finish("dup").ok().stdout, "'x'\n");
    assert_eq!(s.finish("next").ok().stdout, "'queued'\n");
    s.send(Batch::cell("'again'").id("dup"));
    assert_eq!(s.finish("dup").ok().stdout, "'again'\n");
}

#[test]
fn standard_input_for_nobody_is_refused_and_not_lost_in_silence() {
    let mut s = Session::python();
    s.send(Batch::stdin("for nobody"));
    assert_eq!(s.refusal().code, -32600);
    s.send(Batch::stdin("for nobody").id("unknown"));
    let refusal = s.refusal();
    assert_eq!((refusal.code, refusal.batch_id()), (-32600, Some("unknown")));
    s.send(Batch::stdin("for nobody").reader(99));
    assert_eq!(s.refusal().code, -32600);
    let over = s.begin("1");
    s.finish(&over).ok();
    s.send(Batch::stdin("too late").id(&over));
    assert_eq!(s.refusal().batch_id(), Some(over.as_str()));
    let id = s.begin("input('p ')");
    let wait = s.wait_for("p ");
    s.answer(&wait, "clean");
    assert_eq!(s.finish(&id).ok().stdout, "'clean'\n");
    s.send(Batch::stdin("again").reader(wait.reader));
    assert_eq!(s.refusal().code, -32600);
}

#[test]
fn fields_that_do_not_belong_together_are_refused() {
    let mut s = Session::python();
    s.send(Batch::cell("1").id("a").eof());
    assert_eq!(s.refusal().batch_id(), Some("a"));
    s.send(Batch::cell("1").id("b").reader(1));
    assert_eq!(s.refusal().batch_id(), Some("b"));
    s.send(Batch::new("1").id("c").reader(1));
    assert_eq!(s.refusal().batch_id(), Some("c"));
    s.send(Batch::stdin("1").id("d").timeout(Duration::from_secs(1)));
    assert_eq!(s.refusal().batch_id(), Some("d"));
    s.send(Batch::new("1").id("e").eof());
    let refusal = s.refusal();
    assert_eq!((refusal.code, refusal.batch_id()), (-32600, Some("e")), "`eof` answers no wait here");
    s.says("1", "1\n");
}

#[test]
fn nothing_new_is_taken_while_the_session_ends() {
    let mut s = Session::python();
    let id = s.begin("print('go', flush=True)\nimport time\nwhile True: time.sleep(0.01)");
    s.until_printed(&id, "go\n");
    s.worker.sender().ask_to_end(Some(Duration::from_secs(30))).unwrap();
    s.send(Batch::cell("2").id("late"));
    let refusal = s.refusal();
    assert_eq!((refusal.code, refusal.batch_id()), (-32003, Some("late")));
    s.send(Batch::stdin("late too"));
    assert_eq!(s.refusal().code, -32003);
    assert_eq!(s.status()["state"], "stopping");
    s.interrupt();
    s.finish(&id).interrupted();
    s.shutdown();
}
