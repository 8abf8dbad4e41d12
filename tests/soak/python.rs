//! The kinds of cells of the Python soak: each runs one and checks every byte that it printed.

use crate::random::Random;
use crate::session::{Said, Session, same};
use crate::shared;
use std::time::{Duration, Instant};
use worker_protocol::Outcome;

/// Runs one cell, or a few that belong together.
pub type Kind = fn(&mut Session, &mut Random);

/// Every kind, by name.
pub const KINDS: [(&str, Kind); 18] = [
    ("lines", lines),
    ("one write", one_write),
    ("stderr", stderr),
    ("bytes", bytes),
    ("program order", program_order),
    ("threads", threads),
    ("forks", forks),
    ("a thread between cells", thread_between_cells),
    ("input", input),
    ("unread input", unread_input),
    ("a value", value),
    ("an error", error),
    ("a queue", queue),
    ("a time limit", time_limit),
    ("an interrupt", interrupt),
    ("an interrupt amid output", interrupt_amid_output),
    ("an interrupt that is caught", interrupt_caught),
    ("a slow reader", slow_reader),
];

/// Runs before everything: an import that is interrupted may leave half a package behind, by Python's own fault.
pub const PREPARE: &str = "import _thread, asyncio, ctypes, gc, os, queue, subprocess, sys, threading, time, warnings";

/// A string as Python reads it. JSON's escapes are Python's too.
pub fn literal(text: &str) -> String {
    serde_json::to_string(text).expect("text is JSON")
}

pub fn numbered(tag: &str, count: u64) -> String {
    (0..count).map(|i| format!("{tag}{i}\n")).collect()
}

fn lines(session: &mut Session, random: &mut Random) {
    let tag = random.text(60);
    let count = random.magnitude(1, 30_000);
    let flush = if random.chance(3) { "True" } else { "False" };
    let code = format!("for i in range({count}): print({}, i, sep='', flush={flush})", literal(&tag));
    session.run(&code).is(numbered(&tag, count).as_bytes());
}

fn one_write(session: &mut Session, random: &mut Random) {
    let text = random.text(200);
    let count = random.magnitude(1, 40_000);
    let code = format!("import sys; _ = sys.stdout.write({} * {count})", literal(&text));
    session.run(&code).is(text.repeat(count as usize).as_bytes());
}

fn stderr(session: &mut Session, random: &mut Random) {
    let text = random.text(50);
    let count = random.magnitude(1, 2_000);
    let said = session.run(&format!("import sys\nfor _ in range({count}): _ = sys.stderr.write({})", literal(&text)));
    same(&said.stderr, text.repeat(count as usize).as_bytes());
    said.printed(b"");
}

fn bytes(session: &mut Session, random: &mut Random) {
    let all: Vec<u8> = (0..random.magnitude(1, 5_000)).map(|_| random.bits() as u8).collect();
    let hex: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
    let raw = random.chance(2);
    let call = if raw { "os.write(1, data)" } else { "sys.stdout.buffer.write(data)" };
    session.run(&format!("import os, sys; data = bytes.fromhex('{hex}'); _ = {call}")).is(&all);
}

/// Every way to print, one after the other.
/// Pieces of text, by every means of printing; some are lines, some are less, some are the end of a line and no more.
fn program_order(session: &mut Session, random: &mut Random) {
    let mut code = String::from("import ctypes, os, subprocess, sys, threading\nlibc = ctypes.CDLL(None)\n");
    let mut expected = String::new();
    for i in 0..random.magnitude(2, 24) {
        let text = format!("{i} {}", random.below(1000));
        let text = if random.chance(3) { String::new() } else { text };
        let end = if random.chance(3) && !text.is_empty() { "" } else { "\n" };
        let bytes = format!("b'{text}{}'", end.escape_default());
        let echo = if end.is_empty() { format!("printf \"{text}\"") } else { format!("echo \"{text}\"") };
        let statement = match random.below(20) {
            0 => format!("_ = os.system('{echo}')"),
            1 => format!("_ = subprocess.run('{echo}', shell=True, stdout=[None, sys.stdout, 1][{}])", random.below(3)),
            2 => format!("_ = os.spawnlp(os.P_WAIT, 'sh', 'sh', '-c', '{echo}')"),
            3 => {
                let print = format!("print('{text}', end={end:?})");
                format!(
                    "pid = os.fork()\nif pid == 0:\n    {print}; sys.stdout.flush()\n    os._exit(0)\n_ = os.waitpid(pid, 0)"
                )
            }
            // What is less than a line stays in C's own buffer, here as at a terminal, until somebody flushes it.
            4 | 5 => format!("_ = libc.printf({bytes}), libc.fflush(None)"),
            6 | 7 => format!("_ = os.write(1, {bytes})"),
            8 => format!("_ = os.writev(1, [{bytes}])"),
            9 => format!("_ = sys.stdout.buffer.write({bytes})"),
            10 => format!("_ = sys.stdout.write('{text}'), sys.stdout.write({end:?})"),
            11 => format!("sys.stdout.writelines(['{text}', {end:?}])"),
            12 => format!("with open(1, 'w', closefd=False) as f: print('{text}', end={end:?}, file=f)"),
            13 => format!("t = threading.Thread(target=lambda: print('{text}', end={end:?})); t.start(); t.join()"),
            14 if end == "\n" && text.is_empty() => "print()".to_owned(),
            _ => format!("print('{text}', end={end:?})"),
        };
        code.push_str(&format!("{statement}\n"));
        expected.push_str(&format!("{text}{end}"));
    }
    session.run(&code).is(expected.as_bytes());
}

/// The lines that begin with `tag` and a number, with these taken off.
fn lines_of<'a>(all: &'a str, tag: &str) -> Vec<&'a str> {
    all.lines().filter_map(|line| line.strip_prefix(tag)).collect()
}

fn check_threads(printed: &[u8], threads: u64, count: u64) {
    let text = std::str::from_utf8(printed).expect("UTF-8");
    assert_eq!(text.lines().count() as u64, threads * count, "lines of {threads} threads");
    for thread in 0..threads {
        let got = lines_of(text, &format!("t{thread}:"));
        let expected: Vec<String> = (0..count).map(|i| i.to_string()).collect();
        assert_eq!(got, expected, "thread {thread}");
    }
}

fn threads(session: &mut Session, random: &mut Random) {
    let threads = 1 + random.below(6);
    let count = random.magnitude(1, 3_000);
    let said = session.run(&format!(
        "import sys, threading\n\
         def go(k):\n    for i in range({count}): sys.stdout.write(f't{{k}}:{{i}}\\n')\n\
         all = [threading.Thread(target=go, args=(k,)) for k in range({threads})]\n\
         for t in all: t.start()\n\
         for t in all: t.join()"
    ));
    assert_eq!(said.outcome(), Outcome::Ok, "{:?}", said.ready);
    check_threads(&said.stdout, threads, count);
}

/// Forks while threads print: no lock of the worker's may be left behind in a child.
fn forks(session: &mut Session, random: &mut Random) {
    let forks = random.magnitude(1, 24);
    let count = random.magnitude(1, 3_000);
    let said = session.run(&format!(
        "import os, sys, threading, warnings\n\
         warnings.simplefilter('ignore')\n\
         def go():\n    for i in range({count}): sys.stdout.write(f't0:{{i}}\\n')\n\
         t = threading.Thread(target=go); t.start()\n\
         for i in range({forks}):\n    \
             pid = os.fork()\n    \
             if pid == 0:\n        print(f'f{{i}}'); os._exit(0)\n    \
             _ = os.waitpid(pid, 0)\n\
         t.join()"
    ));
    assert_eq!(said.outcome(), Outcome::Ok, "{:?}", said.ready);
    let text = String::from_utf8(said.stdout).expect("UTF-8");
    let of_thread: Vec<&str> = text.lines().filter(|line| line.starts_with('t')).collect();
    check_threads((of_thread.join("\n") + "\n").as_bytes(), 1, count);
    let of_children: Vec<&str> = text.lines().filter(|line| line.starts_with('f')).collect();
    let expected: Vec<String> = (0..forks).map(|i| format!("f{i}")).collect();
    assert_eq!(of_children, expected, "each child prints once, in order");
}

fn thread_between_cells(session: &mut Session, random: &mut Random) {
    let count = random.magnitude(1, 2_000);
    let mut all = session
        .run(&format!(
            "import sys, threading\n\
             def go():\n    for i in range({count}): sys.stdout.write(f't0:{{i}}\\n')\n\
             t = threading.Thread(target=go); t.start()"
        ))
        .stdout;
    pause(random);
    let joined = session.run("t.join()").stdout;
    all.extend(session.between());
    all.extend(joined);
    check_threads(&all, 1, count);
}

/// A moment of up to two milliseconds.
pub fn pause(random: &mut Random) {
    std::thread::sleep(Duration::from_micros(random.magnitude(0, 2_000)));
}

fn input(session: &mut Session, random: &mut Random) {
    let count = random.magnitude(1, 40);
    let code = format!("for _ in range({count}): print('got', input('p> '))");
    shared::input(session, random, &code, count, |line| line.replace(['\n', '\r'], " "));
}

fn unread_input(session: &mut Session, random: &mut Random) {
    shared::unread_input(session, random, "import sys; print(repr(sys.stdin.readline()))", "'first\\n'\n");
}

fn value(session: &mut Session, random: &mut Random) {
    let (a, b) = (random.below(1 << 30), random.below(1 << 30));
    let said = session.run(&format!("{a} * {b}"));
    let expected = format!("{}\n", a * b);
    said.is(expected.as_bytes());
    same(&said.result, expected.as_bytes());
}

fn error(session: &mut Session, random: &mut Random) {
    let (code, name) = match random.below(5) {
        0 => ("1/0", "ZeroDivisionError"),
        1 => ("def f(n): return f(n + 1)\nf(0)", "RecursionError"),
        2 => ("print('no'); x = = 1", "SyntaxError"),
        3 => ("try:\n    1/0\nexcept Exception as e:\n    raise ValueError('x') from e", "ValueError"),
        _ => ("nobody.knows", "NameError"),
    };
    let said = session.run(code);
    assert_eq!(said.outcome(), Outcome::Error, "{:?}", said.ready);
    let error = said.ready.error.as_ref().expect("an error says which");
    assert_eq!(error.name, name, "{error:?}");
    said.printed(b"");
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(text.lines().last().is_some_and(|line| line.starts_with(name)), "{text}");
}

fn queue(session: &mut Session, random: &mut Random) {
    shared::queue(session, random, |number| format!("print({number})"), |number| format!("{number}\n"));
}

fn time_limit(session: &mut Session, random: &mut Random) {
    shared::time_limit(session, random, &["while True: pass", "time.sleep(60)", "input()"]);
}

/// The cell after an interrupt is spared, whatever the moment.
fn spared(session: &mut Session, random: &mut Random) {
    let number = random.bits();
    session.run(&format!("print(sum([{number}, 1]) - 1)")).is(format!("{number}\n").as_bytes());
}

pub fn stopped(said: &Said) {
    assert!(matches!(said.outcome(), Outcome::Interrupted | Outcome::Discarded), "{:?}", said.ready);
}

fn interrupt(session: &mut Session, random: &mut Random) {
    let code = random.pick(&[
        "while True: pass",
        "time.sleep(60)",
        "input('never answered')",
        "os.read(0, 1)",
        // Locks and queues of C: an interrupt inside Python's own `threading` may become another error there.
        "lock = _thread.allocate_lock(); lock.acquire() and lock.acquire()",
        "queue.SimpleQueue().get()",
        "subprocess.run(['sleep', '60'])",
        "await asyncio.sleep(60)",
    ]);
    let id = session.begin(code);
    pause(random);
    stopped(&session.interrupt(&id, random.chance(2)));
    spared(session, random);
}

fn interrupt_amid_output(session: &mut Session, random: &mut Random) {
    let id = session.begin("import sys, itertools\nfor i in itertools.count(): sys.stdout.write(f'{i}\\n')");
    let enough = random.magnitude(0, 200_000) as usize;
    let end = Instant::now() + Duration::from_millis(200);
    while session.printed_so_far(&id) < enough && Instant::now() < end {
        session.step();
    }
    let said = session.interrupt(&id, random.chance(2));
    stopped(&said);
    let whole = said.stdout.len() as u64;
    // What came is the beginning of what the loop prints, to the byte.
    same(&said.stdout, &numbered("", whole / 2 + 1).as_bytes()[..said.stdout.len()]);
    spared(session, random);
}

fn interrupt_caught(session: &mut Session, random: &mut Random) {
    let id = session.begin("try:\n    while True: pass\nexcept KeyboardInterrupt:\n    print('caught')");
    pause(random);
    let said = session.interrupt(&id, random.chance(2));
    match said.outcome() {
        Outcome::Ok => said.is(b"caught\n"),
        _ => stopped(&said),
    }
    spared(session, random);
}

/// Nobody reads for a while amid much output.
fn slow_reader(session: &mut Session, random: &mut Random) {
    let count = random.magnitude(1_000, 100_000);
    let id = session.begin(&format!("for i in range({count}): print(i)"));
    std::thread::sleep(Duration::from_millis(random.magnitude(0, 300)));
    session.finish(&id).is(numbered("", count).as_bytes());
}
