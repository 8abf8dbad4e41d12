//! `--ipc-fd N`, `--ipc-fd R,W` and `--ipc stdio`: the same session over each, out of the user's reach.

use crate::support::harness::{LIMIT, Session, WORKER, launch};
use crate::support::pythons;
use std::io::Write;
use std::process::{Command, Stdio};
use worker_client::{Batch, Event, Reason, Transport};
use worker_protocol::EndReason;

const ALL: [Transport; 3] = [Transport::Socket, Transport::Pipes, Transport::Stdio];

#[test]
fn the_same_session_comes_over_every_transport() {
    for transport in ALL {
        let mut s = Session::start(launch().transport(transport));
        s.says("1 + 1", "2\n");
        let id = s.begin("input('p ')");
        let wait = s.wait_for("p ");
        s.answer(&wait, "x");
        assert_eq!(s.finish(&id).ok().stdout, "'x'\n");
        let id = s.begin("print('go', flush=True)\nwhile True: pass");
        s.until_printed(&id, "go\n");
        s.interrupt();
        s.finish(&id).interrupted();
        s.says("import os\nos.write(1, b'raw\\n') and None", "raw\n");
        assert_eq!(s.status()["state"], "idle");
    }
}

#[test]
fn nothing_that_user_code_does_to_descriptors_touches_the_channel() {
    for transport in ALL {
        for spoil in [
            "os.close(0)",
            "os.close(1)",
            "os.close(2)",
            "os.closerange(0, 3)",
            "os.dup2(os.open('/dev/null', os.O_RDWR), 1)",
            "sys.stdout.close(); sys.stderr.close(); sys.stdin.close()",
            "sys.stdout = open('/dev/null', 'w')",
        ] {
            let mut s = Session::start(launch().transport(transport));
            s.run(&format!("import os, sys\n{spoil}"));
            let id = s.begin("x = 5");
            s.finish(&id).ok();
            assert_eq!(s.status()["cells_run"], 2, "{spoil}");
            s.begin("exit(x)");
            assert_eq!(s.ended().ending.reason, Reason::Exit(5), "{spoil} over {transport:?}");
        }
    }
}

#[test]
fn cells_piped_into_stdio_all_run() {
    let mut child = Command::new(WORKER)
        .args(["--lang", "python", "--ipc", "stdio", "--python"])
        .arg(&pythons::default().path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for n in 0..50 {
        writeln!(stdin, r#"{{"type": "input_batch", "input": "print({n})", "id": "{n}"}}"#).unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let events: Vec<_> =
        output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(Event::parse).collect();
    assert!(matches!(&events[0], Event::WorkerReady(_)), "{:?}", events[0]);
    let text: String = events
        .iter()
        .filter_map(|event| if let Event::OutputText(text) = event { text.text.clone() } else { None })
        .collect();
    assert_eq!(text, (0..50).map(|n| format!("{n}\n")).collect::<String>());
    assert!(matches!(events.last(), Some(Event::SessionEnd(end)) if end.reason == EndReason::Shutdown), "{events:?}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn every_line_of_the_channel_is_one_object() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    let mut child = Command::new(WORKER)
        .args(["--lang", "python", "--ipc", "stdio", "--python"])
        .arg(&pythons::default().path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let code = r#"import threading, os, sys\nts = [threading.Thread(target=lambda: [print('x' * 999, file=f) for f in (sys.stdout, sys.stderr) for _ in range(200)]) for _ in range(4)]\nfor t in ts: t.start()\nfor i in range(300): os.write(1, b'raw\\xff')\nfor t in ts: t.join()"#;
    writeln!(child.stdin.take().unwrap(), "{{\"type\": \"input_batch\", \"input\": \"{code}\"}}").unwrap();
    let output = child.wait_with_output().unwrap();
    std::fs::write(&file, &output.stdout).unwrap();
    assert_eq!(output.stdout.last(), Some(&b'\n'));
    let mut bytes = 0;
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match Event::parse(line) {
            Event::OutputText(text) => bytes += text.bytes().len(),
            Event::Unknown(value) => panic!("{value}"),
            Event::Malformed(line) => panic!("{line}"),
            _ => {}
        }
    }
    assert_eq!(bytes, 4 * 2 * 200 * 1000 + 300 * 4);
}

#[test]
fn the_hang_up_of_the_event_side_ends_the_session() {
    // The worker keeps a request side that nobody closes; only its events can tell that the supervisor is gone.
    for code in ["while True: pass", "while True: print('x')", "import time; time.sleep(1000)", "input()"] {
        let (requests, mut to_worker) = std::io::pipe().unwrap();
        let mut command = Command::new(WORKER);
        command.args(["--lang", "python", "--ipc", "stdio", "--python"]).arg(&pythons::default().path);
        let mut child = command.stdin(Stdio::from(requests)).stdout(Stdio::piped()).spawn().unwrap();
        drop(command);
        let line = serde_json::json!({"type": "input_batch", "input": format!("print('go', flush=True)\n{code}")});
        writeln!(to_worker, "{line}").unwrap();
        let mut events = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("go\\n") {
            text.clear();
            std::io::BufRead::read_line(&mut events, &mut text).unwrap();
            assert!(!text.is_empty());
        }
        drop(events);
        let started = std::time::Instant::now();
        loop {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            if started.elapsed() > LIMIT {
                child.kill().unwrap();
                panic!("the worker stays after its event side is gone: {code}");
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        drop(to_worker);
    }
}

#[test]
fn a_supervisor_that_reads_nothing_for_a_while_loses_nothing() {
    for transport in ALL {
        let mut s = Session::start(launch().transport(transport).backlog(0));
        let id = s.begin("print('go', flush=True)\nfor i in range(200_000): print(i)");
        s.until_printed(&id, "go\n");
        // Nothing is received until the worker's main thread has come to rest at the full channel.
        s.until_asleep();
        let status = s.ask("status", serde_json::json!({}));
        s.answer_of(&status).unwrap();
        let cell = s.finish(&id).ok();
        assert!(cell.stdout.lines().skip(1).enumerate().all(|(n, line)| line == n.to_string()), "{transport:?}");
    }
}

#[test]
fn an_interrupt_acts_while_the_channel_is_full() {
    for transport in ALL {
        let mut s = Session::start(launch().transport(transport).backlog(0));
        let id = s.begin("print('go')\nwhile True: print('x' * 1000)");
        s.until_printed(&id, "go\n");
        s.until_asleep();
        s.interrupt();
        let cell = s.finish(&id).interrupted();
        assert!(cell.stdout.starts_with("go\nxxx"));
        s.says("1 + 1", "2\n");
    }
}

#[test]
fn requests_without_number_do_not_stop_a_worker_whose_answers_nobody_reads() {
    let mut s = Session::start(launch().backlog(0));
    let id = s.begin("print('go', flush=True)\nwhile True: pass");
    s.until_printed(&id, "go\n");
    // Nothing is received meanwhile. Answers wait in a bounded queue; beyond it requests get none.
    for _ in 0..30_000 {
        s.ask("status", serde_json::json!({}));
    }
    s.interrupt();
    let mut answers = 0;
    loop {
        match s.next() {
            Event::Response(_) => answers += 1,
            Event::Ready(ready) => break assert_eq!(ready.id.as_deref(), Some(id.as_str())),
            other => s.fail(&format!("{other:?}")),
        }
    }
    s.take(Some(&id));
    assert!((1..=30_000).contains(&answers), "{answers}");
    let last = s.begin("'alive'");
    loop {
        match s.next() {
            Event::Response(_) => answers += 1,
            Event::Ready(ready) => break assert_eq!(ready.id.as_deref(), Some(last.as_str())),
            other => s.fail(&format!("{other:?}")),
        }
    }
    s.take(Some(&last));
    assert!(answers <= 30_000);
}

#[test]
fn a_large_cell_is_taken_while_nobody_reads() {
    let mut s = Session::start(launch().backlog(0));
    let id = s.begin("print('go', flush=True)\nfor i in range(100_000): print(i)");
    s.until_printed(&id, "go\n");
    s.until_asleep();
    // The worker goes on reading requests, else this would never return.
    let big = format!("len('{}')", "y".repeat(8 << 20));
    s.send(Batch::cell(big).id("big"));
    s.finish(&id).ok();
    assert_eq!(s.finish("big").ok().stdout, format!("{}\n", 8 << 20));
}

#[test]
fn the_console_is_not_taken_for_a_channel() {
    let output = Command::new(WORKER).args(["--lang", "python"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let output =
        Command::new(WORKER).env("LISTEN_PID", "1").env("LISTEN_FDS", "1").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "a LISTEN_PID of another process is not for us");
}
