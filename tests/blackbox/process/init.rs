//! PID 1 of a container: an init with the worker as its child.

use crate::support::harness::{Session, bare_launch, launch_on};
use crate::support::limits::can_limit;
use crate::support::pythons;
use std::process::Command;
use worker_client::{Launch, Reason};

const CONTAINER: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

/// Whether a new process namespace can be had here.
fn can_contain() -> bool {
    Command::new(CONTAINER[0]).args(&CONTAINER[1..]).arg("true").output().is_ok_and(|output| output.status.success())
}

fn contained(launch: Launch) -> Option<Session> {
    can_contain().then(|| Session::start(launch.through(CONTAINER)))
}

#[test]
fn the_worker_is_a_child_of_the_init() {
    for python in pythons::all() {
        let Some(mut s) = contained(launch_on(python)) else { return };
        assert_eq!(s.hello.pid, Some(2));
        s.says("import os, signal, time\nos.getpid(), os.getppid()", "(2, 1)\n");
        // Orphans end up with the init, which waits for them.
        let code = "for _ in range(20):\n    pid = os.fork()\n    if pid == 0:\n        os.fork() or os.execvp('true', ['true'])\n        os._exit(0)\n    os.waitpid(pid, 0)";
        s.run(code).ok();
        let code = "def others(): return [p for p in os.listdir('/proc') if p.isdigit() and int(p) > 2]\nwhile others(): time.sleep(0.01)";
        s.run(code).ok();
        s.run("os.wait()").failed("ChildProcessError");
        let id = s.begin("print('go', flush=True)\nwhile True: pass");
        s.until_printed(&id, "go\n");
        s.interrupt();
        s.finish(&id).interrupted();
        s.begin("exit(7)");
        assert_eq!(s.ended().ending.reason, Reason::Exit(7));
    }
}

#[test]
fn the_init_holds_nothing_of_the_channel() {
    let Some(mut s) = contained(launch_on(pythons::default())) else { return };
    s.says("import os\nsorted(os.listdir('/proc/1/fd'))", "['2']\n");
    // The plain way out of L8: the channel closes, though the program goes on.
    s.says("marker = os.environ.pop('WORKER_SESSION')", "");
    s.begin("os.execvp('sleep', ['sleep', '0.1'])");
    let end = s.ended();
    assert_eq!(end.ending.reason, Reason::Vanished(0));
}

#[test]
fn signals_to_the_init_are_the_workers() {
    let Some(mut s) = contained(launch_on(pythons::default())) else { return };
    let id = s.begin("import os, signal\nos.kill(1, signal.SIGINT)\nwhile True: pass");
    s.finish(&id).interrupted();
    s.run("os.kill(1, signal.SIGTERM)");
    let end = s.ended();
    assert_eq!(end.ending.reason, Reason::Shutdown { forced: false });
    assert_eq!(end.ending.last.unwrap().message.as_deref(), Some("SIGTERM"));
}

#[test]
fn a_death_by_signal_is_told_as_a_shell_tells_it() {
    let Some(mut s) = contained(launch_on(pythons::default())) else { return };
    s.begin("import os\nos.abort()");
    let end = s.ended();
    assert_eq!(end.ending.last.unwrap().signal.as_deref(), Some("SIGABRT"));
    assert_eq!(end.ending.status.code(), Some(128 + 6));
}

#[test]
fn nothing_outlives_the_worker() {
    let Some(mut s) = contained(bare_launch("r")) else { return };
    s.says("cat(Sys.getpid(), '\\n')", "2 \n");
    s.says("invisible(system('setsid sleep 1000 > /dev/null 2>&1 &'))", "");
    s.shutdown();
}

#[test]
fn what_cleans_up_after_a_session_gets_its_time() {
    if !can_limit(&["--read-only"]) {
        return;
    }
    let launch = launch_on(pythons::default()).arg("--read-only");
    let folder = tempfile::tempdir().unwrap();
    let Some(mut s) = contained(launch.env("TMPDIR", folder.path())) else { return };
    s.says("import os\nos.listdir(os.environ['TMPDIR'])", "[]\n");
    s.begin("os.kill(os.getpid(), 9)");
    assert_eq!(s.ended().ending.status.code(), Some(128 + 9));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}
