//! C13: whom an interrupt and the end of a session reach, though nobody asks every process of the host.

use crate::support::harness::{Session, until_dead};

/// A process that has lost its parent and sleeps; its number is printed.
fn orphan(in_session_of_its_own: bool) -> String {
    let leave = if in_session_of_its_own { "os.setsid()" } else { "pass" };
    format!(
        "import os, signal, subprocess\nr, w = os.pipe()\nif os.fork() == 0:\n    {leave}\n    pid = os.fork()\n    \
         if pid: os.write(w, b'%d' % pid); os._exit(0)\n    signal.signal(signal.SIGINT, signal.SIG_DFL)\n    \
         os.execlp('sleep', 'sleep', '1000')\nprint(int(os.read(r, 20)), flush=True)\n"
    )
}

#[test]
fn c13_an_interrupt_reaches_children_and_orphans_of_the_group() {
    let mut s = Session::python();
    let code = format!("{}\nos.wait()\nprint('go', flush=True)\nsubprocess.run(['sleep', '1000'])", orphan(false));
    let id = s.begin(&code);
    s.until_printed(&id, "go\n");
    s.until_asleep();
    s.interrupt();
    let cell = s.finish(&id).interrupted();
    until_dead(cell.stdout.lines().next().expect("a number"));
    s.says("'on'", "'on'\n");
}

#[test]
fn c13_daemons_end_with_a_session_whose_children_nobody_waited_for() {
    for waited in ["os.wait()", "None"] {
        for before in ["", "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"] {
            if waited != "None" && !before.is_empty() {
                // There is nothing to wait for.
                continue;
            }
            let mut s = Session::python();
            let cell = s.run(&format!("{before}{}{waited}; None", orphan(true))).ok();
            s.shutdown();
            until_dead(cell.stdout.trim());
        }
    }
}

#[test]
fn c13_an_interrupt_of_one_cell_spares_the_children_of_the_next() {
    let mut s = Session::python();
    for _ in 0..20 {
        let first = s.begin("import subprocess; print('go', flush=True); subprocess.run(['sleep', '1000'])");
        let next = s.begin("subprocess.run(['sh', '-c', 'sleep .05; exit 7']).returncode");
        s.until_printed(&first, "go\n");
        s.line(format!(r#"{{"type":"interrupt","id":"{first}"}}"#));
        s.finish(&first).interrupted();
        assert_eq!(s.finish(&next).ok().stdout, "7\n");
    }
}
