//! L3: when the supervisor is gone, nothing of the session is left.

use crate::support::harness::{LIMIT, WORKER};
use crate::support::pythons;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The documented limit of five seconds, and some for a busy machine.
const GONE_WITHIN: Duration = Duration::from_secs(12);

/// A supervisor of its own process, which is killed in the middle: it runs `code`, says the cell's output and the
/// worker's pid, and stops reading once it has seen `go`.
const SUPERVISOR: &str = r#"
import sys, time
sys.path.insert(0, sys.argv[1])
from worker_client import Worker, text_of
worker = Worker(args=["--python", sys.argv[2], "--startup"], program=sys.argv[3], transport=sys.argv[5], backlog=3)
worker.cell(sys.argv[4])
print("worker", worker.process.pid, flush=True)
text = ""
while "go" not in text:
    event = worker.recv()
    if event["type"] == "output_text":
        text += text_of(event)
for line in text.splitlines():
    print(line, flush=True)
time.sleep(1000)
"#;

/// Every process of the session: the worker, its group, and what it marked.
fn left_of(pid: u32, named: &BTreeSet<u32>) -> Vec<(u32, String)> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(other) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let Some((_, rest)) = stat.rsplit_once(") ") else {
            continue;
        };
        let fields: Vec<_> = rest.split(' ').collect();
        let group: u32 = fields[2].parse().unwrap_or(0);
        if fields[0] != "Z" && (other == pid || group == pid || named.contains(&other)) {
            left.push((other, stat));
        }
    }
    left
}

/// Kills the supervisor of a session that runs this, when it has said `go`; lines `pid N` name further processes.
fn leaves_nothing(code: &str, transport: &str) {
    leaves_nothing_after(Path::new(""), code, transport);
}

/// The same of a session that begins with a startup file, if it is not empty.
fn leaves_nothing_after(startup: &Path, code: &str, transport: &str) {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let python = &pythons::default().path;
    let mut supervisor = Command::new(python)
        .args(["-c", SUPERVISOR, examples])
        .arg(python)
        .args([WORKER, code, transport])
        .stdout(Stdio::piped())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONSTARTUP", startup)
        .spawn()
        .unwrap();
    let mut pid = 0;
    let mut named = BTreeSet::new();
    for line in BufReader::new(supervisor.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        match line.split_once(' ') {
            Some(("worker", number)) => pid = number.parse().unwrap(),
            Some(("pid", number)) => drop(named.insert(number.parse().unwrap())),
            _ if line.starts_with("go") => break,
            _ => {}
        }
    }
    assert_ne!(pid, 0, "the supervisor started a worker");
    // Nobody can wake a session that stops itself after its supervisor's death.
    let is_stopped = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "));
    while code.contains("os.getpid(), signal.SIGSTOP") && !is_stopped() {
        std::thread::yield_now();
    }
    let all_live = left_of(pid, &named).len() > named.len();
    supervisor.kill().unwrap();
    assert!(all_live, "the session or what it started was gone before its supervisor was: {named:?}");
    supervisor.wait().unwrap();
    let killed = Instant::now();
    loop {
        let left = left_of(pid, &named);
        if left.is_empty() {
            break;
        }
        if killed.elapsed() > GONE_WITHIN {
            for (pid, _) in &left {
                let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
            }
            panic!("left after {code:?} over {transport}: {left:#?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(killed.elapsed() < LIMIT);
}

#[test]
fn l3_idle_and_waiting_sessions_end() {
    for transport in ["socket", "pipes", "stdio"] {
        leaves_nothing("print('go')", transport);
        leaves_nothing("print('go')\ninput('p')", transport);
    }
}

#[test]
fn l3_busy_and_sleeping_sessions_end() {
    for transport in ["socket", "pipes"] {
        leaves_nothing("print('go', flush=True)\nwhile True: pass", transport);
        leaves_nothing("print('go', flush=True)\nimport time; time.sleep(1000)", transport);
    }
}

#[test]
fn l3_a_session_that_ignores_interrupts_ends() {
    let stubborn = "print('go', flush=True)\nwhile True:\n    try:\n        x = 0\n        while True: pass\n    except BaseException: pass";
    leaves_nothing(stubborn, "socket");
    leaves_nothing(
        "import signal\nfor n in (2, 15, 1): signal.signal(n, signal.SIG_IGN)\nprint('go', flush=True)\nwhile True: pass",
        "socket",
    );
}

#[test]
fn l3_native_code_that_holds_the_gil_does_not_hold_the_session() {
    leaves_nothing("import ctypes\nprint('go', flush=True)\nctypes.PyDLL(None).sleep(1000)", "socket");
    leaves_nothing("import ctypes\nprint('go', flush=True)\nctypes.PyDLL(None).pause()", "pipes");
    leaves_nothing("print('go', flush=True)\nsum(range(10**15))", "socket");
}

#[test]
fn l3_a_session_that_writes_into_a_full_channel_ends() {
    for transport in ["socket", "pipes"] {
        leaves_nothing("print('go', flush=True)\nwhile True: print('x' * 1000)", transport);
        leaves_nothing("import os\nprint('go', flush=True)\nwhile True: os.write(1, b'x' * 1000)", transport);
    }
}

#[test]
fn l3_children_and_grandchildren_end_with_the_session() {
    leaves_nothing(
        "import subprocess\np = subprocess.Popen(['sleep', '1000'])\nprint('pid', p.pid)\nprint('go', flush=True)\np.wait()",
        "socket",
    );
    leaves_nothing(
        "import os\nfor _ in range(3): os.system('sleep 1000 & echo pid $!')\nprint('go', flush=True)",
        "socket",
    );
    let deaf = "import subprocess\np = subprocess.Popen(['sh', '-c', \"trap '' INT TERM HUP; while :; do sleep 1; done\"])\nprint('pid', p.pid)\nprint('go', flush=True)";
    leaves_nothing(deaf, "pipes");
}

#[test]
fn l3_children_that_left_the_group_end_with_the_session() {
    leaves_nothing(
        "import subprocess\np = subprocess.Popen(['sleep', '1000'], start_new_session=True)\nprint('pid', p.pid)\nprint('go', flush=True)",
        "socket",
    );
    let daemon = "import os\nr, w = os.pipe()\nif os.fork() == 0:\n    os.setsid()\n    pid = os.fork()\n    if pid: os.write(w, b'%d' % pid); os._exit(0)\n    \
                  os.execlp('sleep', 'sleep', '1000')\npid = int(os.read(r, 20)); os.wait()\nprint('pid', pid)\nprint('go', flush=True)\nwhile True: pass";
    leaves_nothing(daemon, "socket");
}

#[test]
fn l3_forked_pythons_end_with_the_session() {
    let pool = "import multiprocessing as mp, time\np = mp.get_context('fork').Process(target=time.sleep, args=(1000,)); p.start()\nprint('pid', p.pid)\nprint('go', flush=True)\np.join()";
    leaves_nothing(pool, "socket");
}

#[test]
fn l3_a_session_that_starts_or_finalises_ends() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile.py");
    let slow = "import atexit, subprocess, time\np = subprocess.Popen(['sleep', '1000'])\nprint('pid', p.pid)\nprint('go', flush=True)\n";
    std::fs::write(&profile, format!("{slow}time.sleep(1000)")).unwrap();
    leaves_nothing_after(&profile, "'never'", "socket");
    leaves_nothing(
        &format!(
            "import atexit\n@atexit.register\ndef late():\n    exec({slow:?}, globals())\n    time.sleep(1000)\nexit()"
        ),
        "socket",
    );
    leaves_nothing(
        &format!(
            "import atexit\n@atexit.register\ndef late():\n    exec({slow:?})\n    import ctypes; ctypes.PyDLL(None).sleep(1000)\nexit()"
        ),
        "pipes",
    );
}

#[test]
fn l3_a_session_that_was_stopped_ends() {
    leaves_nothing("import os, signal\nprint('go', flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)", "socket");
    let child = "import os, signal, subprocess\np = subprocess.Popen(['sleep', '1000'])\nprint('pid', p.pid)\nos.kill(p.pid, signal.SIGSTOP)\nprint('go', flush=True)";
    leaves_nothing(child, "pipes");
}
