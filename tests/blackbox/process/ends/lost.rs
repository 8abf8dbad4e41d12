//! I1 and I3: an interrupt that comes at a bad moment is neither lost nor kept for the next cell.

use crate::support::harness::{Session, launch};
use crate::support::pythons::for_each_python;
use crate::support::random::Random;
use std::time::Duration;

const PATIENT: Duration = Duration::from_secs(150);
/// A thread that takes signals as the main one does.
const THREAD: &str =
    "import subprocess, threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()";

#[test]
fn i1_a_signal_that_another_thread_takes_is_not_lost() {
    // While a child is started the main thread blocks signals, and the other one takes them.
    let mut s = Session::start(launch()).patient(PATIENT);
    s.says(THREAD, "");
    for _ in 0..100 {
        let id = s.begin("print('go', flush=True)\nwhile True: subprocess.run(['true'])");
        s.until_printed(&id, "go\n");
        s.worker.signal(libc::SIGINT);
        s.finish(&id).interrupted();
        s.says("1 + 1", "2\n");
    }
}

#[test]
fn i3_a_signal_that_another_thread_takes_spares_the_next_cell() {
    let mut s = Session::start(launch()).patient(PATIENT);
    s.says(THREAD, "");
    let mut random = Random::new(11);
    for round in 0..300 {
        let id = s.begin("while True: pass");
        if random.below(2) == 0 {
            s.interrupt();
            s.worker.signal(libc::SIGINT);
        } else {
            s.worker.signal(libc::SIGINT);
            s.interrupt();
        }
        // The answer to what was stopped; then, if the cell had not begun, a bare one.
        s.end_past_bare(&id);
        s.take(Some(&id));
        let spared = s.begin("sum(range(20_000))");
        let outcome = s.end_past_bare(&spared).outcome;
        assert_eq!(outcome, Some(worker_protocol::Outcome::Ok), "round {round}: struck");
        s.take(Some(&spared));
    }
}

#[test]
fn i1_an_interrupt_that_cannot_be_raised_comes_again() {
    for_each_python(|s, _| {
        // What `__del__` raises is printed and forgotten, by Python alone.
        s.says("import os, time, weakref\nclass A:\n    def __del__(self):\n        print('go', flush=True)\n        time.sleep(60)", "");
        let id = s.begin("a = A(); del a\ntime.sleep(60)");
        s.until_printed(&id, "go\n");
        s.interrupt();
        let cell = s.finish(&id).interrupted();
        assert!(cell.stderr.ends_with("KeyboardInterrupt\n") && !cell.stderr.contains("ignored"), "{}", cell.stderr);
        // One that the user raises there is none of ours.
        let cell = s.run("class B:\n    def __del__(self): raise KeyboardInterrupt\nb = B(); del b").ok();
        assert!(cell.stderr.contains("ignored"), "{}", cell.stderr);
    });
}

#[test]
fn i1_an_interrupt_around_a_fork_is_not_lost() {
    let mut s = Session::start(launch()).patient(PATIENT);
    s.says("import os, logging\nfor _ in range(200): os.register_at_fork(before=lambda: None)", "");
    for _ in 0..30 {
        let id = s.begin(
            "print('go', flush=True)\nwhile True:\n    if (pid := os.fork()) == 0: os._exit(0)\n    os.waitpid(pid, 0)",
        );
        s.until_printed(&id, "go\n");
        // A signal, which the children do not get.
        s.worker.signal(libc::SIGINT);
        let cell = s.finish(&id).interrupted();
        assert!(!cell.stderr.contains("ignored"), "{}", cell.stderr);
    }
}

#[test]
fn i1_an_interrupt_does_not_take_the_loop_of_await_apart() {
    let mut s = Session::start(launch()).patient(PATIENT);
    // A coroutine that was made and not awaited yet is told of.
    s.says("import asyncio, warnings; warnings.simplefilter('ignore')", "");
    let cells = [
        "while True: await asyncio.sleep(0)",
        "while True: await asyncio.gather(*[asyncio.sleep(0) for _ in range(3)])",
        "q = asyncio.Queue()\nasync def put():\n    while True:\n        await q.put(1)\n        await asyncio.sleep(0)\n\
         t = asyncio.create_task(put())\ntry:\n    while True: await q.get()\nfinally: t.cancel()",
    ];
    for round in 0..150 {
        let id = s.begin(&format!("print('go', flush=True)\n{}", cells[round % cells.len()]));
        s.until_printed(&id, "go\n");
        s.interrupt();
        s.finish(&id).interrupted();
        s.says("await asyncio.sleep(0, 'the loop lives')", "'the loop lives'\n");
    }
}

#[test]
fn i1_an_interrupt_while_a_task_is_made_does_not_take_it_from_the_loop() {
    for_each_python(|s, _| {
        s.says("import asyncio, gc, warnings; warnings.simplefilter('ignore')", "");
        for _ in 0..20 {
            let id = s.begin(
                "print('go', flush=True)\nwhile True:\n    for _ in range(100): asyncio.create_task(asyncio.sleep(0))\n    \
                 await asyncio.sleep(0)",
            );
            s.until_printed(&id, "go\n");
            s.interrupt();
            s.finish(&id).interrupted();
            let pending = "{task for task in gc.get_objects() if isinstance(task, asyncio.Task) and not task.done()}";
            s.says(&format!("{pending} - asyncio.all_tasks(asyncio.get_event_loop())"), "set()\n");
            s.says("await asyncio.sleep(0)", "");
        }
    });
}

#[test]
fn p5_an_interrupted_await_shows_where_it_was() {
    for_each_python(|s, _| {
        s.says("import asyncio", "");
        let id = s.begin("async def f():\n    print('go', flush=True)\n    await asyncio.sleep(60)\nawait f()");
        s.until_printed(&id, "go\n");
        s.until_asleep();
        s.interrupt();
        let cell = s.finish(&id).interrupted();
        assert!(cell.stderr.contains(", line 3, in f\n"), "{}", cell.stderr);
        assert!(!cell.stderr.contains("run_until_complete") && !cell.stderr.contains("Cancelled"), "{}", cell.stderr);
    });
}
