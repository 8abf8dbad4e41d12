//! Shutdown, its grace, the signals that mean it, and the end of either side of the channel.

use crate::support::harness::Session;
use crate::support::pythons::for_each_python;
use crate::support::said::End;
use std::time::Duration;
use worker_client::{Batch, Event, Reason};
use worker_protocol::{EndReason, Outcome};

const ORDERLY: Reason = Reason::Shutdown { forced: false };
const LONG: Option<Duration> = Some(Duration::from_secs(40));
const NONE: Option<Duration> = Some(Duration::ZERO);

#[test]
fn what_runs_and_what_is_queued_may_finish() {
    for_each_python(|_, python| {
        let mut s = Session::on(python);
        let folder = tempfile::tempdir().unwrap();
        let gate = folder.path().join("gate");
        let first = s.begin(&format!("import os\nprint('go', flush=True)\nwhile not os.path.exists({gate:?}): pass"));
        let second = s.begin("'second'");
        s.until_printed(&first, "go\n");
        s.worker.sender().ask_to_end(LONG).unwrap();
        assert_eq!(s.status()["state"], "stopping");
        std::fs::write(&gate, "").unwrap();
        s.finish(&first).ok();
        assert_eq!(s.finish(&second).ok().stdout, "'second'\n");
        assert_eq!(s.ended().ending.reason, ORDERLY);
    });
}

#[test]
fn readers_get_queued_input_and_then_end_of_file() {
    for_each_python(|_, python| {
        let mut s = Session::on(python);
        let id = s.begin("try:\n    input('p ')\nexcept EOFError: print('end')");
        s.wait_for("p ");
        let late = s.begin("import sys\nsys.stdin.read()");
        let served = s.begin("input('q ')\ntry: input()\nexcept EOFError: 'end too'");
        s.send(Batch::stdin("queued").id(&served));
        s.worker.sender().ask_to_end(LONG).unwrap();
        assert_eq!(s.finish(&id).ok().stdout, "end\n");
        assert_eq!(s.finish(&late).ok().stdout, "''\n");
        assert_eq!(s.finish(&served).ok().lines.len(), 1);
        assert_eq!(s.ended().ending.reason, ORDERLY);
    });
}

#[test]
fn after_the_grace_the_cell_is_interrupted_and_the_queue_discarded() {
    let mut s = Session::python();
    let running =
        s.begin("print('go', flush=True)\ntry:\n    x = 0\n    while True: pass\nfinally: print('cleaned up')");
    let queued = s.begin("print('never')");
    s.until_printed(&running, "go\n");
    s.worker.sender().ask_to_end(Some(Duration::from_millis(1000))).unwrap();
    assert_eq!(s.finish(&running).interrupted().stdout, "go\ncleaned up\n");
    s.discarded(&queued);
    assert_eq!(s.ended().ending.reason, ORDERLY);
}

#[test]
fn after_twice_the_grace_the_end_is_forced() {
    let stubborn = "while True:\n    try:\n        x = 0\n        while True: pass\n    except KeyboardInterrupt: pass";
    let native = "sum(range(10**15))";
    for code in [stubborn, native] {
        let mut s = Session::python();
        let id = s.begin(&format!("print('go', flush=True)\n{code}"));
        s.until_printed(&id, "go\n");
        s.worker.sender().ask_to_end(Some(Duration::from_millis(100))).unwrap();
        let End { ending, .. } = s.ended();
        assert_eq!(ending.reason, Reason::Shutdown { forced: true }, "{ending:?}");
        assert_eq!(ending.last.unwrap().message.as_deref(), Some("forced"));
    }
}

#[test]
fn an_interrupt_stops_an_exit_handler() {
    for_each_python(|_, python| {
        let mut s = Session::on(python);
        s.run("import atexit\natexit.register(print, 'the next one runs')\n@atexit.register\ndef slow():\n    print('slow', flush=True)\n    while True: pass").ok();
        s.worker.sender().ask_to_end(LONG).unwrap();
        s.until_between("slow");
        s.interrupt();
        let end = s.ended_after_bare_ready();
        assert_eq!(end.ending.reason, ORDERLY, "{:?}", end.ending);
        assert!(end.stdout.contains("the next one runs\n"), "{end:?}");
    });
}

#[test]
fn no_grace_at_all_ends_at_once() {
    let s = Session::python();
    s.worker.sender().ask_to_end(NONE).unwrap();
    let reason = s.ended().ending.reason;
    assert!(matches!(reason, Reason::Shutdown { .. }), "{reason:?}");
    let mut s = Session::python();
    let id = s.begin("print('go', flush=True)\nwhile True: pass");
    s.until_printed(&id, "go\n");
    s.worker.sender().ask_to_end(NONE).unwrap();
    // The cell may or may not get to say its end; the session does.
    loop {
        match s.worker.recv_timeout(crate::support::harness::LIMIT) {
            Ok(Event::Ready(ready)) => assert_eq!(ready.outcome, Some(Outcome::Interrupted)),
            Ok(Event::SessionEnd(end)) => break assert_eq!(end.reason, EndReason::Shutdown),
            Ok(Event::OutputText(_)) => {}
            other => s.fail(&format!("{other:?}")),
        }
    }
    s.ended();
}

#[test]
fn termination_signals_are_a_shutdown_by_their_name() {
    for_each_python(|_, python| {
        for (signal, name) in [(libc::SIGTERM, "SIGTERM"), (libc::SIGHUP, "SIGHUP")] {
            let mut s = Session::on(python);
            s.run("import atexit; atexit.register(print, 'at exit')\nNone").ok();
            // Sent past the library, which would take the end for its own doing.
            assert!(
                std::process::Command::new("kill")
                    .args([format!("-{name}"), s.worker.pid().to_string()])
                    .status()
                    .unwrap()
                    .success()
            );
            let end = s.ended();
            assert_eq!((end.ending.reason, end.stdout.as_str()), (ORDERLY, "at exit\n"), "{signal}");
            assert_eq!(end.ending.last.unwrap().message.as_deref(), Some(name));
            assert_eq!(end.ending.status.code(), Some(0));
        }
    });
}

#[test]
fn a_termination_signal_lets_a_cell_finish() {
    let mut s = Session::python();
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let id = s.begin(&format!("import os\nprint('go', flush=True)\nwhile not os.path.exists({gate:?}): pass\n'done'"));
    s.until_printed(&id, "go\n");
    s.worker.signal(libc::SIGTERM);
    while s.status()["state"] != "stopping" {}
    std::fs::write(&gate, "").unwrap();
    assert_eq!(s.finish(&id).ok().stdout, "go\n'done'\n");
    assert_eq!(s.ended().ending.reason, ORDERLY);
}

#[test]
fn a_termination_signal_after_a_shutdown_forces_the_end() {
    let mut s = Session::python();
    let id = s.begin("print('go', flush=True)\nwhile True:\n    try:\n        x = 0\n        while True: pass\n    except KeyboardInterrupt: pass");
    s.until_printed(&id, "go\n");
    s.worker.sender().ask_to_end(Some(Duration::from_secs(3600))).unwrap();
    assert_eq!(s.status()["state"], "stopping");
    s.worker.signal(libc::SIGTERM);
    let End { ending, .. } = s.ended();
    assert_eq!(ending.last.unwrap().reason, EndReason::Shutdown);
    assert_eq!(ending.status.code(), Some(0));
}

#[test]
fn a_second_shutdown_may_shorten_the_grace() {
    let mut s = Session::python();
    let id = s.begin("print('go', flush=True)\nwhile True: pass");
    s.until_printed(&id, "go\n");
    s.worker.sender().ask_to_end(Some(Duration::from_secs(3600))).unwrap();
    s.worker.sender().ask_to_end(Some(Duration::from_millis(1000))).unwrap();
    match s.next() {
        Event::Ready(ready) => {
            assert_eq!((ready.id.as_deref(), ready.outcome), (Some(id.as_str()), Some(Outcome::Interrupted)))
        }
        other => s.fail(&format!("{other:?}")),
    }
    assert_eq!(s.ended().ending.reason, ORDERLY);
}

#[test]
fn the_end_of_the_request_side_is_a_shutdown() {
    for_each_python(|_, python| {
        let mut s = Session::on(python);
        let ids: Vec<_> = (0..20).map(|n| s.begin(&format!("print({n})"))).collect();
        s.worker.sender().close().unwrap();
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(s.finish(id).ok().stdout, format!("{n}\n"));
        }
        assert_eq!(s.ended().ending.reason, ORDERLY);
    });
}

#[test]
fn a_half_written_line_at_the_end_of_the_request_side_is_answered() {
    let mut s = Session::python();
    let id = s.begin("1");
    s.worker.sender().raw(b"{\"type\": \"input_batch\", \"inp").unwrap();
    s.worker.sender().close().unwrap();
    // Whether the rest of a line is a message is not said; it is not taken for one, and harms nothing.
    while let Ok(event) = s.worker.recv_timeout(crate::support::harness::LIMIT) {
        match event {
            Event::Response(response) => assert_eq!(response.error.unwrap().code, -32700),
            Event::Ready(ready) => {
                assert_eq!((ready.id.as_deref(), ready.outcome), (Some(id.as_str()), Some(Outcome::Ok)))
            }
            Event::SessionEnd(end) => assert_eq!(end.reason, EndReason::Shutdown),
            Event::OutputText(_) => {}
            other => s.fail(&format!("{other:?}")),
        }
    }
    s.ended();
}

#[test]
fn a_session_that_is_interrupted_after_shutdown_ends_before_its_grace() {
    let mut s = Session::python();
    let id = s.begin("print('go', flush=True)\nwhile True: pass");
    s.until_printed(&id, "go\n");
    s.worker.sender().ask_to_end(Some(Duration::from_secs(3600))).unwrap();
    s.interrupt();
    s.finish(&id).interrupted();
    assert_eq!(s.ended().ending.reason, ORDERLY);
}
