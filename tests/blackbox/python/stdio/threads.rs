//! S4 and S5: background threads that read, many readers at once, and readers against printing threads.

use crate::support::harness::Session;
use crate::support::pythons::{self, for_each_python};
use std::time::Duration;
use worker_client::{Batch, Event, InputWait};

/// Starts a thread that reads once and prints what it got, and sees both its wait and the end of its cell.
fn background(s: &mut Session, read: &str) -> (String, InputWait) {
    let id = s.begin(&format!(
        "import threading, os, sys\ndef work():\n    got = {read}\n    print('got', got, flush=True)\n\
         t = threading.Thread(target=work); t.start()"
    ));
    // The wait may come before or after the end of its cell.
    let (mut wait, mut ready) = (None, false);
    while wait.is_none() || !ready {
        match s.next() {
            Event::InputWait(event) => wait = Some(event),
            Event::Ready(event) => ready = event.id.as_deref() == Some(&id),
            other => s.fail(&format!("{other:?}")),
        }
    }
    let wait = wait.expect("seen");
    assert_eq!(wait.id.as_deref(), Some(id.as_str()), "a wait names the cell that started the reader");
    (id, wait)
}

#[test]
fn s4_a_background_reader_keeps_its_wait_while_cells_go_on() {
    for_each_python(|s, _| {
        for read in ["input('bg> ')", "sys.stdin.readline().strip()", "os.read(0, 50).decode().strip()"] {
            let (_, wait) = background(s, read);
            s.says("1 + 1", "2\n");
            assert_eq!(s.status()["state"], "idle");
            assert_eq!(s.status()["background_waits"], 1);
            s.send(Batch::new("3 + 3").id("a cell"));
            assert_eq!(s.finish("a cell").ok().stdout, "6\n");
            s.answer(&wait, "hello");
            assert_eq!(s.between_cells("got hello"), "got hello\n");
            s.says("t.join()", "");
            assert_eq!(s.status()["background_waits"], 0);
        }
    });
}

#[test]
fn s4_two_threads_have_a_wait_each_and_are_answered_by_number() {
    let mut s = Session::python();
    let (_, first) = background(&mut s, "input('first ')");
    let (_, second) = background(&mut s, "input('second ')");
    assert_ne!(first.reader, second.reader);
    s.answer(&second, "b");
    s.between_cells("got b\n");
    s.answer(&first, "a");
    s.between_cells("got a\n");
}

#[test]
fn s4_what_a_background_answer_leaves_over_is_dropped() {
    for_each_python(|s, _| {
        let (_, wait) = background(s, "os.read(0, 2)");
        s.send(Batch::stdin("abcdef").reader(wait.reader));
        s.line_event();
        s.between_cells("got b'ab'");
        s.says("t.join()", "");
        let id = s.begin("input('p ')");
        let wait = s.wait_for("p ");
        s.answer(&wait, "own");
        assert_eq!(s.finish(&id).ok().stdout, "'own'\n");
    });
}

#[test]
fn s4_a_cell_and_a_background_thread_wait_at_once() {
    let mut s = Session::python();
    let (_, behind) = background(&mut s, "input('behind ')");
    let id = s.begin("input('front ')");
    let front = s.wait_for("front ");
    // Without an address the batch answers the running cell, and not the older wait behind it.
    s.send(Batch::new("for the cell"));
    s.delivered(&front, "for the cell");
    assert_eq!(s.finish(&id).ok().stdout, "'for the cell'\n");
    s.answer(&behind, "later");
    s.between_cells("got later");
}

#[test]
fn s4_an_interrupt_leaves_a_background_wait_alone() {
    let mut s = Session::python();
    let (_, wait) = background(&mut s, "input('bg ')");
    s.interrupt();
    s.bare_ready();
    let id = s.begin("print('go', flush=True)\nwhile True: pass");
    s.until_printed(&id, "go\n");
    s.interrupt();
    s.finish(&id).interrupted();
    s.answer(&wait, "still");
    s.between_cells("got still");
}

#[test]
fn s5_unaddressed_input_serves_waits_in_order_of_arrival() {
    for_each_python(|s, _| {
        let waits: Vec<_> = (0..4).map(|n| background(s, &format!("input('{n} ')")).1).collect();
        for wait in waits {
            s.send(Batch::stdin(format!("for {}", wait.reader)));
            s.delivered(&wait, &format!("for {}", wait.reader));
            s.between_cells(&format!("got for {}", wait.reader));
        }
    });
}

#[test]
fn s5_other_threads_run_while_one_waits() {
    for_each_python(|s, _| {
        let id = s.begin(
            "import threading, time\ncount = 0\nstop = False\ndef work():\n    global count\n    while not stop:\n        \
             count += 1\n        if count == 1000: print('thousand', flush=True)\n        time.sleep(0)\n\
             t = threading.Thread(target=work); t.start()\ninput('p ')\nstop = True; t.join()",
        );
        let wait = s.wait_for("p ");
        s.until_printed(&id, "thousand\n");
        s.answer(&wait, "x");
        s.finish(&id).ok();
    });
}

#[test]
fn s5_readers_against_printing_threads_never_lock_up() {
    for python in pythons::all() {
        let mut s = Session::on(python).patient(Duration::from_secs(120));
        let id = s.begin(
            "import sys, threading\nsys.setswitchinterval(1e-5)\nstop = False\ndef shout(n):\n    i = 0\n    while not stop:\n        \
             print(n, i); i += 1\n        if i % 50 == 0: sys.stdout.flush(); sys.stderr.write('.')\n\
             threads = [threading.Thread(target=shout, args=(n,)) for n in range(4)]\nfor t in threads: t.start()\n\
             total = 0\nfor i in range(300): total += int(input(f'{i}? '))\nstop = True\nfor t in threads: t.join()\nprint('total', total)",
        );
        for number in 0..300 {
            let wait = s.wait_for(&format!("{number}? "));
            s.answer(&wait, &number.to_string());
            if number % 50 == 0 {
                s.take(Some(&id));
            }
        }
        let cell = s.finish(&id).ok();
        assert!(cell.stdout.ends_with(&format!("total {}\n", 299 * 300 / 2)), "{}", python.path.display());
    }
}

#[test]
fn s5_many_threads_read_while_many_print() {
    let mut s = Session::python().patient(Duration::from_secs(120));
    let id = s.begin(
        "import sys, threading\nsys.setswitchinterval(1e-5)\nlock = threading.Lock(); total = 0\ndef ask(n):\n    global total\n    \
         for i in range(25):\n        got = int(input(f'{n}.{i} '))\n        print('read', n, i)\n        with lock: total += got\n\
         threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]\nfor t in threads: t.start()\n\
         for t in threads: t.join()\nprint('total', total)",
    );
    for _ in 0..200 {
        match s.next() {
            Event::InputWait(wait) => s.send(Batch::stdin("7").reader(wait.reader)),
            other => s.fail(&format!("{other:?}")),
        }
    }
    let cell = s.finish(&id).ok();
    assert!(cell.stdout.ends_with("total 1400\n"), "{}", cell.stdout);
    assert_eq!(cell.lines.len(), 200);
}
