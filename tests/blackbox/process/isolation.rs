//! L4 and L6: children see nothing of the channel, and each session has its own temporary directory.

use crate::support::harness::{Session, launch, launch_on};
use crate::support::pythons::{self, for_each_python};
use worker_client::Transport;

#[test]
fn l4_children_see_neither_descriptors_nor_variables() {
    for python in pythons::all() {
        for transport in [Transport::Socket, Transport::Pipes, Transport::Stdio] {
            let mut s = Session::start(launch_on(python).transport(transport));
            s.says("import os, subprocess, sys", "");
            let list = "ls = subprocess.run(['sh', '-c', 'ls -l /proc/$$/fd'], close_fds=False, capture_output=True, text=True).stdout\n\
                        sorted({line.split()[8] for line in ls.splitlines() if ' -> ' in line} - {'0', '1', '2'})";
            // Descriptors that this test itself inherited, and so its children, are not the session's.
            let without = format!("import subprocess\n{list}").replace("sorted(", "print(sorted(") + ")";
            s.says(list, &python.prints(&without));
            s.says(
                "[k for k in os.environ if 'IPC' in k or 'LISTEN' in k or k.startswith('MCP_REPL') or 'TOKEN' in k]",
                "[]\n",
            );
            s.says("env = open('/proc/self/environ').read()\n[w for w in ('IPC', 'LISTEN_', 'MCP_REPL', 'TOKEN') if w in env]", "[]\n");
            let inheritable = "import os\nprint([fd for fd in map(int, os.listdir('/proc/self/fd')) if fd > 2 and os.path.exists(f'/proc/self/fd/{fd}') and os.get_inheritable(fd)])";
            s.says(inheritable, &python.prints(inheritable));
        }
    }
}

#[test]
fn l4_a_forked_child_never_writes_to_the_channel() {
    for_each_python(|s, _| {
        let code = "import os, sys\npid = os.fork()\nif pid == 0:\n    print('child prints')\n    sys.stderr.write('child errs\\n')\n    os._exit(0)\n\
                    print(os.waitpid(pid, 0)[1])";
        let cell = s.run(code).ok();
        let mut lines: Vec<_> = cell.stdout.lines().collect();
        lines.sort_unstable();
        // A child that leaves by `os._exit` flushes nothing, as at the prompt over a pipe.
        assert!(lines == ["0"] || lines == ["0", "child prints"], "{lines:?}");
        assert!(
            cell.texts
                .iter()
                .filter(|text| text.text.as_deref().is_some_and(|t| t.contains("child")))
                .all(|text| text.origin.as_deref() == Some("fd"))
        );
    });
}

#[test]
fn l4_a_child_that_falls_off_the_end_of_the_cell_ends_quietly() {
    for_each_python(|s, _| {
        let cell = s.run("import os\npid = os.fork()\nif pid: print('status', os.waitpid(pid, 0)[1])\nelse: print('in child')\n'value'").ok();
        assert_eq!(cell.stderr, "");
        // The child's own end of the cell may print the value too; it does so on its raw descriptor.
        let owned: String = cell.texts.iter().filter(|t| t.origin.is_none()).filter_map(|t| t.text.clone()).collect();
        assert_eq!(owned, "status 0\n'value'\n");
        assert!(cell.stdout.contains("in child\n"));
        s.says("1", "1\n");
    });
}

#[test]
fn l4_a_forked_child_has_no_input_and_its_failures_are_its_own() {
    for_each_python(|s, _| {
        let code = "import os, sys\npid = os.fork()\nif pid == 0:\n    try: input('never ')\n    except EOFError: os._exit(11)\n    os._exit(12)\n\
                    os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])";
        let cell = s.run(code).ok();
        assert_eq!(cell.result, "11\n");
        let code = "pid = os.fork()\nif pid == 0: raise ValueError('in child')\nos.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])";
        let cell = s.run(code).ok();
        assert!(cell.stderr.contains("ValueError: in child"), "{}", cell.stderr);
        let code = "pid = os.fork()\nif pid == 0: sys.exit(5)\nos.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])";
        assert_eq!(s.run(code).ok().result, "5\n");
        s.says("1", "1\n");
    });
}

#[test]
fn l4_a_fork_from_a_thread_while_others_print_does_not_hang() {
    for_each_python(|s, _| {
        let code = "import os, threading\nstop = False\ndef shout():\n    while not stop: print('.', end='')\nts = [threading.Thread(target=shout) for _ in range(3)]\n\
                    for t in ts: t.start()\nfor i in range(50):\n    pid = os.fork()\n    if pid == 0: os._exit(3)\n    assert os.waitpid(pid, 0)[1] == 3 << 8\n\
                    stop = True\nfor t in ts: t.join()\nprint('done')";
        let cell = s.run(code).ok();
        assert!(cell.stdout.ends_with("done\n"));
        assert!(cell.stdout.trim_end_matches("done\n").bytes().all(|b| b == b'.'));
    });
}

#[test]
fn l4_waiting_for_children_sees_no_strangers() {
    for_each_python(|s, _| {
        s.run("import os\nos.wait()").failed("ChildProcessError");
        s.says("pid = os.fork() or os._exit(0)\nos.wait() == (pid, 0)", "True\n");
        s.run("os.wait()").failed("ChildProcessError");
    });
}

#[test]
fn l6_each_session_has_its_own_temporary_directory() {
    let ask = "import tempfile, os\nprint(tempfile.gettempdir())";
    let (mut first, mut second) = (Session::python(), Session::python());
    let one = first.run(ask).ok().stdout.trim().to_owned();
    let two = second.run(ask).ok().stdout.trim().to_owned();
    assert_ne!(one, two);
    assert!(std::path::Path::new(&one).is_dir());
    first.says("import subprocess\nsubprocess.run(['sh', '-c', 'echo $TMPDIR > $TMPDIR/file; mkdir $TMPDIR/folder; chmod 500 $TMPDIR/folder']).returncode", "0\n");
    assert_eq!(std::fs::read_to_string(format!("{one}/file")).unwrap().trim(), one);
    first.shutdown();
    assert!(!std::path::Path::new(&one).exists(), "{one} is left");
    second.begin("exit(0)");
    second.ended();
    assert!(!std::path::Path::new(&two).exists(), "{two} is left");
    let mut third = Session::python();
    let three = third.run(ask).ok().stdout.trim().to_owned();
    assert!(three != one && three != two);
}

#[test]
fn l6_the_directory_is_made_where_other_programs_would() {
    // An empty TMPDIR is none, and a relative one is of the directory that the worker started in.
    let folder = tempfile::tempdir().unwrap();
    let start = |named: &str| Session::start(launch().directory(folder.path()).env("TMPDIR", named));
    start("").says("import os\nos.environ['TMPDIR'].startswith('/tmp/worker-')", "True\n");
    let mut s = start(".");
    let wanted = folder.path().canonicalize().unwrap();
    s.says(&format!("import os\nos.path.realpath(os.environ['TMPDIR']).startswith('{}/')", wanted.display()), "True\n");
    s.says("os.path.isabs(os.environ['TMPDIR'])", "True\n");
}

#[test]
fn l6_exit_handlers_still_have_the_directory() {
    let mut s = Session::python();
    s.begin("import atexit, tempfile, os\nd = tempfile.gettempdir()\natexit.register(lambda: print(os.path.isdir(d)))\nexit()");
    assert_eq!(s.ended().stdout, "True\n");
}

#[test]
fn s6_a_forked_child_reads_a_stdin_of_its_own() {
    for_each_python(|s, _| {
        let piped = "import os, sys\ndef child(code, given):\n    r, w = os.pipe()\n    pid = os.fork()\n    if pid == 0:\n        \
                     os.dup2(r, 0); os.close(w); exec(code); sys.stdout.flush(); os._exit(0)\n    os.close(r); os.write(w, given); os.close(w)\n    \
                     return os.waitpid(pid, 0)[1]";
        s.says(piped, "");
        for (code, given, printed) in [
            ("print(repr(input('p? ')))", "one\\n", "p? 'one'\n0\n"),
            ("print(input(), sys.stdin.readline(), sys.stdin.read())", "1\\n2\\n3", "1 2\n 3\n0\n"),
            ("print(list(sys.stdin), sys.stdin.read())", "1\\n2\\n", "['1\\n', '2\\n'] \n0\n"),
            ("print(sys.stdin.buffer.readline(), sys.stdin.buffer.read())", "1\\n2\\n", "b'1\\n' b'2\\n'\n0\n"),
            ("print(os.read(0, 3), sys.stdin.buffer.raw.read(), os.read(0, 1))", "12345", "b'123' b'45' b''\n0\n"),
            ("print(open(0).read())", "12345", "12345\n0\n"),
            ("import select; print(select.select([0], [], [])[0], os.read(0, 9))", "12", "[0] b'12'\n0\n"),
        ] {
            s.says(&format!("child({code:?}, b'{given}')"), printed);
        }
        let terminal = "import pty, getpass\npid, fd = pty.fork()\nif pid == 0:\n    print('got', input('p? ')); print('hidden', getpass.getpass('q? ')); \
                        sys.stdout.flush(); os._exit(0)\nsaid = b''\ndef until(text):\n    global said\n    \
                        while text not in said: said += os.read(fd, 1000)\n\
                        until(b'p? '); os.write(fd, b'one\\n'); until(b'q? '); os.write(fd, b'two\\n'); until(b'hidden two'); os.waitpid(pid, 0)[1]";
        s.says(terminal, "0\n");
        s.says("said.replace(b'\\r', b'').startswith(b'p? one\\ngot one\\nq? ')", "True\n");
        // Its stdin is still the session's: the end of file.
        let code = "pid = os.fork()\nif pid == 0:\n    try: getpass.getpass()\n    except EOFError: os._exit(11)\n    os._exit(12)\n\
                    os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])";
        s.says(code, "11\n");
        let code = "pid = os.fork()\nif pid == 0:\n    try: input('p? ')\n    except EOFError: print('end')\n    sys.stdout.flush(); os._exit(0)\n\
                    _ = os.waitpid(pid, 0)";
        s.says(code, "p? end\n");
    });
}
