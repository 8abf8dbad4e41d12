//! `--limit`, `--no-network`, `--read-only` and `--write-only`: in force from the first line of user code, for children
//! too, and told; or no session at all.

use crate::support::harness::{LIMIT, Session, WORKER, bare_launch, launch, launch_on};
use crate::support::limits::can_limit;
use crate::support::peer::{Listening, Peer, command};
use crate::support::pythons;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use worker_client::{Launch, Reason};

fn with(launch: Launch, words: &[&str]) -> Launch {
    words.iter().fold(launch, |launch, word| launch.arg(*word))
}

fn told(session: &Session) -> Value {
    session.hello.capabilities.limits.clone().unwrap_or_default()
}

#[track_caller]
fn refused(words: &[&str], why: &str) {
    let output = Command::new(WORKER).args(["--ipc", "stdio"]).args(words).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
    assert!(said.contains(why) && output.stdout.is_empty(), "{words:?}: {said}");
}

/// Waits until nothing is at this path: whoever watches over a session removes it when the session is gone.
#[track_caller]
fn until_gone(path: &Path) {
    let start = Instant::now();
    while path.exists() {
        assert!(start.elapsed() < LIMIT, "{} is left", path.display());
        std::thread::yield_now();
    }
}

#[test]
fn what_cannot_be_meant_or_enforced_is_refused() {
    refused(&["--limit", "memory"], "NAME=VALUE");
    refused(&["--limit", "memory=lots"], "no size");
    refused(&["--limit", "pigeons=2"], "open-files");
    refused(&["--limit", "open-files=10"], "less than 64");
    refused(&["--limit", "open-files=99999999999"], "at most");
    refused(&["--write-only", "/no/such/folder"], "/no/such/folder");
    refused(&["--write-only", "/tmp", "--read-only"], "--read-only");
    // Before anybody is told where to connect.
    let output = command().args(["--listen", "tcp:127.0.0.1:0", "--limit", "open-files=10"]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
}

#[test]
fn no_limit_no_word() {
    let s = Session::python();
    assert_eq!(told(&s), Value::Null);
}

#[test]
fn each_process_has_its_open_files_and_file_size() {
    for python in pythons::all() {
        let mut s = Session::start(with(launch_on(python), &["--limit", "open-files=100,file-size=1M"]));
        assert_eq!(told(&s), json!({"open_files": 100, "file_size": 1 << 20}));
        s.says("import os, resource, subprocess, tempfile", "");
        s.run("fs = []\nwhile True: fs.append(open('/dev/null'))").failed("OSError");
        s.says("del fs", "");
        s.run("with open(tempfile.mktemp(), 'wb') as f:\n    for _ in range(5): f.write(b'x' * 500_000)")
            .failed("OSError");
        let limits = "import resource\nprint(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_FSIZE))";
        s.says(limits, "(100, 100) (1048576, 1048576)\n");
        s.says("subprocess.run(['sh', '-c', 'ulimit -n'], capture_output=True, text=True).stdout", "'100\\n'\n");
        // Output is no file.
        assert_eq!(s.run("print('x' * 3_000_000)").ok().stdout.len(), 3_000_001);
    }
    let mut s = Session::start(with(bare_launch("r"), &["--limit", "file-size=100K"]));
    let cell = s.run("f <- tempfile(); x <- try(writeBin(raw(1e6), f), silent = TRUE); cat(file.size(f), '\\n')").ok();
    assert_eq!(cell.stdout, "102400 \n");
}

#[test]
fn too_much_cpu_time_is_told_as_a_crash() {
    let python = launch_on(pythons::all().last().unwrap());
    for (launch, code) in [(python, "while True: pass"), (bare_launch("r"), "while (TRUE) {}")] {
        let mut s = Session::start(with(launch, &["--limit", "cpu-seconds=3"]));
        assert_eq!(told(&s), json!({"cpu_seconds": 3}));
        s.send(worker_client::Batch::cell(format!("print('before')\n{code}")));
        let end = s.ended();
        assert_eq!(end.ending.reason, Reason::Signal(libc_sigxcpu()));
        let last = end.ending.last.unwrap();
        assert_eq!(last.signal.as_deref(), Some("SIGXCPU"));
        assert!(last.message.unwrap().contains("CPU time"));
        assert!(end.stdout.contains("before"));
    }
}

fn libc_sigxcpu() -> i32 {
    nix::sys::signal::Signal::SIGXCPU as i32
}

#[test]
fn a_child_that_uses_up_its_cpu_time_is_not_the_session() {
    let mut s = Session::start(with(launch(), &["--limit", "cpu-seconds=3"]));
    s.says(
        "import subprocess\nsubprocess.run(['sh', '-c', 'while :; do :; done']).returncode",
        &format!("-{}\n", libc_sigxcpu()),
    );
    s.says("1", "1\n");
}

const TRY: &str = "import os, tempfile, subprocess, socket\ndef t(f, *a):\n    try: return f(*a) is not NotImplemented\n    except OSError as e: return type(e).__name__";

#[test]
fn a_session_that_only_reads_writes_nothing_but_its_temporary_files() {
    if !can_limit(&["--read-only"]) {
        return;
    }
    for python in pythons::all() {
        let outside = tempfile::tempdir().unwrap();
        let file = outside.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        std::fs::create_dir(outside.path().join("empty")).unwrap();
        let mut s = Session::start(with(launch_on(python), &["--read-only"]));
        assert_eq!(told(&s), json!({"read_only": true}));
        s.says(TRY, "");
        s.says(&format!("d = {:?}", outside.path()), "");
        for attempt in [
            "open, d + '/new', 'w'",
            "open, d + '/file', 'a'",
            "open, d + '/file', 'w'",
            "os.truncate, d + '/file', 0",
            "os.unlink, d + '/file'",
            "os.rename, d + '/file', d + '/other'",
            "os.link, d + '/file', tempfile.gettempdir() + '/link'",
            "os.symlink, '/', d + '/link'",
            "os.mkdir, d + '/sub'",
            "os.rmdir, d + '/empty'",
            "os.mkfifo, d + '/fifo'",
            "open, '/dev/shm/worker-test', 'w'",
        ] {
            assert!(s.run(&format!("t({attempt})")).ok().result.contains("Error"), "{attempt} worked");
        }
        s.says(
            "subprocess.run(['sh', '-c', f'echo x > {d}/child'], stderr=subprocess.DEVNULL).returncode != 0",
            "True\n",
        );
        s.says("open(d + '/file').read()", "'precious'\n");
        s.says(
            "t(open, tempfile.mktemp(), 'w'), t(open, '/dev/null', 'w'), t(os.mkdir, tempfile.mktemp())",
            "(True, True, True)\n",
        );
        s.says("subprocess.run('echo to stderr > /dev/stderr; mktemp -d > /dev/null', shell=True, capture_output=True).returncode", "0\n");
        let folder = s.run("print(tempfile.gettempdir())").ok().stdout;
        s.shutdown();
        until_gone(Path::new(folder.trim()));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
        assert_eq!(outside.path().read_dir().unwrap().count(), 2);
    }
}

#[test]
fn a_session_writes_only_where_it_may() {
    if !can_limit(&["--read-only"]) {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let folders: Vec<PathBuf> = ["one", "two", "three"].map(|name| base.path().join(name)).to_vec();
    folders.iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    let [one, two, three] = [0, 1, 2].map(|at| folders[at].to_str().unwrap().to_owned());
    // A relative one starts where the worker was started, whatever --cwd says.
    let launch = launch().directory(base.path()).arg("--cwd").arg("/");
    let mut s = Session::start(with(launch, &["--write-only", &one, "two"]));
    assert_eq!(told(&s), json!({"write_only": [one, two]}));
    s.says(TRY, "");
    s.says(
        &format!("[t(open, f'{{d}}/file', 'w') for d in ({one:?}, {two:?}, {three:?})]"),
        "[True, True, 'PermissionError']\n",
    );
    s.says(
        &format!(
            "t(os.rename, {:?}, {:?}), t(os.unlink, {:?})",
            format!("{one}/file"),
            format!("{two}/moved"),
            format!("{two}/file")
        ),
        "(True, True)\n",
    );
    s.says(
        &format!("t(os.rename, {:?}, {:?})", format!("{two}/moved"), format!("{three}/moved")),
        "'PermissionError'\n",
    );
    s.shutdown();
    assert!(folders[1].join("moved").exists());

    let mut s = Session::start(with(bare_launch("r"), &["--write-only", &three]));
    s.says(
        &format!(
            "cat(suppressWarnings(c(file.create('{three}/r'), file.create('{one}/r'), file.create(tempfile()))), '\\n')"
        ),
        "TRUE FALSE TRUE \n",
    );
    // Pictures are drawn in the temporary directory.
    let id = s.begin("plot(1)");
    assert!(matches!(s.next(), worker_client::Event::OutputImage(_)));
    s.finish(&id).ok();
}

#[test]
fn a_crash_under_limits_leaves_nothing_either() {
    if !can_limit(&["--read-only"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut command = command();
    command.arg("--listen").arg(format!("unix:{}", path.display())).arg("--read-only");
    let mut worker = Listening::start(command);
    worker.says("WORKER_SOCKET=");
    let mut peer = Peer::unix(&path);
    peer.starts();
    let temporary = peer.run("import tempfile\nprint(tempfile.gettempdir())");
    peer.send(json!({"type": "input_batch", "input": "import os; os.kill(os.getpid(), 9)"}));
    worker.ends();
    until_gone(&path);
    until_gone(Path::new(temporary.trim()));
}

#[test]
fn without_a_network_only_unix_sockets_are_left() {
    for python in pythons::all() {
        let mut s = Session::start(with(launch_on(python), &["--no-network"]));
        assert_eq!(told(&s), json!({"no_network": true}));
        s.says(TRY, "");
        let families = "[t(socket.socket, f, k) for f, k in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_DGRAM), \
                        (socket.AF_NETLINK, socket.SOCK_RAW), (socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_VSOCK, socket.SOCK_STREAM))]";
        s.says(&format!("all(error == 'PermissionError' for error in {families})"), "True\n");
        s.says("t(socket.socket, socket.AF_UNIX), t(socket.socketpair)", "(True, True)\n");
        let child = "import socket\ntry: socket.create_connection(('127.0.0.1', 9), 1)\nexcept OSError as e: print(type(e).__name__)";
        s.says(
            &format!(
                "import sys\nsubprocess.run([sys.executable, '-c', {child:?}], capture_output=True, text=True).stdout"
            ),
            "'PermissionError\\n'\n",
        );
        // The other ways to one: the numbers of 32-bit pointers, and io_uring.
        s.says("import ctypes\nc = ctypes.CDLL(None, use_errno=True)\n[(c.syscall(n, 2, 1, 0), ctypes.get_errno()) for n in (0x40000000 | 41, 425)] if os.uname().machine == 'x86_64' else [(-1, 1)] * 2", "[(-1, 1), (-1, 1)]\n");
        s.says("import asyncio\nasync def f(): return 3\nasyncio.run(f())", "3\n");
    }
    let mut s = Session::start(with(bare_launch("r"), &["--no-network"]));
    s.run("socketConnection(port = 9, timeout = 1)").failed("simpleError");
}

#[test]
fn they_hold_for_profiles_and_startup_files() {
    if !can_limit(&["--read-only", "--no-network"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let startup = folder.path().join("startup.py");
    std::fs::write(&startup, "import socket\ntry: socket.socket()\nexcept OSError as e: seen = type(e).__name__\n")
        .unwrap();
    let launch = launch().env("PYTHONSTARTUP", &startup).arg("--startup");
    let mut s = Session::start(with(launch, &["--no-network", "--read-only"]));
    s.says("seen", "'PermissionError'\n");
}

#[test]
fn a_process_limit_counts_the_session() {
    if !can_limit(&["--limit", "processes=30"]) {
        return;
    }
    let mut s = Session::start(with(launch(), &["--limit", "processes=30"]));
    assert_eq!(told(&s), json!({"processes": 30}));
    s.run("import os\nchildren = []\nwhile True:\n    pid = os.fork()\n    if pid == 0:\n        import time\n        time.sleep(1000)\n    children.append(pid)").failed("BlockingIOError");
    s.says("5 < len(children) < 30", "True\n");
    s.says("for pid in children: os.kill(pid, 9), os.waitpid(pid, 0)", "");
    s.says("import subprocess\nsubprocess.run(['true']).returncode", "0\n");
}

#[test]
fn a_memory_limit_is_told_by_an_error_or_by_the_end() {
    if !can_limit(&["--limit", "memory=300M"]) {
        return;
    }
    let mut s = Session::start(with(launch(), &["--limit", "memory=300M"]));
    assert_eq!(told(&s), json!({"memory": 300 << 20}));
    s.run("x = bytearray(1 << 30)").failed("MemoryError");
    s.run("x = []\nwhile True: x.append(bytearray(1 << 20))").failed("MemoryError");
    s.says("del x", "");
    // Shared memory is not the process's own, so only the kernel stops it; the worker's is the most.
    let code = "import mmap\nall = []\nwhile True:\n    all.append(mmap.mmap(-1, 1 << 20))\n    all[-1].write(b'x' * (1 << 20))";
    s.begin(code);
    let end = s.ended();
    assert_eq!(end.ending.reason, Reason::OutOfMemory);
    let last = end.ending.last.unwrap();
    assert!(last.message.unwrap().starts_with("out of memory"));
    assert_eq!(last.signal.as_deref(), Some("SIGKILL"));
}

#[test]
fn r_says_that_it_cannot_allocate() {
    if !can_limit(&["--limit", "memory=500M"]) {
        return;
    }
    let mut s = Session::start(with(bare_launch("r"), &["--limit", "memory=500M"]));
    let cell = s.run("x <- numeric(2e8)").failed("simpleError");
    assert!(cell.stderr.contains("cannot allocate"), "{}", cell.stderr);
    s.says("cat('on\\n')", "on\n");
}
