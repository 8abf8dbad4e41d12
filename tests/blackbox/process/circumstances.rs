//! Awkward circumstances: what a worker inherits, and signals that are the user's own.

use crate::support::harness::{Session, WORKER, launch, launch_on};
use crate::support::pythons::{self, for_each_python};
use worker_client::{Batch, Event, Launch, Transport};

/// A session that is interrupted, asked, and ended as usual.
#[track_caller]
fn lives(launch: Launch) {
    let mut s = Session::start(launch);
    s.says("1 + 1", "2\n");
    let id = s.begin("input('p ')");
    let wait = s.wait_for("p ");
    s.answer(&wait, "x");
    assert_eq!(s.finish(&id).ok().stdout, "'x'\n");
    for code in ["while True: pass", "import time; time.sleep(60)", "import os; os.system('echo child; exec sleep 60')"]
    {
        let id = s.begin(&format!("print('go', flush=True)\n{code}"));
        let sign = if code.contains("echo") { "child\n" } else { "go\n" };
        s.until_printed(&id, sign);
        s.interrupt();
        s.finish(&id).interrupted();
    }
    let last = s.run("import os\nos.write(1, b'raw\\n') and os.system('echo child; cat')");
    assert_eq!(last.ok().stdout, "raw\nchild\n0\n");
    assert_eq!(s.run("os.waitstatus_to_exitcode(os.system('exit 4'))").ok().stdout, "4\n");
    s.shutdown();
}

#[test]
fn an_inherited_ignored_sigint_is_reset() {
    for python in pythons::all() {
        lives(launch_on(python).through(["sh", "-c", "trap '' INT HUP TERM QUIT PIPE CHLD; exec \"$@\"", "sh"]));
    }
}

#[test]
fn an_inherited_signal_mask_does_no_harm() {
    let block = "import os, signal, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n\
                 os.execv(sys.argv[1], sys.argv[1:])";
    for python in pythons::all() {
        lives(launch_on(python).through([python.path.as_os_str(), "-c".as_ref(), block.as_ref()]));
    }
}

#[test]
fn closed_standard_descriptors_do_no_harm() {
    for python in pythons::all() {
        for close in ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"] {
            let script = format!("exec \"$@\" {close}");
            lives(launch_on(python).through(["sh", "-c", script.as_str(), "sh"]));
        }
    }
}

#[test]
fn an_empty_environment_does_no_harm() {
    for python in pythons::all() {
        lives(launch_on(python).clear_env());
        lives(launch_on(python).clear_env().env("HOME", "/no/such/home"));
    }
}

#[test]
fn a_session_leader_is_a_worker_too() {
    for transport in [Transport::Socket, Transport::Stdio] {
        lives(launch().transport(transport).through(["setsid", "--wait"]));
    }
}

#[test]
fn a_working_directory_that_is_gone_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let script = "rmdir \"$PWD\"; exec \"$@\"";
    lives(launch().directory(&gone).through(["sh", "-c", script, "sh"]));
}

#[test]
fn few_descriptors_and_odd_numbers_do_no_harm() {
    // Those where the worker would put its own are taken, but for the one that the channel comes as.
    let script = "for n in 9 10 11 12; do case \" $* \" in *\" --ipc-fd $n \"*) ;; *) eval \"exec $n</dev/null\" ;; esac; done; \
                  exec \"$@\"";
    lives(launch().through(["bash", "-c", script, "sh"]));
    lives(launch().through(["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"]));
    assert!(std::path::Path::new(WORKER).exists());
}

#[test]
fn a_signal_of_the_users_own_is_handled_while_he_is_asked() {
    for_each_python(|s, _| {
        s.says(
            "import signal, os\ndef late(*a): raise TimeoutError('late')\nold = signal.signal(signal.SIGALRM, late)",
            "",
        );
        let id = s.begin("signal.setitimer(signal.ITIMER_REAL, 0.05)\ninput('p ')");
        s.wait_for("p ");
        s.finish(&id).failed("TimeoutError");
        s.says("def note(*a): print('noted', flush=True)\nold = signal.signal(signal.SIGUSR1, note)", "");
        let id = s.begin("input('q ')");
        let wait = s.wait_for("q ");
        assert!(s.worker.signal(libc::SIGUSR1));
        s.until_printed(&id, "noted\n");
        s.answer(&wait, "x");
        assert_eq!(s.finish(&id).ok().stdout, "noted\n'x'\n");
    });
}

#[test]
fn a_signal_of_the_users_own_is_handled_while_idle() {
    for_each_python(|s, _| {
        s.says(
            "import signal\ndef note(*a): print('noted', flush=True)\nold = signal.signal(signal.SIGUSR1, note)",
            "",
        );
        assert!(s.worker.signal(libc::SIGUSR1));
        assert_eq!(s.between_cells("noted\n"), "noted\n");
        s.says("def bad(*a): raise ValueError('in a handler')\nold = signal.signal(signal.SIGUSR1, bad)", "");
        assert!(s.worker.signal(libc::SIGUSR1));
        assert!(s.between_cells("ValueError: in a handler").contains("Traceback"));
        s.says("1", "1\n");
    });
}

#[test]
fn user_code_that_closes_everything_leaves_nothing() {
    for python in pythons::all() {
        let mut s = Session::on(python);
        s.begin("import os\nprint('go', flush=True)\nos.closerange(3, 256)");
        s.until_printed("c1", "go\n");
        // The channel is gone, so how the end is told is not said; but the process goes.
        s.worker.sender().close().unwrap();
        assert!(s.worker.wait(s.deadline).is_some(), "the process stays without a channel");
        s.ended = true;
    }
}

#[test]
fn an_interrupt_cancels_a_request_and_is_answered() {
    for_each_python(|s, _| {
        let long = "x = [1, 2, 3]\n".repeat(200_000);
        let asked = s.ask("is_complete", serde_json::json!({"code": long}));
        s.interrupt();
        // The request may have been answered before; the interrupt is answered in any case.
        if let Err(error) = s.answer_of(&asked) {
            assert_eq!(error.code, -32002);
        }
        s.bare_ready();
        s.says("1", "1\n");
    });
}

#[test]
fn much_at_once_is_taken_in_order() {
    let mut s = Session::python();
    for n in 0..3000 {
        s.send(Batch::cell(format!("print({n})")).id(n.to_string()));
    }
    for n in 0..3000 {
        match s.next() {
            Event::Ready(ready) => assert_eq!(ready.id, Some(n.to_string())),
            other => s.fail(&format!("{other:?}")),
        }
        let said = s.take(Some(&n.to_string()));
        assert_eq!(said.texts.iter().filter_map(|text| text.text.clone()).collect::<String>(), format!("{n}\n"));
    }
}
