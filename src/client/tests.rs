//! The library against made-up workers: shell scripts that speak the protocol on stdin and stdout.

use super::*;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);
const HELLO: &str = r#"
echo '{"type":"worker_ready","protocol":{"name":"interpreter-worker","version":1},"worker":{"name":"w","version":"0"}}'
echo '{"type":"output_text","stream":"stdout","text":"profile"}'
echo '{"type":"ready","startup_ms":1}'
"#;

fn script(body: &str) -> Launch {
    let script = format!("{HELLO}{body}");
    Launch::python().through(["sh", "-c", &script]).transport(Transport::Stdio).keep_stderr()
}

#[test]
fn the_start_keeps_what_a_profile_printed() {
    let (mut worker, hello, ready) = script("read line").start(LONG).unwrap();
    assert_eq!(hello.protocol.name, "interpreter-worker");
    assert_eq!(ready.startup_ms, Some(1.0));
    assert!(matches!(worker.recv_timeout(LONG), Ok(Event::OutputText(_))));
}

#[test]
fn a_call_keeps_the_events_that_come_before_its_answer() {
    let body = r#"read line
echo '{"type":"input_wait","prompt":"p","reader":1}'
echo '{"jsonrpc":"2.0","id":"call-1","result":{"state":"busy"}}'
echo '{"jsonrpc":"2.0","id":"call-2","error":{"code":-32002,"message":"busy"}}'
read line; read line"#;
    let (mut worker, ..) = script(body).start(LONG).unwrap();
    let status = worker.call("status", serde_json::json!({}), LONG).unwrap();
    assert_eq!(status["state"], "busy");
    let refused = worker.call("complete", serde_json::json!({}), LONG).unwrap_err();
    assert!(matches!(refused, CallError::Refused(error) if error.code == -32002));
    assert!(matches!(worker.recv_timeout(LONG), Ok(Event::OutputText(_))));
    assert!(matches!(worker.recv_timeout(LONG), Ok(Event::InputWait(_))));
}

#[test]
fn an_orderly_end_is_told_with_its_code_and_events_before_it_stay() {
    let body = r#"echo '{"type":"output_text","stream":"stdout","text":"bye"}'
echo '{"type":"session_end","reason":"runtime_exit","exit_code":3}'; echo aside >&2; exit 3"#;
    let (mut worker, ..) = script(body).start(LONG).unwrap();
    let ending = worker.wait(Instant::now() + LONG).unwrap();
    assert_eq!(ending.reason, Reason::Exit(3));
    assert_eq!(ending.stderr, "aside\n");
    let kinds: Vec<_> = worker.events().collect();
    assert!(matches!(kinds[..], [Event::OutputText(_), Event::OutputText(_), Event::SessionEnd(_)]));
    assert_eq!(worker.recv_timeout(LONG), Err(NoEvent::Closed));
    assert_eq!(worker.wait(Instant::now()).unwrap().reason, Reason::Exit(3));
}

#[test]
fn a_start_that_fails_says_why() {
    let launch = Launch::python().through(["sh", "-c", "echo 'no python here' >&2; exit 2"]).keep_stderr();
    let Err(StartError::Ended(ending)) = launch.start(LONG) else { panic!("it started") };
    assert_eq!(ending.reason, Reason::StartupFailed("no python here".into()));
    assert!(matches!(Launch::python().program("/no/such/worker").spawn(), Err(LaunchError::Program { .. })));
}

#[test]
fn one_that_will_not_end_is_killed_with_its_children() {
    let body = "trap '' TERM; sleep 1000 & echo '{\"type\":\"child\",\"pid\":'$!'}'; while :; do wait; done";
    let (mut worker, ..) = script(body).start(LONG).unwrap();
    let child = loop {
        if let Event::Unknown(value) = worker.recv_timeout(LONG).unwrap() {
            break value["pid"].as_i64().unwrap();
        }
    };
    let ending = worker.shutdown(Duration::ZERO).unwrap();
    assert_eq!(ending.reason, Reason::Killed(libc::SIGKILL));
    // The signal is sent; the system may take a moment to carry it out.
    let start = std::time::Instant::now();
    loop {
        match std::fs::read_to_string(format!("/proc/{child}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => assert!(start.elapsed() < LONG, "the child outlived its group"),
            _ => break,
        }
    }
}

#[test]
fn a_death_by_another_hand_is_told_from_our_own() {
    let (mut worker, ..) = script("kill -SEGV $$").start(LONG).unwrap();
    assert_eq!(worker.wait(Instant::now() + LONG).unwrap().reason, Reason::Signal(libc::SIGSEGV));
    let (mut worker, ..) = script("exec sleep 1000").start(LONG).unwrap();
    worker.signal(libc::SIGTERM);
    assert_eq!(worker.wait(Instant::now() + LONG).unwrap().reason, Reason::Killed(libc::SIGTERM));
}

#[test]
fn events_are_not_lost_when_nobody_receives_for_a_while() {
    let body = r#"i=0; while [ $i -lt 3000 ]; do echo '{"type":"n","n":'$i'}'; i=$((i+1)); done"#;
    let (mut worker, ..) = script(body).backlog(1).start(LONG).unwrap();
    worker.wait(Instant::now() + LONG).unwrap();
    let numbers: Vec<_> = worker
        .events()
        .filter_map(|event| match event {
            Event::Unknown(value) => value["n"].as_u64(),
            _ => None,
        })
        .collect();
    assert!(numbers.into_iter().eq(0..3000));
}
