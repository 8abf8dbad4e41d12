//! L2: the last words of a process that dies by a fault: every byte before, `session_end`, and the true wait status.

use crate::support::harness::{Session, compiled, launch, launch_on, until_dead};
use crate::support::pythons::{self, for_each_python};
use crate::support::r::r;
use std::os::unix::process::ExitStatusExt;
use worker_client::{Event, Reason};
use worker_protocol::EndReason;

/// Says much on every way there is, without a flush, and then dies of `code`.
fn dying(code: &str) -> String {
    format!(
        "import ctypes, mmap, os, signal, sys, threading, time\nfor n in range(3000): print(n)\nos.write(1, b'raw\\n')\n\
         ctypes.CDLL(None).printf(b'stdio\\n')\nprint('last', end='')\n{code}"
    )
}

/// What `dying` prints.
fn everything() -> String {
    (0..3000).map(|n| format!("{n}\n")).collect::<String>() + "raw\nstdio\nlast"
}

fn is_told(mut s: Session, code: &str, signal: i32, name: &str) {
    s.begin(&dying(code));
    let end = s.ended();
    assert_eq!(end.stdout, everything(), "{code}");
    let last = end.ending.last.expect("a session_end");
    assert_eq!((last.reason, last.signal.as_deref()), (EndReason::Crash, Some(name)), "{code}");
    assert_eq!(end.ending.status.signal(), Some(signal), "{code}");
    assert_eq!(end.ending.reason, Reason::Signal(signal), "{code}");
}

#[test]
fn l2_each_fault_is_told_and_is_the_process_s_death() {
    let by_hand = |name| format!("signal.raise_signal(signal.{name}); time.sleep(100)");
    let beyond = "import tempfile\nf = tempfile.TemporaryFile(); f.truncate(4096); m = mmap.mmap(f.fileno(), 4096); f.truncate(0); m[0]";
    for (code, signal, name) in [
        ("ctypes.memset(0, 0, 1)".to_owned(), libc::SIGSEGV, "SIGSEGV"),
        ("ctypes.PyDLL(None).memset(0, 0, 1)".to_owned(), libc::SIGSEGV, "SIGSEGV"),
        (beyond.to_owned(), libc::SIGBUS, "SIGBUS"),
        (by_hand("SIGFPE"), libc::SIGFPE, "SIGFPE"),
        (by_hand("SIGILL"), libc::SIGILL, "SIGILL"),
        (by_hand("SIGSYS"), libc::SIGSYS, "SIGSYS"),
        ("os.abort()".to_owned(), libc::SIGABRT, "SIGABRT"),
    ] {
        is_told(Session::python(), &code, signal, name);
    }
}

#[test]
fn l2_a_signal_that_nobody_handles_is_told_too() {
    let timer = |name, which| format!("signal.setitimer(signal.{which}, 0.01)\nwhile True: pass  # {name}");
    for (code, signal, name) in [
        (timer("SIGALRM", "ITIMER_REAL"), libc::SIGALRM, "SIGALRM"),
        (timer("SIGVTALRM", "ITIMER_VIRTUAL"), libc::SIGVTALRM, "SIGVTALRM"),
        (timer("SIGPROF", "ITIMER_PROF"), libc::SIGPROF, "SIGPROF"),
    ] {
        is_told(Session::python(), &code, signal, name);
    }
    for (signal, name) in [
        (libc::SIGQUIT, "SIGQUIT"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGUSR1, "SIGUSR1"),
        (libc::SIGUSR2, "SIGUSR2"),
        (libc::SIGXCPU, "SIGXCPU"),
    ] {
        is_told(
            Session::python(),
            "os.kill(os.getpid(), SIGNAL); time.sleep(100)".replace("SIGNAL", &signal.to_string()).as_str(),
            signal,
            name,
        );
    }
    let mut s = r();
    s.begin("cat('last'); tools::pskill(Sys.getpid(), tools::SIGUSR1); Sys.sleep(100)");
    let end = s.ended();
    assert_eq!((end.stdout.as_str(), end.ending.reason), ("last", Reason::Signal(libc::SIGUSR1)));
    assert_eq!(end.ending.last.and_then(|last| last.signal).as_deref(), Some("SIGUSR1"));
}

#[test]
fn l2_a_default_that_is_set_back_has_last_words() {
    for_each_python(|_, python| {
        let set_and_back = "import signal\nfor n in (signal.SIGALRM, signal.SIGTERM):\n    \
                            old = signal.signal(n, lambda *a: 0); _ = signal.signal(n, old)";
        let mut s = Session::on(python);
        s.says(set_and_back, "");
        is_told(s, "signal.alarm(1); time.sleep(100)", libc::SIGALRM, "SIGALRM");
        let mut s = Session::on(python);
        s.says(set_and_back, "");
        assert!(s.worker.signal(libc::SIGTERM));
        let last = s.ended().ending.last.expect("a session_end");
        assert_eq!((last.reason, last.message.as_deref()), (EndReason::Shutdown, Some("SIGTERM")));
    });
}

#[test]
fn p10_signals_are_handled_as_at_the_prompt() {
    let all = "import signal\nprint({s.name: str(signal.getsignal(s)) for s in signal.Signals if s != signal.SIGINT})";
    for_each_python(|s, python| {
        s.says(all, &python.prints(all));
        let code = "for n in signal.Signals:\n    if n not in (signal.SIGKILL, signal.SIGSTOP):\n        \
                    old = signal.signal(n, lambda *a: None); signal.raise_signal(n); _ = signal.signal(n, old)";
        s.says(code, "");
    });
    // What was ignored from the start still is.
    for python in pythons::all() {
        let launch = launch_on(python).through(["sh", "-c", "trap '' QUIT USR1; exec \"$@\"", "sh"]);
        let mut s = Session::start(launch);
        s.says("import signal\nsignal.getsignal(signal.SIGUSR1) is signal.SIG_IGN", "True\n");
        s.says("signal.raise_signal(signal.SIGUSR1), signal.raise_signal(signal.SIGQUIT)", "(None, None)\n");
    }
}

#[test]
fn l2_a_faulthandler_of_the_users_environment_prints_and_the_crash_is_told() {
    for python in pythons::all() {
        let mut s = Session::start(launch_on(python).env("PYTHONFAULTHANDLER", "1"));
        s.begin(&dying("ctypes.memset(0, 0, 1)"));
        let end = s.ended();
        assert_eq!(end.stdout, everything());
        assert!(end.stderr.contains("Segmentation fault") && end.stderr.contains("<cell 1>"), "{}", end.stderr);
        assert_eq!(end.ending.last.and_then(|last| last.signal).as_deref(), Some("SIGSEGV"));
        assert_eq!(end.ending.status.signal(), Some(libc::SIGSEGV));
    }
}

#[test]
fn l2_an_exception_of_cpp_that_nobody_catches_is_an_abort_where_it_was_thrown() {
    let throw = "L = ctypes.CDLL('libstdc++.so.6')\nL.__cxa_allocate_exception.restype = ctypes.c_void_p\n\
                 p = L.__cxa_allocate_exception(ctypes.c_size_t(8))\nctypes.memset(p, 0, 8)\n\
                 L.__cxa_throw(ctypes.c_void_p(p), ctypes.byref(ctypes.c_void_p.in_dll(L, '_ZTIi')), None)";
    let mut s = Session::python();
    s.begin(&dying(throw));
    let end = s.ended();
    assert_eq!(end.stdout, everything());
    assert!(end.stderr.contains("terminate called after throwing an instance of 'int'"), "{}", end.stderr);
    let last = end.ending.last.expect("a session_end");
    assert_eq!(last.signal.as_deref(), Some("SIGABRT"), "{last:?}");
    assert!(last.message.as_deref().is_some_and(|message| message.contains("<cell 1>")), "{last:?}");
    assert_eq!(end.ending.status.signal(), Some(libc::SIGABRT));
}

#[test]
fn l2_an_overflow_of_the_stack_is_told() {
    // C code that calls itself without Python's knowing, which would raise RecursionError.
    let deep = "ctypes.CDLL(None).regcomp(ctypes.create_string_buffer(1000), b'(' * 10**7, 1)";
    for_each_python(|_, python| is_told(Session::on(python), deep, libc::SIGSEGV, "SIGSEGV"));
}

#[test]
fn l2_a_fault_in_a_thread_is_told() {
    let thread = "threading.Thread(target=ctypes.memset, args=(0, 0, 1)).start(); time.sleep(100)";
    is_told(Session::python(), thread, libc::SIGSEGV, "SIGSEGV");
    let many = "for _ in range(8): threading.Thread(target=ctypes.memset, args=(0, 0, 1)).start()\ntime.sleep(100)";
    is_told(Session::python(), many, libc::SIGSEGV, "SIGSEGV");
}

#[test]
fn l2_a_fault_of_a_forked_child_is_the_child_s() {
    let mut s = Session::python();
    for (code, status) in [("ctypes.memset(0, 0, 1)", libc::SIGSEGV), ("os.abort()", libc::SIGABRT)] {
        let code = format!("import ctypes, os\npid = os.fork()\nif pid == 0: {code}\nos.waitpid(pid, 0)[1] & 127");
        s.says(&code, &format!("{status}\n"));
    }
    s.says("'on'", "'on'\n");
    s.shutdown();
}

#[test]
fn l2_a_supervisor_that_reads_only_afterwards_misses_nothing_that_the_channel_held() {
    let mut s = Session::start(launch().backlog(1));
    s.begin("import ctypes\nfor n in range(20000): print(n)\nctypes.memset(0, 0, 1)");
    let stat = format!("/proc/{}/stat", s.worker.pid());
    // Dead and not yet waited for: whatever is read from here on was written before.
    while !std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z ")) {
        std::thread::yield_now();
    }
    let end = s.ended();
    assert!(end.stdout.starts_with("0\n1\n"));
    assert_eq!(end.stdout, (0..20000).map(|n| format!("{n}\n")).collect::<String>());
    assert_eq!(end.ending.last.and_then(|last| last.signal).as_deref(), Some("SIGSEGV"));
}

#[test]
fn l2_a_fault_leaves_no_process() {
    let mut s = Session::python();
    let id = s.begin("import subprocess\np = subprocess.Popen(['sleep', '1000'])\nprint(p.pid, flush=True)\nimport ctypes; ctypes.memset(0, 0, 1)");
    let mut pid = String::new();
    while !pid.ends_with('\n') {
        match s.worker.recv_timeout(crate::support::harness::LIMIT) {
            Ok(Event::OutputText(text)) => pid += text.text.as_deref().unwrap_or_default(),
            other => s.fail(&format!("{other:?} of {id}")),
        }
    }
    s.ended();
    until_dead(pid.trim());
}

/// A child that comes from a bare system call, of which C's library, and the runtime, learn nothing.
const BARE_FORK: &str =
    "import ctypes, os, signal\nC = ctypes.PyDLL(None)\npid = C.syscall(SYS_clone, 17, 0, 0, 0, 0)\n";

fn in_bare_fork(child: &str, parent: &str) -> String {
    let fork = BARE_FORK.replace("SYS_clone", &libc::SYS_clone.to_string());
    format!("{fork}if pid == 0:\n    {child}\n{parent}\nos.waitpid(pid, 0)[1] & 127")
}

#[test]
fn c4_a_crash_of_a_child_without_fork_is_the_childs_alone() {
    for_each_python(|s, _| {
        for (code, signal) in [("ctypes.memset(0, 0, 1)", libc::SIGSEGV), ("os.abort()", libc::SIGABRT)] {
            s.says(&in_bare_fork(code, ""), &format!("{signal}\n"));
        }
        let alarm = "signal.setitimer(signal.ITIMER_REAL, .001)\n    while True: pass";
        s.says(&in_bare_fork(alarm, ""), &format!("{}\n", libc::SIGALRM));
        s.says("'on'", "'on'\n");
    });
}

#[test]
fn c4_what_the_crash_of_such_a_child_noted_is_not_in_the_sessions_last_words() {
    let mut s = Session::python();
    s.says(&in_bare_fork("exec('def in_the_child(): ctypes.memset(0, 0, 1)'); in_the_child()", ""), "11\n");
    s.begin("def in_the_session(): ctypes.memset(0, 0, 1)\nin_the_session()");
    let message = s.ended().ending.last.and_then(|last| last.message).expect("last words");
    assert!(message.contains("in_the_session") && !message.contains("in_the_child"), "{message}");
}

#[test]
fn c4_termination_signals_end_a_child_without_fork() {
    for_each_python(|s, _| {
        for signal in [libc::SIGTERM, libc::SIGHUP] {
            let kill = format!("os.kill(pid, {signal})");
            s.says(&in_bare_fork("while True: C.pause()", &kill), &format!("{signal}\n"));
        }
        s.says("'on'", "'on'\n");
        assert_eq!(s.status()["state"], "idle");
    });
}

#[test]
fn c4_a_child_without_fork_prints_as_any_other_child() {
    let mut s = Session::python();
    let cell = s
        .run(&in_bare_fork("print('child'); print('error', file=__import__('sys').stderr); raise SystemExit", ""))
        .ok();
    assert_eq!((cell.stdout.as_str(), cell.stderr.as_str()), ("child\n0\n", "error\n"));
    s.says(&in_bare_fork("raise SystemExit(3)", "").replace("[1] & 127", "[1] >> 8"), "3\n");
}

#[test]
fn c4_the_death_of_a_child_that_shares_the_memory_is_its_own() {
    let (_folder, library) = compiled(
        "#define _GNU_SOURCE\n#include <sched.h>\n#include <signal.h>\n#include <stdlib.h>\n#include <unistd.h>\n\
         static int crash(void *none) { *(volatile int *)0 = 1; return 0; }\n\
         static int sleep_on(void *none) { for (;;) pause(); }\n\
         static char stacks[2][1 << 16];\n\
         int crashing(void) { return clone(crash, stacks[0] + (1 << 16), CLONE_VM | CLONE_VFORK | SIGCHLD, 0); }\n\
         int sleeping(void) { return clone(sleep_on, stacks[1] + (1 << 16), CLONE_VM | SIGCHLD, 0); }\n",
    );
    let mut s = Session::python();
    s.says(&format!("import ctypes, os\nL = ctypes.CDLL({library:?})"), "");
    s.says("os.waitpid(L.crashing(), 0)[1] & 127", "11\n");
    for signal in [libc::SIGTERM, libc::SIGQUIT] {
        s.says(
            &format!("pid = L.sleeping(); os.kill(pid, {signal}); os.waitpid(pid, 0)[1] & 127"),
            &format!("{signal}\n"),
        );
    }
    // The session's own end is still told. (CPython's `faulthandler` has spent its handler of SIGSEGV in the child.)
    is_told(s, "os.abort()", libc::SIGABRT, "SIGABRT");
}

#[test]
fn c4_a_child_of_r_without_fork_dies_by_itself() {
    let (_folder, library) = compiled(
        "#define _GNU_SOURCE\n#include <signal.h>\n#include <sys/syscall.h>\n#include <sys/wait.h>\n#include <unistd.h>\n\
         static void run(int *result, int signal) {\n    int pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), status;\n\
         \x20   if (!pid) { if (signal == SIGSEGV) *(volatile int *)0 = 1; for (;;) pause(); }\n\
         \x20   if (signal != SIGSEGV) kill(pid, signal);\n    waitpid(pid, &status, 0); *result = status & 127;\n}\n\
         void crashing(int *result) { run(result, SIGSEGV); }\nvoid terminated(int *result) { run(result, SIGTERM); }\n",
    );
    let mut s = r();
    s.says(&format!("invisible(dyn.load({library:?}))"), "");
    s.says("cat(.C('crashing', 0L)[[1]], .C('terminated', 0L)[[1]])", "11 15");
    s.says("cat('on')", "on");
}

#[test]
fn c5_what_c_still_held_is_said_with_its_cell() {
    for round in 0..25 {
        let mut s = Session::python();
        let text = "x".repeat(1 + round * 37 % 200);
        let id = s.begin(&format!("import ctypes\nl = ctypes.PyDLL(None); l.printf(b'{text}'); l.abort()"));
        let mut said = String::new();
        let last = loop {
            match s.worker.recv_timeout(crate::support::harness::LIMIT) {
                Ok(Event::OutputText(text)) => {
                    assert_eq!((text.id.as_deref(), text.origin.is_some()), (Some(id.as_str()), true), "{text:?}");
                    said += text.text.as_deref().unwrap_or_default();
                }
                Ok(Event::SessionEnd(end)) => break end,
                other => s.fail(&format!("{other:?}")),
            }
        };
        assert_eq!((said, last.signal.as_deref()), (text, Some("SIGABRT")));
        s.ended();
    }
}

#[test]
fn c5_what_a_slow_supervisor_has_not_read_is_said_whole() {
    for size in [1000, 400_000] {
        let mut s = Session::start(launch().backlog(1));
        let code = format!(
            "import ctypes, sys\nsys.stdout.write('a' * 5000)\nfor n in range({size} // 5): print(n % 7, end='....')\n\
             ctypes.memset(0, 0, 1)"
        );
        s.begin(&code);
        let expected: String = (0..size / 5).map(|n| format!("{}....", n % 7)).collect();
        let end = s.ended();
        assert_eq!(end.stdout, "a".repeat(5000) + &expected);
        assert_eq!(end.ending.last.and_then(|last| last.signal).as_deref(), Some("SIGSEGV"));
    }
}
