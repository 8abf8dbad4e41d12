//! Environment and descriptors: user code and its children get what they are to get, and nothing of the worker's own.

use crate::support::harness::{Session, WORKER, bare_launch, launch, launch_on};
use crate::support::peer::{Peer, clear};
use crate::support::pythons;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use worker_client::Transport;

#[test]
fn variables_are_set_and_the_last_word_counts() {
    let launch = launch()
        .arg("--env")
        .arg("A=1")
        .arg("--env")
        .arg("EMPTY=")
        .arg("--env")
        .arg("A=2=3")
        .arg("--env")
        .arg("PATH=/bin");
    let mut s = Session::start(launch.env("A", "0"));
    s.says("import os\nos.environ['A'], os.environ['EMPTY'], os.environ['PATH']", "('2=3', '', '/bin')\n");
    s.says(
        "import subprocess\nsubprocess.run('echo $A', shell=True, capture_output=True, text=True).stdout",
        "'2=3\\n'\n",
    );
}

#[test]
fn a_cleared_environment_holds_what_is_documented_and_nothing_else() {
    for python in pythons::all() {
        let launch = launch_on(python).arg("--clear-env").arg("--env").arg("MINE=1");
        let launch =
            launch.env("SECRET_KEY", "hunter2").env("LC_TIME", "C").env("XDG_DATA_HOME", "/x").env("TZ", "UTC");
        let mut s = Session::start(launch);
        let code = "import os\nallowed = {'HOME', 'USER', 'LOGNAME', 'SHELL', 'PATH', 'TMPDIR', 'TZ', 'TERM', 'COLUMNS', 'LINES', 'LANG', 'LANGUAGE', 'MINE', 'WORKER_SESSION'}\n\
                    sorted(k for k in os.environ if k not in allowed and not k.startswith(('LC_', 'XDG_')))";
        s.says(code, "[]\n");
        s.says(
            "os.environ['MINE'], os.environ['TZ'], os.environ['XDG_DATA_HOME'], 'PATH' in os.environ",
            "('1', 'UTC', '/x', True)\n",
        );
        s.says("'hunter2' in open('/proc/self/environ').read()", "False\n");
        s.says("any('hunter2' in open(f'/proc/{p}/environ').read() for p in [os.getpid(), 'thread-self'])", "False\n");
    }
    let mut s = Session::start(bare_launch("r").arg("--clear-env").env("SECRET_KEY", "hunter2"));
    s.says(
        "cat(Sys.getenv('SECRET_KEY'), any(grepl('hunter2', readLines('/proc/self/environ', warn = FALSE))), '\\n')",
        " FALSE \n",
    );
}

#[test]
fn the_working_directory_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().canonicalize().unwrap();
    std::fs::create_dir(real.join("deep")).unwrap();
    // A relative one starts where the worker was started.
    let mut s = Session::start(launch().directory(&real).arg("--cwd").arg("deep"));
    s.says("import os\nprint(os.getcwd(), os.environ['PWD'])", &format!("{0}/deep {0}/deep\n", real.display()));
    let mut s = Session::start(bare_launch("r").directory(&real).arg("--cwd").arg("deep"));
    s.says("cat(getwd(), '\\n')", &format!("{}/deep \n", real.display()));
    let output =
        Command::new(WORKER).args(["--cwd", "/no/such", "--ipc", "stdio"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such"));
}

/// The descriptors that every child of this process inherits.
fn inherited() -> Vec<u32> {
    let is_kept = |fd: &u32| {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
        flags.is_some_and(|flags| flags & 0o2_000_000 == 0)
    };
    let open =
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    open.filter(is_kept).collect()
}

#[test]
fn what_the_worker_keeps_open_is_numbered_high_and_closed_upon_exec() {
    let me = std::process::id().to_string();
    let low = "import os\n[fd for fd in map(int, os.listdir('/proc/self/fd')) if 2 < fd < 10 and os.path.exists(f'/proc/self/fd/{fd}')]";
    // What whoever runs the tests has left open for every child is not the worker's.
    let kept = format!(
        "[fd for fd in map(int, os.listdir('/proc/self/fd')) if fd > 2 and fd not in {:?} and os.path.exists(f'/proc/self/fd/{{fd}}') and os.get_inheritable(fd)]",
        inherited()
    );
    for python in pythons::all() {
        for transport in [Transport::Socket, Transport::Pipes] {
            let launch = launch_on(python).transport(transport).arg("--parent").arg(&me).arg("--stdio-control");
            // Its own stdin is at its end from the start, which would end it at once; a pipe that stays open does not.
            let (stdin, _open) = std::io::pipe().unwrap();
            let number = std::os::fd::AsRawFd::as_raw_fd(&stdin);
            let source = format!("exec \"$@\" 0</proc/{me}/fd/{number}");
            let mut s = Session::start(launch.through(["sh", "-c", &source, "sh"]));
            s.says(low, "[]\n");
            s.says(&kept, "[]\n");
            s.shutdown();
        }
    }
    let mut s = Session::start(bare_launch("r").arg("--parent").arg(&me));
    s.says("fds <- dir('/proc/self/fd'); links <- Sys.readlink(file.path('/proc/self/fd', fds))\nfds[fds %in% as.character(3:9) & links != '' & !is.na(links)]", "character(0)\n");
}

#[test]
fn the_variables_of_the_second_dialect_leave_no_trace() {
    for python in pythons::all() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "exec 3<&0 4>&0 0</dev/null\nexec \"$@\"", "sh", WORKER, "--python"]).arg(&python.path);
        clear(&mut command);
        command.env("MCP_REPL_IPC_READ_FD", "3").env("MCP_REPL_IPC_WRITE_FD", "4");
        let mut child =
            command.stdin(Stdio::from(std::os::fd::OwnedFd::from(far))).stdout(Stdio::piped()).spawn().unwrap();
        drop(command);
        let code = "import os\\nprint('MCP_' in open('/proc/self/environ').read(), [k for k in os.environ if 'MCP' in k], flush=True)\\nos._exit(0)";
        std::io::Write::write_all(&mut near, format!("{{\"type\":\"input_batch\",\"input\":\"{code}\"}}\n").as_bytes())
            .unwrap();
        let mut peer = Peer::of(near);
        let mut said = String::new();
        loop {
            let line = peer.line();
            if line.is_empty() {
                break;
            }
            if let worker_client::Event::OutputText(text) = worker_client::Event::parse(line.trim_end().as_bytes()) {
                said += &String::from_utf8_lossy(&text.bytes());
            }
        }
        assert_eq!(said, "False []\n", "3.{}", python.minor);
        child.wait().unwrap();
    }
}
