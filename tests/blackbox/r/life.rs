//! R3, R8, L: how sessions of R begin and end.

use crate::support::harness::{LIMIT, Session, bare_launch};
use crate::support::r::{r, with_profile};
use std::time::{Duration, Instant};
use worker_client::{Batch, Event, Reason};
use worker_protocol::EndReason;

#[test]
fn r3_profiles_run_after_worker_ready() {
    let (_folder, launch) = with_profile(
        "cat('from the profile\\n')\nx <- readline('who? ')\nwarning('w')\n.First <- function() cat('first', x, '\\n')\n",
    );
    let mut worker = launch.spawn().unwrap();
    let deadline = Instant::now() + LIMIT;
    let mut said = String::new();
    let mut next = || loop {
        match worker.recv(deadline).unwrap() {
            Event::OutputText(text) => said.push_str(&String::from_utf8_lossy(&text.bytes())),
            other => return (other, std::mem::take(&mut said)),
        }
    };
    assert!(matches!(next().0, Event::WorkerReady(_)));
    let (event, said) = next();
    let Event::InputWait(wait) = event else { panic!("{event:?}") };
    assert_eq!((&*wait.prompt, &*said), ("who? ", "from the profile\n"));
    worker.send(&Batch::stdin("me").reader(wait.reader)).unwrap();
    let mut said = String::new();
    loop {
        match worker.recv(deadline).unwrap() {
            Event::OutputText(text) => said.push_str(&String::from_utf8_lossy(&text.bytes())),
            Event::InputLine(line) => assert_eq!(line.text.as_deref(), Some("me")),
            Event::Ready(ready) => {
                assert_eq!(ready.runtime.unwrap().name, "R");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(said, "Warning message:\nw \nfirst me \n");
    worker.shutdown(Duration::from_secs(10)).unwrap();
}

#[test]
fn r3_a_profile_that_fails_does_not_stop_the_session() {
    let (_folder, launch) = with_profile("stop('bad profile')\n");
    let mut s = Session::start(launch);
    assert!(s.between_cells("bad profile").contains("Error"));
    s.says("1", "[1] 1\n");
}

#[test]
fn l5_a_profile_that_quits_is_a_failed_start() {
    let (_folder, launch) = with_profile("q(status = 4)\n");
    let mut worker = launch.spawn().unwrap();
    let ending = worker.wait(Instant::now() + LIMIT).unwrap();
    let last = ending.last.unwrap();
    assert_eq!((last.reason, last.exit_code), (EndReason::StartupFailed, Some(1)));
    assert!(last.message.unwrap().contains("profile"));
    assert_eq!(ending.status.code(), Some(1));
}

#[test]
fn r8_one_libr_is_mapped() {
    let s = r();
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", s.worker.pid())).unwrap();
    let mut paths: Vec<_> = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .filter(|path| path.ends_with("/libR.so"))
        .collect();
    paths.dedup();
    assert_eq!(paths.len(), 1, "{paths:?}");
}

#[test]
fn l1_quit_runs_last_and_finalizers() {
    let mut s = r();
    s.says(".Last <- function() cat('last\\n')\nx <- reg.finalizer(globalenv(), function(e) cat('finalizer\\n'), onexit = TRUE)", "");
    let temp = s.run("cat(tempdir())").ok().stdout;
    assert!(std::path::Path::new(&temp).is_dir());
    s.begin("plot(1); cat('going\\n'); q(status = 3); cat('never')");
    s.begin("cat('never either')");
    assert!(matches!(s.next(), Event::OutputImage(_)));
    let end = s.ended();
    assert_eq!(end.stdout, "going\nlast\nfinalizer\n");
    assert_eq!(end.ending.reason, Reason::Exit(3));
    assert!(!std::path::Path::new(&temp).exists());
}

#[test]
fn l1_shutdown_runs_last_too() {
    let mut s = r();
    s.says(".Last <- function() cat('last\\n')", "");
    s.worker.sender().ask_to_end(None).unwrap();
    let end = s.ended();
    assert_eq!((&*end.stdout, end.ending.reason), ("last\n", Reason::Shutdown { forced: false }));
}

#[test]
fn l1_a_last_that_fails_keeps_the_session() {
    let mut s = r();
    s.run(".Last <- function() stop('not yet')\nq()").failed("simpleError");
    s.says("rm(.Last); 1", "[1] 1\n");
    let id = s.begin("q('ask')");
    let wait = s.wait_for("Save workspace image? [y/n/c]: ");
    s.answer(&wait, "c");
    s.finish(&id).interrupted();
    s.begin("quit(status = 300)");
    let end = s.ended();
    assert_eq!(end.ending.last.unwrap().exit_code, Some(300));
    assert_eq!(end.ending.status.code(), Some(44));
}

#[test]
fn l2_a_crash_is_told() {
    let mut s = r();
    s.begin("f <- function(n) {tools::pskill(Sys.getpid(), 11); Sys.sleep(600)}\ncat('before\\n'); f('é')");
    let end = s.ended();
    assert_eq!(end.stdout, "before\n");
    let last = end.ending.last.unwrap();
    assert_eq!(last.reason, EndReason::Crash);
    let message = last.message.unwrap();
    assert!(message.starts_with("SIGSEGV") && message.contains(": Traceback:\n 1: "), "{message}");
    assert!(message.ends_with(": f(\"é\")"), "{message}");
}

#[test]
fn l5_no_r_is_told() {
    let launch = bare_launch("r").arg("--r-home").arg("/nonexistent");
    let mut worker = launch.spawn().unwrap();
    let ending = worker.wait(Instant::now() + LIMIT).unwrap();
    assert_ne!(ending.status.code(), Some(0));
    let told = ending.last.and_then(|last| last.message).unwrap_or_default() + &ending.stderr;
    assert!(told.contains("/nonexistent"), "{told}");
}
