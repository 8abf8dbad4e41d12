//! L1, L2 and L8: every way in which user code ends the session.

use crate::support::harness::{Session, compiled, until_dead};
use crate::support::pythons::{self, for_each_python};
use crate::support::r::r;
use crate::support::said::End;
use worker_client::{Batch, Reason};
use worker_protocol::EndReason;

/// Runs a last cell and sees the end.
#[track_caller]
fn last_cell(mut s: Session, code: &str) -> End {
    s.begin(code);
    s.ended()
}

#[test]
fn l1_every_way_to_exit_gives_its_code() {
    for python in pythons::all() {
        for (code, number) in [
            ("exit()", 0),
            ("quit()", 0),
            ("import sys; sys.exit()", 0),
            ("import sys; sys.exit(3)", 3),
            ("exit(300)", 300),
            ("raise SystemExit(-1)", -1),
            ("raise SystemExit", 0),
            ("exit(True)", 1),
            ("def f():\n    try: exit(4)\n    finally: pass\nf()", 4),
        ] {
            let end = last_cell(Session::on(python), code);
            assert_eq!(end.ending.reason, Reason::Exit(number), "{code:?}");
            assert_eq!(end.ending.status.code(), Some(number.rem_euclid(256) as i32), "{code:?}");
            assert_eq!(end.stdout + &end.stderr, "", "{code:?}");
        }
    }
}

#[test]
fn l1_an_interrupt_that_has_left_a_string_does_not_end_the_session() {
    // CPython remembers it, and ends a process that runs to its end by SIGINT.
    let raise = "try:\n    exec('raise KeyboardInterrupt')\nexcept KeyboardInterrupt:\n    pass";
    for_each_python(|_, python| {
        let mut s = Session::on(python);
        s.says(raise, "");
        s.says("import os\npid = os.fork()\nif pid:\n    print(os.waitpid(pid, 0)[1])", "0\n");
        s.says(raise, "");
        s.shutdown();

        let mut s = Session::on(python);
        s.says(&format!("import atexit\n@atexit.register\ndef last():\n    {}", raise.replace('\n', "\n    ")), "");
        let end = last_cell(s, "exit(3)");
        assert_eq!(end.ending.status.code(), Some(3), "{end:?}");
        assert!(end.ending.last.is_some(), "{end:?}");
    });
}

#[test]
fn l1_the_text_of_an_exit_goes_to_stderr() {
    for python in pythons::all() {
        let end = last_cell(Session::on(python), "raise SystemExit('the reason')");
        assert_eq!(end.ending.reason, Reason::Exit(1));
        assert_eq!((end.stdout.as_str(), end.stderr.as_str()), ("", "the reason\n"));
    }
}

#[test]
fn l1_exit_handlers_and_finalizers_run_and_are_heard() {
    for python in pythons::all() {
        let code = "import atexit, weakref, os, sys, threading\natexit.register(print, 'at exit')\nclass F: pass\nf = F(); weakref.finalize(f, print, 'finalized')\n\
                    atexit.register(lambda: os.system('echo from a child'))\natexit.register(lambda: os.write(1, b'raw\\n'))\n\
                    atexit.register(lambda: print('to stderr', file=sys.stderr))\nprint('ending', end='!')\nexit(5)";
        let end = last_cell(Session::on(python), code);
        assert_eq!(end.ending.reason, Reason::Exit(5));
        assert_eq!(end.stderr, "to stderr\n");
        let mut lines: Vec<_> = end.stdout.lines().collect();
        assert_eq!(lines.remove(0), "ending!raw");
        assert_eq!(lines, ["from a child", "finalized", "at exit"]);
    }
}

#[test]
fn l1_exit_handlers_run_at_a_shutdown_too() {
    for_each_python(|_, python| {
        let mut s = Session::on(python);
        s.says("import atexit\natexit.register(print, 'at exit')\nNone", "");
        s.worker.sender().ask_to_end(None).unwrap();
        let end = s.ended();
        assert_eq!((end.ending.reason, end.stdout.as_str()), (Reason::Shutdown { forced: false }, "at exit\n"));
    });
}

#[test]
fn l1_end_of_file_is_an_end_with_exit_handlers() {
    for_each_python(|_, python| {
        let mut s = Session::on(python);
        s.says("import atexit\natexit.register(print, 'at exit')\nNone", "");
        s.worker.sender().close().unwrap();
        let end = s.ended();
        assert_eq!((end.ending.reason, end.stdout.as_str()), (Reason::Shutdown { forced: false }, "at exit\n"));
    });
}

#[test]
fn l1_a_thread_cannot_hold_the_end_up_for_ever() {
    // Two are enough, since each waits for the worker's patience to run out.
    for python in pythons::all().iter().take(2) {
        let end = last_cell(
            Session::on(python),
            "import threading, time\nthreading.Thread(target=time.sleep, args=(100000,)).start()\nexit(2)",
        );
        assert_eq!(end.ending.reason, Reason::Exit(2), "{:?}", end.ending);
    }
}

#[test]
fn l1_an_exit_handler_cannot_hold_the_end_up_for_ever() {
    let code = "import atexit, time\natexit.register(time.sleep, 100000)\nexit(2)";
    let end = last_cell(Session::python(), code);
    assert!(matches!(end.ending.reason, Reason::Exit(2) | Reason::Shutdown { forced: true }), "{:?}", end.ending);
}

#[test]
fn l1_cells_behind_the_last_one_never_run() {
    let mut s = Session::python();
    let running = s.begin("input('p ')\nexit(6)");
    let wait = s.wait_for("p ");
    for _ in 0..3 {
        s.begin("print('never')");
    }
    s.answer(&wait, "x");
    s.take(Some(&running));
    let end = s.ended();
    assert_eq!((end.ending.reason, end.stdout.as_str()), (Reason::Exit(6), ""));
}

#[test]
fn l1_an_exit_in_a_thread_or_behind_except_is_no_end() {
    for_each_python(|s, _| {
        s.says("import threading, sys\nt = threading.Thread(target=sys.exit); t.start(); t.join()", "");
        s.says("try: exit(3)\nexcept SystemExit as e: print('kept', e.code)", "kept 3\n");
        s.says("import builtins\nlen([])", "0\n");
    });
}

#[test]
fn l1_an_exit_while_a_thread_waits_for_input_ends() {
    for python in pythons::all() {
        let mut s = Session::on(python);
        let id = s.begin("import threading\nthreading.Thread(target=input, args=('bg ',)).start()\nimport time\ntime.sleep(0)\ninput('front ')\nexit(8)");
        // Both wait; the order between them is the threads' own.
        let mut front = None;
        for _ in 0..2 {
            match s.next() {
                worker_client::Event::InputWait(wait) if wait.prompt == "front " => front = Some(wait),
                worker_client::Event::InputWait(_) => {}
                other => s.fail(&format!("{other:?}")),
            }
        }
        s.send(Batch::stdin("x").reader(front.unwrap().reader));
        s.line_event();
        let _ = id;
        let end = s.ended();
        assert_eq!(end.ending.reason, Reason::Exit(8));
    }
}

#[test]
fn l2_an_end_without_a_word_is_end_of_file() {
    for python in pythons::all() {
        let end = last_cell(Session::on(python), "print('said', flush=True)\nimport os; os._exit(7)");
        assert_eq!((end.ending.reason, end.stdout.as_str()), (Reason::Vanished(7), "said\n"));
        assert!(end.ending.last.is_none());
        let end = last_cell(Session::on(python), "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)");
        assert_eq!(end.ending.reason, Reason::Signal(libc::SIGKILL));
        assert!(end.ending.last.is_none());
    }
}

#[test]
fn l2_a_crash_is_a_death_by_its_signal() {
    for (code, signal) in [
        ("import ctypes; ctypes.memset(0, 0, 1)", libc::SIGSEGV),
        ("import os; os.abort()", libc::SIGABRT),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", libc::SIGSEGV),
    ] {
        let end = last_cell(Session::python(), &format!("print('before', flush=True)\n{code}"));
        assert_eq!((end.ending.reason, end.stdout.as_str()), (Reason::Signal(signal), "before\n"), "{code}");
    }
}

#[test]
fn l8_exec_ends_the_session_in_the_plain_way() {
    for python in pythons::all() {
        for code in ["os.execv('/bin/sh', ['sh', '-c', 'exit 9'])", "os.execlp('sh', 'sh', '-c', 'exit 9')"] {
            let end = last_cell(Session::on(python), &format!("import os\nprint('gone', flush=True)\n{code}"));
            assert_eq!((end.ending.reason, end.stdout.as_str()), (Reason::Vanished(9), "gone\n"));
            assert!(end.ending.last.is_none());
        }
    }
}

#[test]
fn l2_nothing_outlives_a_process_that_ends_itself_at_once() {
    for python in pythons::all() {
        let code = "import os, subprocess, tempfile\nchild = subprocess.Popen(['sleep', '1000'])\n\
                    print(child.pid, tempfile.gettempdir())\nos._exit(7)";
        let end = last_cell(Session::on(python), code);
        assert_eq!(end.ending.status.code(), Some(7));
        let (pid, folder) = end.stdout.trim().split_once(' ').expect("a pid and a folder");
        until_dead(pid);
        assert!(!std::path::Path::new(folder).exists(), "{folder} was left");
    }
}

#[test]
fn l1_a_library_that_calls_exit_ends_the_session_in_the_plain_way() {
    let python = "import ctypes, os\nlibc = ctypes.CDLL(None)\nprint('before', end='')\n_ = os.system('echo child')\n\
                  libc.printf(b'stdio'); libc.exit(4)";
    for interpreter in pythons::all() {
        let mut s = Session::on(interpreter);
        s.says("import tempfile; folder = tempfile.gettempdir()", "");
        let folder = s.run("print(folder)").ok().stdout;
        s.begin(python);
        let end = s.ended();
        assert_eq!(end.stdout, "beforechild\nstdio");
        let last = end.ending.last.expect("a session_end");
        assert_eq!((last.reason, last.exit_code), (EndReason::RuntimeExit, Some(4)), "{last:?}");
        assert_eq!(end.ending.status.code(), Some(4));
        assert!(!std::path::Path::new(folder.trim()).exists(), "its temporary directory is left");
    }
    // In a thread, and in a forked child, whose end is its own.
    let mut s = Session::python();
    s.says("import ctypes, os, threading\nlibc = ctypes.CDLL(None)\npid = os.fork()\nif not pid: libc.exit(3)\nos.waitpid(pid, 0)[1] >> 8", "3\n");
    s.begin("threading.Thread(target=libc.exit, args=(5,)).start()\nwhile True: pass");
    let end = s.ended();
    assert_eq!(end.ending.last.map(|last| (last.reason, last.exit_code)), Some((EndReason::RuntimeExit, Some(5))));
}

#[test]
fn l1_a_library_that_calls_exit_ends_a_session_of_r_too() {
    let source =
        "#include <stdio.h>\n#include <stdlib.h>\nvoid leave(int *status) { printf(\"stdio\"); exit(*status); }\n";
    let (_folder, library) = compiled(source);
    let mut s = r();
    s.begin(&format!("dyn.load('{}'); cat('before '); system('echo child'); .C('leave', 4L)", library.display()));
    let end = s.ended();
    assert_eq!(end.stdout, "before child\nstdio");
    let last = end.ending.last.expect("a session_end");
    assert_eq!((last.reason, last.exit_code), (EndReason::RuntimeExit, Some(4)), "{last:?}");
    assert_eq!(end.ending.status.code(), Some(4));
}

#[test]
fn l1_what_variables_hold_is_destroyed_at_the_end() {
    for python in pythons::all() {
        for code in [None, Some("import sys; sys.exit(3)")] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("file");
            let mut s = Session::on(python);
            s.says(&format!("f = open({:?}, 'w')\n_ = f.write('data')", file.display()), "");
            s.says("class D:\n    def __del__(self): print('destroyed')\nd = D()", "");
            match code {
                Some(code) => drop(s.begin(code)),
                None => s.line(r#"{"type":"shutdown"}"#),
            }
            let end = s.ended();
            assert!(end.stdout.contains("destroyed"), "{python:?} {code:?}: {:?}", end.stdout);
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "data", "{python:?} {code:?}");
        }
    }
}

#[test]
fn l1_native_code_that_ends_the_runtime_gives_its_status() {
    for python in pythons::all() {
        for (code, status) in
            [("ctypes.pythonapi.Py_Exit(6)", 6), ("ctypes.pythonapi.PyRun_SimpleString(b'import sys; sys.exit(3)')", 3)]
        {
            let mut s = Session::on(python);
            s.begin(&format!("import ctypes\nprint('before')\n{code}"));
            let end = s.ended();
            assert_eq!(end.stdout, "before\n");
            let last = end.ending.last.expect("a session_end");
            assert_eq!((last.reason, last.exit_code), (EndReason::RuntimeExit, Some(status)), "{code}: {last:?}");
            assert_eq!(end.ending.status.code(), Some(status as i32));
        }
    }
}

#[test]
fn l1_two_threads_that_call_exit_end_the_session_once() {
    for _ in 0..8 {
        let mut s = Session::python();
        s.begin(
            "import ctypes, threading, time\nlibc = ctypes.CDLL(None)\nprint('text')\n\
             for i in range(2): threading.Thread(target=libc.exit, args=(7,)).start()\ntime.sleep(100)",
        );
        let end = s.ended();
        assert_eq!(end.stdout, "text\n");
        assert_eq!(end.ending.last.map(|last| (last.reason, last.exit_code)), Some((EndReason::RuntimeExit, Some(7))));
    }
}
