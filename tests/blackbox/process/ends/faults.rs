//! The fault matrix: each side is killed or stands still, in each state that a session can be in.

use crate::support::harness::{LIMIT, Session, bare_launch, launch};
use crate::support::said::text_of;
use std::path::Path;
use std::time::{Duration, Instant};
use worker_client::{Batch, Event};
use worker_protocol::Outcome;

const MIB: u64 = 1 << 20;
/// So many mebibytes are written by the test for much output; issue and hand ask for 1024.
const MUCH: &str = "WORKER_TEST_MUCH_MIB";

fn resident(s: &Session) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", s.worker.pid())).unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// A session whose supervisor reads one event ahead and no more, while nobody takes it.
fn stalling() -> Session {
    Session::start(launch().backlog(1)).patient(Duration::from_secs(120))
}

/// Until the worker stands still because nobody reads.
fn until_full(s: &mut Session) {
    let io = format!("/proc/{}/io", s.worker.pid());
    let (mut last, mut quiet) = (String::new(), 0);
    while quiet < 50 {
        s.until_asleep();
        let now = std::fs::read_to_string(&io).unwrap();
        let written = now.lines().find(|line| line.starts_with("wchar")).unwrap().to_owned();
        quiet = if written == last { quiet + 1 } else { 0 };
        last = written;
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn until_exists(path: &Path) {
    let end = Instant::now() + LIMIT;
    while !path.exists() {
        assert!(Instant::now() < end, "{path:?} never came");
        std::thread::yield_now();
    }
}

/// While nobody reads: memory stays, an interrupt acts at once, and what was accepted arrives in its order.
fn stalls(body: &str) {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("stopped");
    let mut s = stalling();
    let idle = resident(&s);
    let id = s.begin(&format!(
        "import os, sys\nn = 0\ntry:\n    while True:\n        {body}\n        n += 1\nexcept KeyboardInterrupt:\n    open({gate:?}, 'w').write(str(n))"
    ));
    until_full(&mut s);
    let grown = resident(&s).saturating_sub(idle);
    assert!(grown < 16 * MIB, "{body}: {} KiB more than when idle", grown >> 10);
    s.interrupt();
    // It acts although nobody has read anything.
    until_exists(&gate);
    let all = text_of(&s.finish(&id).ok().texts, |_| true);
    let count: usize = std::fs::read_to_string(&gate).unwrap().parse().unwrap();
    let lines: Vec<&str> = all.split_inclusive('\n').collect();
    assert!(lines.len() == count || lines.len() == count + 1, "{body}: {} lines of {count}", lines.len());
    for (n, line) in lines.iter().enumerate() {
        let whole = format!("{n}\n");
        assert!(*line == whole || (n == count && whole.starts_with(line)), "{body}: line {n} is {line:?}");
    }
    s.says("'on'", "'on'\n");
    s.shutdown();
}

#[test]
fn a_supervisor_that_stands_still_stops_prints() {
    stalls("print(n)");
    stalls("sys.stderr.write('%d\\n' % n)");
    stalls("sys.stdout.buffer.write(b'%d\\n' % n)");
}

#[test]
fn a_supervisor_that_stands_still_stops_raw_writes() {
    stalls("os.write(1, b'%d\\n' % n)");
}

#[test]
fn a_supervisor_that_stands_still_does_not_stop_threads_when_a_cell_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, beats) = (folder.path().join("full"), folder.path().join("beats"));
    let mut s = stalling();
    let id = s.begin(&format!(
        "import os, threading, time\n\
         def until_full():\n    while not os.path.exists({gate:?}): time.sleep(.001)\n\
         def write(): os.write(1, b'x' * (2 << 20) + b'all\\n')\n\
         def beat():\n    until_full()\n    with open({beats:?}, 'ab', buffering=0) as file:\n        \
         while True: file.write(b'.'); time.sleep(.001)\n\
         writer = threading.Thread(target=write)\n\
         for thread in writer, threading.Thread(target=beat, daemon=True): thread.start()\n\
         until_full()"
    ));
    until_full(&mut s);
    std::fs::write(&gate, "").unwrap();
    // The cell is over within a few beats, and its end waits for room.
    let end = Instant::now() + LIMIT;
    while std::fs::metadata(&beats).map_or(0, |file| file.len()) < 300 {
        assert!(Instant::now() < end, "the thread stands still");
        std::thread::yield_now();
    }
    // How much of it still comes before the end of the cell is a matter of chance; that it comes whole and in order is not.
    let first = s.finish(&id).ok().stdout;
    let last = s.run("writer.join()").ok().stdout;
    let between = text_of(&s.take(None).texts, |_| true);
    assert!(first + &between + &last == "x".repeat(2 << 20) + "all\n", "output is lost or mixed up");
    s.shutdown();
}

#[test]
fn status_is_answered_when_reading_resumes() {
    let mut s = stalling();
    let id = s.begin("while True: print('x' * 1000)");
    until_full(&mut s);
    let asked: Vec<_> = (0..100).map(|_| s.ask("status", serde_json::json!({}))).collect();
    s.interrupt();
    for request in &asked {
        assert!(s.answer_of(request).is_ok());
    }
    s.finish(&id).interrupted();
    s.shutdown();
}

#[test]
fn lines_that_threads_print_while_the_supervisor_stalls_are_not_mixed() {
    let mut s = stalling();
    let id = s.begin(
        "import threading\n\
         def go(k):\n    for i in range(20000): print(k, i, 'x' * 20)\n\
         all = [threading.Thread(target=go, args=(k,)) for k in range(4)]\n\
         for t in all: t.start()\nfor t in all: t.join()",
    );
    until_full(&mut s);
    let said = s.finish(&id).ok().stdout;
    let mut next = [0; 4];
    for line in said.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [thread, number, rest] = words[..] else { panic!("{line:?}") };
        let thread: usize = thread.parse().expect("a thread's number");
        assert_eq!((number, rest), (next[thread].to_string().as_str(), "xxxxxxxxxxxxxxxxxxxx"));
        next[thread] += 1;
    }
    assert_eq!(next, [20_000; 4]);
}

#[test]
fn threads_run_and_fork_while_the_main_thread_waits_for_the_supervisor() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("forked");
    let mut s = stalling();
    let id = s.begin(&format!(
        "import os, threading, time\nfull = threading.Event()\ndef fork():\n    full.wait()\n    for _ in range(100):\n        pid = os.fork()\n\
         \x20       if pid == 0: os._exit(0)\n        os.waitpid(pid, 0)\n    open({gate:?}, 'w').close()\n\
         threading.Thread(target=fork).start()\nfor n in range(3000): print('x' * 100)\nfull.set()\nwhile True: print('x' * 100)"
    ));
    until_full(&mut s);
    until_exists(&gate);
    s.interrupt();
    s.finish(&id).interrupted();
    s.shutdown();
}

#[test]
fn a_storm_of_forks_while_threads_print_neither_hangs_nor_doubles() {
    let mut s = Session::python().patient(Duration::from_secs(400));
    let cell = s.run(
        "import os, sys, threading\nsys.setswitchinterval(1e-4)\ndone = False\ncounts = [0] * 4\ndef say(k):\n    while not done:\n        sys.stdout.write(f'{k}:{counts[k]}\\n'); counts[k] += 1\n\
         threads = [threading.Thread(target=say, args=(k,)) for k in range(4)]\nfor t in threads: t.start()\n\
         bad = 0\nfor _ in range(1000):\n    pid = os.fork()\n    if pid == 0: os._exit(0)\n    bad += os.waitpid(pid, 0)[1] != 0\n\
         done = True\nfor t in threads: t.join()\nprint('bad', bad, *counts)",
    );
    let cell = cell.ok();
    let (lines, last) = cell.stdout.trim_end().rsplit_once('\n').unwrap();
    let mut said = [0_usize; 4];
    for line in lines.lines() {
        let (k, n) = line.split_once(':').unwrap();
        let count = &mut said[k.parse::<usize>().unwrap()];
        assert_eq!(n, count.to_string(), "thread {k}");
        *count += 1;
    }
    let [a, b, c, d] = said;
    assert_eq!(last, format!("bad 0 {a} {b} {c} {d}"));
    s.shutdown();
}

#[test]
fn forked_children_that_print_say_everything_once() {
    let mut s = Session::python().patient(Duration::from_secs(120));
    let cell = s.run(
        "import os\nprint('before', end=' ')\nfor n in range(200):\n    pid = os.fork()\n    if pid == 0:\n        print(n)\n        os._exit(0)\n    os.waitpid(pid, 0)",
    );
    let wanted: String = (0..200).map(|n| format!("{n}\n")).collect();
    // A child that leaves by os._exit flushes nothing at the prompt either; whole lines it has written.
    assert_eq!(cell.ok().stdout, format!("before {wanted}"));
    s.shutdown();
}

#[test]
fn after_much_output_memory_is_what_it_was() {
    let much: u64 = std::env::var(MUCH).ok().and_then(|much| much.parse().ok()).unwrap_or(64);
    let mut s = Session::python().patient(Duration::from_secs(600));
    // The first cell brings up what every cell needs.
    s.says("'x'", "'x'\n");
    let idle = resident(&s);
    for code in ["print(line)", "os.write(1, line.encode())", "sys.stdout.buffer.write(b'\\xff' * 1000)"] {
        let times = much * MIB / 1000;
        s.send(Batch::cell(format!("import os, sys\nline = 'z' * 999\nfor _ in range({times}): {code}")).id("much"));
        let mut bytes = 0;
        loop {
            match s.worker.recv_timeout(LIMIT) {
                Ok(Event::OutputText(text)) => bytes += text.bytes().len() as u64,
                Ok(Event::Ready(ready)) => break assert_eq!(ready.outcome, Some(Outcome::Ok)),
                other => s.fail(&format!("{other:?}")),
            }
        }
        assert!(bytes >= times * 999, "{code}: {bytes} of {times} lines");
        let grown = resident(&s).saturating_sub(idle);
        assert!(grown < 4 * MIB, "{code}: {} KiB more than before", grown >> 10);
    }
    s.shutdown();
}

#[test]
fn a_plot_that_waits_for_the_supervisor_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("stopped");
    let mut s = Session::start(bare_launch("r").backlog(1));
    s.send(
        Batch::cell(format!("tryCatch(repeat plot(1), interrupt = function(e) cat(file = {gate:?}, 'stopped'))"))
            .id("plots"),
    );
    until_full(&mut s);
    s.interrupt();
    // It acts although nobody has read anything.
    until_exists(&gate);
    loop {
        match s.worker.recv_timeout(LIMIT) {
            Ok(Event::OutputImage(_)) => {}
            Ok(Event::Ready(ready)) => break assert_eq!(ready.outcome, Some(Outcome::Ok)),
            other => s.fail(&format!("{other:?}")),
        }
    }
    s.shutdown();
}
