//! I1, I2, I4, I5: an interrupt stops what runs, once, and the session stays usable.

use crate::support::harness::{Session, compiled};
use crate::support::pythons::for_each_python;
use std::time::{Duration, Instant};
use worker_client::Batch;
use worker_protocol::Outcome;

/// Runs code that never ends, interrupts it when it has said `go`, and sees that the next cell is spared.
#[track_caller]
fn stops(s: &mut Session, code: &str, sleeps: bool) {
    let id = s.begin(&format!("print('go', flush=True)\n{code}"));
    s.until_printed(&id, "go\n");
    if sleeps {
        s.until_asleep();
    }
    s.interrupt();
    let cell = s.finish(&id).interrupted();
    assert!(cell.stderr.contains("KeyboardInterrupt"), "{code:?}: {}", cell.stderr);
    s.says("1 + 1", "2\n");
}

#[test]
fn i1_computation_is_interrupted() {
    for_each_python(|s, _| {
        stops(s, "while True: pass", false);
        stops(s, "for i in iter(int, 1): pass", false);
        stops(s, "x = sorted(range(10**5), key=lambda i: [0 for _ in iter(int, 1)])", false);
        stops(
            s,
            "def f():\n    while True:\n        try: g()\n        except ZeroDivisionError: pass\ndef g(): 1/0\nf()",
            false,
        );
        stops(s, "class A:\n    def __repr__(self):\n        while True: pass\nA()", false);
    });
}

#[test]
fn i1_a_library_that_handles_the_signal_and_passes_it_on_does_no_harm() {
    // One that needs more of a stack than the alternate one has, and has not asked to run there.
    let source = "#include <signal.h>\n#include <string.h>\n\
        static struct sigaction before; static int count;\n\
        static void handle(int s, siginfo_t *i, void *c) {\n    volatile char room[200 << 10];\n    \
            memset((char *) room, s, sizeof room);\n    count += room[100] == s;\n    \
            if (before.sa_flags & SA_SIGINFO) before.sa_sigaction(s, i, c); else before.sa_handler(s);\n}\n\
        int seen(void) { return count; }\n\
        void begin(void) {\n    struct sigaction a = {0};\n    a.sa_flags = SA_RESTART | SA_SIGINFO;\n    \
            a.sa_sigaction = handle; sigaction(SIGINT, &a, &before);\n}\n";
    let (_folder, library) = compiled(source);
    for_each_python(|s, _| {
        s.says(&format!("import ctypes, time; chain = ctypes.CDLL({:?})\n_ = chain.begin()", library), "");
        for _ in 0..3 {
            stops(s, "time.sleep(60)", true);
            stops(s, "while True: pass", false);
        }
        s.says("chain.seen()", "6\n");
        let signalled = s.begin("print('go', flush=True); time.sleep(60)");
        s.until_printed(&signalled, "go\n");
        s.until_asleep();
        assert!(s.worker.signal(libc::SIGINT));
        s.finish(&signalled).interrupted();
        s.says("chain.seen()", "7\n");
    });
}

#[test]
fn i1_interrupts_in_destructors_and_callbacks_are_not_lost() {
    // All but a little of the time is spent where CPython drops an exception, after "Exception ignored in".
    let work = "for _ in range(1000): pass";
    for_each_python(|s, _| {
        for code in [
            format!("class A:\n    def __del__(self):\n        {work}\nprint('go', flush=True)\nwhile True: A()"),
            format!(
                "import weakref\nclass A: pass\ndef f(_):\n    {work}\nprint('go', flush=True)\nwhile True:\n    a = A(); r = weakref.ref(a, f); del a"
            ),
            format!(
                "import ctypes\n@ctypes.CFUNCTYPE(None)\ndef f():\n    {work}\nprint('go', flush=True)\nwhile True: f()"
            ),
        ] {
            for _ in 0..10 {
                let id = s.begin(&code);
                s.until_printed(&id, "go\n");
                s.interrupt();
                let cell = s.finish(&id).interrupted();
                assert!(!cell.stderr.contains("ignored"), "{}", cell.stderr);
                s.says("1", "1\n");
            }
        }
        // What no interrupt has caused is dropped as ever.
        let said = s.run("class B:\n    def __del__(self): raise KeyboardInterrupt\nB(); 'on'").ok();
        assert_eq!(said.stdout, "'on'\n");
        assert!(said.stderr.contains("Exception ignored"), "{}", said.stderr);
        s.says("import sys; sys.unraisablehook is sys.__unraisablehook__", "True\n");
    });
}

#[test]
fn i1_sleeps_and_locks_are_interrupted() {
    for_each_python(|s, _| {
        s.says("import time, queue, threading, asyncio, select, socket, signal, os", "");
        for code in [
            "time.sleep(60)",
            "queue.Queue().get()",
            "lock = threading.Lock(); lock.acquire(); lock.acquire()",
            "threading.Event().wait()",
            "threading.Condition().acquire() and threading.Event().wait(60)",
            "t = threading.Thread(target=time.sleep, args=(60,), daemon=True); t.start(); t.join()",
            "asyncio.run(asyncio.sleep(60))",
            "await asyncio.sleep(60)",
            "select.select([], [], [], 60)",
            "r, w = os.pipe(); os.read(r, 1)",
            "a, b = socket.socketpair(); a.recv(1)",
            "signal.pause()",
        ] {
            stops(s, code, true);
        }
        s.says("await asyncio.sleep(0, 'the loop lives')", "'the loop lives'\n");
        s.says("asyncio.run(asyncio.sleep(0, 'so does run'))", "'so does run'\n");
    });
}

#[test]
fn i1_children_are_interrupted_too() {
    for_each_python(|s, _| {
        s.says("import subprocess, os", "");
        for code in [
            "print('go', flush=True); subprocess.run(['sleep', '60'])",
            "print('go', flush=True); p = subprocess.Popen(['sleep', '60']); p.wait()",
            "subprocess.check_output('echo go >&2; sleep 60; true', shell=True)",
            "subprocess.run(['sh', '-c', 'echo go; while :; do sleep 60; done'])",
            "os.system('echo go; exec sleep 60')",
            "os.popen('echo go >&2; exec sleep 60').read()",
            "import multiprocessing as mp, time\np = mp.get_context('fork').Process(target=lambda: (print('go', flush=True), time.sleep(60))); p.start(); p.join()",
        ] {
            let id = s.begin(code);
            s.until_printed(&id, "go\n");
            s.until_asleep();
            s.interrupt();
            s.finish(&id).interrupted();
            // A child of Python's tells of its own interrupt, maybe later.
            assert_eq!(s.run("1 + 1").ok().stdout, "2\n");
        }
        s.run("p.join(10)").ok();
        s.take(None);
    });
}

#[test]
fn i1_waits_for_input_are_interrupted() {
    for_each_python(|s, _| {
        s.says("import os, sys, select", "");
        for code in [
            "input()",
            "sys.stdin.readline()",
            "sys.stdin.read()",
            "sys.stdin.buffer.read(4)",
            "os.read(0, 1)",
            "select.select([0], [], [])",
            "open(0, closefd=False).read()",
        ] {
            let id = s.begin(code);
            s.wait_for("");
            s.interrupt();
            let cell = s.finish(&id).interrupted();
            assert!(cell.stderr.contains("KeyboardInterrupt"), "{code:?}: {}", cell.stderr);
            s.says("1 + 1", "2\n");
        }
    });
}

#[test]
fn i1_numpy_is_interrupted_where_it_is_installed() {
    for_each_python(|s, _| {
        let found = s.run("import importlib.util\nprint(importlib.util.find_spec('numpy') is not None)").ok().stdout;
        if found == "True\n" {
            s.says("import numpy as np\na = np.random.rand(60, 60)", "");
            stops(s, "while True: a = a @ a / np.linalg.norm(a)", false);
            s.says("a.shape", "(60, 60)\n");
        }
    });
}

#[test]
fn i2_after_an_interrupt_at_a_wait_the_next_batch_is_a_cell() {
    for_each_python(|s, _| {
        for code in ["input('p ')", "import sys\nprint('p ', end='')\nsys.stdin.readline()"] {
            let id = s.begin(code);
            match s.next() {
                worker_client::Event::InputWait(_) => {}
                other => s.fail(&format!("{other:?}")),
            }
            s.interrupt();
            s.finish(&id).interrupted();
            s.send(Batch::new("40 + 2"));
            assert_eq!(s.finish_unnamed().ok().stdout, "42\n");
        }
    });
}

#[test]
fn i4_an_interrupt_that_user_code_catches_is_over() {
    for_each_python(|s, _| {
        let id = s.begin(
            "try:\n    print('go', flush=True)\n    while True: pass\nexcept KeyboardInterrupt:\n    print('caught')",
        );
        s.until_printed(&id, "go\n");
        s.interrupt();
        assert_eq!(s.finish(&id).ok().stdout, "go\ncaught\n");
        s.says("1 + 1", "2\n");
    });
}

#[test]
fn i4_interrupts_in_awkward_places_leave_the_session_usable() {
    for_each_python(|s, _| {
        s.says("import sys, contextlib, gc", "");
        let spin = "spin()";
        s.says("def spin():\n    global spinning\n    if spinning:\n        spinning = False\n        print('go', flush=True)\n        while True: pass", "");
        for code in [
            format!("if 1:\n    try: 1/0\n    finally:\n        {spin}"),
            format!(
                "class C:\n    def __enter__(self): pass\n    def __exit__(self, *a):\n        {spin}\nwith C(): pass"
            ),
            format!("class I:\n    def __iter__(self):\n        {spin}\nlist(I())"),
            format!("class M:\n    def __getattr__(self, name):\n        {spin}\nM().x"),
            format!("class E(Exception):\n    def __str__(self):\n        {spin}\nraise E()"),
            format!("class D:\n    def __del__(self):\n        {spin}\nd = D()\ndel d\n1"),
            format!(
                "import weakref\nclass W:\n    pass\nw = W()\nif 1:\n    def gone(_):\n        {spin}\nr = weakref.ref(w, gone)\ndel w"
            ),
            format!("if 1:\n    def hook(*a):\n        {spin}\nsys.excepthook = hook\n1/0"),
            format!("if 1:\n    def shown(v):\n        {spin}\nsys.displayhook = shown\n1"),
        ] {
            s.says("spinning = True", "");
            let id = s.begin(&code);
            s.until_printed(&id, "go\n");
            s.interrupt();
            let cell = s.finish(&id);
            assert_ne!(cell.ready.outcome, Some(Outcome::Discarded));
            s.says("sys.excepthook = sys.__excepthook__; sys.displayhook = sys.__displayhook__", "");
            s.says("1 + 1", "2\n");
        }
    });
}

#[test]
fn i4_an_import_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("spins.py"), "print('go', flush=True)\nwhile True: pass\n").unwrap();
    for_each_python(|s, _| {
        s.says(&format!("import sys\nsys.path.insert(0, {:?})", folder.path()), "");
        let id = s.begin("import spins");
        s.until_printed(&id, "go\n");
        s.interrupt();
        s.finish(&id).interrupted();
        s.says("'spins' in sys.modules", "False\n");
        s.says("import json; json.dumps(1)", "'1'\n");
    });
}

#[test]
fn i5_message_and_signal_together_are_one_interrupt() {
    for_each_python(|s, _| {
        s.says("import time", "");
        for signal_first in [true, false] {
            let id = s.begin(
                "hits = 0\ntry:\n    print('go', flush=True)\n    while True: pass\nexcept KeyboardInterrupt: hits += 1\n\
                 try: time.sleep(0.3)\nexcept KeyboardInterrupt: hits += 1\nprint('hits', hits)",
            );
            s.until_printed(&id, "go\n");
            if signal_first {
                assert!(s.worker.signal(libc::SIGINT));
            }
            s.interrupt();
            if !signal_first {
                assert!(s.worker.signal(libc::SIGINT));
            }
            assert_eq!(s.finish(&id).ok().stdout, "go\nhits 1\n");
            s.status();
            s.says("1 + 1", "2\n");
        }
    });
}

#[test]
fn i5_a_message_after_the_signal_that_stopped_the_cell_is_answered_by_its_end() {
    for _ in 0..20 {
        let mut s = Session::python();
        let id = s.begin("print('go', flush=True)\nwhile True: pass");
        s.until_printed(&id, "go\n");
        let start = Instant::now();
        assert!(s.worker.signal(libc::SIGINT));
        s.finish(&id).interrupted();
        s.interrupt();
        s.status();
        // On a machine that stood still they are two.
        if start.elapsed() < Duration::from_millis(100) {
            s.says("1 + 1", "2\n");
            // The next message is another interrupt.
            s.interrupt();
            s.bare_ready();
            return;
        }
    }
}

#[test]
fn i5_a_signal_alone_stops_the_cell_and_says_nothing_when_idle() {
    for_each_python(|s, _| {
        let id = s.begin("print('go', flush=True)\nwhile True: pass");
        s.until_printed(&id, "go\n");
        assert!(s.worker.signal(libc::SIGINT));
        s.finish(&id).interrupted();
        assert!(s.worker.signal(libc::SIGINT));
        s.status();
        s.says("1 + 1", "2\n");
    });
}

#[test]
fn a_keyboard_interrupt_of_the_users_own_keeps_the_queue() {
    for_each_python(|s, _| {
        let first = s.begin("raise KeyboardInterrupt");
        let second = s.begin("'kept'");
        s.finish(&first).interrupted();
        assert_eq!(s.finish(&second).ok().stdout, "'kept'\n");
        let id = s.begin("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass");
        s.finish(&id).interrupted();
        s.says("1 + 1", "2\n");
    });
}

#[test]
fn a_handler_of_the_users_own_gets_the_interrupt() {
    for_each_python(|s, _| {
        let id = s.begin(
            "import signal\nstop = False\ndef mine(*a):\n    global stop; stop = True; print('mine')\n\
             old = signal.signal(signal.SIGINT, mine)\nprint('go', flush=True)\nwhile not stop: pass\nsignal.signal(signal.SIGINT, old)\nprint('over')",
        );
        s.until_printed(&id, "go\n");
        s.interrupt();
        assert_eq!(s.finish(&id).ok().stdout, "go\nmine\nover\n");
        stops(s, "while True: pass", false);
    });
}
