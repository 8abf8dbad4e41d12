//! O1, O2, O4: everything printed arrives, whole, in order and soon.

use crate::support::harness::{Session, launch_on};
use crate::support::pythons::{self, for_each_python};
use crate::support::said::Cell;
use worker_client::Batch;
use worker_protocol::{MAX_TEXT, Stream};

#[test]
fn o1_all_kinds_of_output_come_in_program_order() {
    for_each_python(|s, _| {
        // A thread that was joined may still be counted by the system, and CPython warns of it at a fork.
        s.says("import os, sys, subprocess, ctypes, threading, warnings\nlibc = ctypes.CDLL(None); warnings.simplefilter('ignore')", "");
        let code = "for i in range(20):\n    print('print', i)\n    os.write(1, b'write %d\\n' % i)\n    sys.stdout.write(f'half {i} ')\n    \
                    os.write(1, b'raw\\n')\n    libc.printf(b'printf %d\\n', i)\n    print('again', i)\n    libc.puts(b'puts')\n    \
                    os.system('echo system')\n    print('more', i, end='')\n    subprocess.run(['echo', ' child'])\n    \
                    sys.stdout.buffer.write(b'bytes\\n')\n    t = threading.Thread(target=print, args=('thread', i)); t.start(); t.join()\n    \
                    pid = os.fork()\n    if not pid:\n        print('forked', i, flush=True); os._exit(0)\n    os.waitpid(pid, 0)\n";
        let wanted: String = (0..20)
            .map(|i| {
                format!(
                    "print {i}\nwrite {i}\nhalf {i} raw\nprintf {i}\nagain {i}\nputs\nsystem\nmore {i} child\nbytes\n\
                     thread {i}\nforked {i}\n"
                )
            })
            .collect();
        let cell = s.says(code, &wanted);
        let raw: Vec<_> = cell.texts.iter().filter(|text| text.origin.as_deref() == Some("fd")).collect();
        assert!(!raw.is_empty(), "raw output names its origin");
        let owned = cell.texts.iter().find(|text| text.text.as_deref().is_some_and(|t| t.contains("print")));
        assert_eq!(owned.unwrap().origin, None);
    });
}

#[test]
fn o1_what_c_code_prints_is_buffered_as_at_a_terminal() {
    let load = "import os, ctypes\nlibc = ctypes.CDLL(None)";
    let code = "for i in range(20):\n    libc.puts(b'line'); os.write(1, b'raw\\n'); os.system('echo child')\n    \
                libc.printf(b'half'); print(); libc.printf(b'left'); os.write(1, b' over\\n')";
    // A line goes out whole; `print` comes after what C code has left, `os.write` knows nothing of it.
    let by_lines: String = (0..20).map(|_| "line\nraw\nchild\nhalf\n over\nleft").collect();
    let at_once: String = (0..20).map(|_| "line\nraw\nchild\nhalf\nleft over\n").collect();
    for python in pythons::all() {
        for (launch, wanted) in
            [(launch_on(python), &by_lines), (launch_on(python).env("PYTHONUNBUFFERED", "1"), &at_once)]
        {
            let mut s = Session::start(launch);
            s.says(load, "");
            s.says(code, wanted);
        }
    }
}

#[test]
fn o1_both_streams_keep_the_order_between_them() {
    for_each_python(|s, _| {
        let code = "import sys, os\nfor i in range(50):\n    print('o', i)\n    print('e', i, file=sys.stderr)\n    os.write(1, b'w%d\\n' % i)";
        let cell = s.run(code).ok();
        let all: String = cell.texts.iter().filter_map(|text| text.text.clone()).collect();
        let wanted: String = (0..50).map(|i| format!("o {i}\ne {i}\nw{i}\n")).collect();
        assert_eq!(all, wanted);
        assert!(cell.texts.iter().any(|text| text.stream == Stream::Stderr));
    });
}

#[test]
fn o1_output_of_children_that_was_written_before_the_end_comes_before_ready() {
    let mut s = Session::python();
    for _ in 0..50 {
        let code = "import subprocess\nsubprocess.run(['sh', '-c', 'echo out; echo err >&2'])\nNone";
        let cell = s.run(code).ok();
        assert_eq!((cell.stdout.as_str(), cell.stderr.as_str()), ("out\n", "err\n"));
    }
}

#[test]
fn o1_a_child_that_goes_on_is_heard_between_cells() {
    let mut s = Session::python();
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    s.says(&format!("import subprocess\np = subprocess.Popen(['sh', '-c', 'while [ ! -e {} ]; do sleep 0.01; done; echo late'])", gate.display()), "");
    std::fs::write(&gate, "").unwrap();
    assert_eq!(s.between_cells("late\n"), "late\n");
    s.says("p.wait()", "0\n");
}

#[test]
fn o1_threads_lines_are_whole() {
    for_each_python(|s, _| {
        let code = "import threading, sys\nsys.setswitchinterval(1e-5)\ndef work(n):\n    for i in range(500): sys.stdout.write(f'{n}:{i}:' + 'x' * 50 + '\\n')\n\
                    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]\nfor t in threads: t.start()\nfor t in threads: t.join()";
        let cell = s.run(code).ok();
        let mut next = [0; 4];
        for line in cell.stdout.lines() {
            let mut parts = line.split(':');
            let thread: usize = parts.next().unwrap().parse().unwrap();
            assert_eq!(parts.next().unwrap().parse::<usize>().unwrap(), next[thread]);
            assert_eq!(parts.next(), Some("x".repeat(50).as_str()));
            next[thread] += 1;
        }
        assert_eq!(next, [500; 4]);
    });
}

#[test]
fn o2_utf_8_is_never_cut() {
    for_each_python(|s, _| {
        let cell = s.says("import os\nos.write(1, b'\\xc3')\nos.write(1, b'\\xa9\\n')\nNone", "é\n");
        assert!(cell.texts.iter().all(|text| text.data_b64.is_none()), "{:?}", cell.texts);
        let cell = s.run("print('é→😀' * 50_000)").ok();
        assert_eq!(cell.stdout, "é→😀".repeat(50_000) + "\n");
        whole(&cell);
        let cell = s.run("os.write(1, ('→' * 100_000).encode()) and None\nimport sys\nsys.stdout.buffer.write(('é' * 100_000).encode()) and None").ok();
        assert!(cell.texts.iter().all(|text| text.data_b64.is_none()), "UTF-8 comes as text");
        whole(&cell);
    });
}

#[track_caller]
fn whole(cell: &Cell) {
    for text in &cell.texts {
        let text = text.text.as_deref().expect("text");
        assert!(text.len() <= MAX_TEXT, "{} bytes in one message", text.len());
        assert!(!text.contains('\u{fffd}'));
    }
}

#[test]
fn o2_bytes_that_are_not_utf_8_arrive_unchanged() {
    for_each_python(|s, _| {
        s.says("import os, sys", "");
        for code in [
            "os.write(1, bytes(range(256))) and None",
            "sys.stdout.buffer.write(bytes(range(256))) and None",
            "subprocess.run(['printf', ''.join('\\\\%03o' % i for i in range(256))])\nNone",
        ] {
            let cell = s.run(&format!("import subprocess\n{code}")).ok();
            let bytes: Vec<u8> = cell.texts.iter().flat_map(|text| text.bytes().into_owned()).collect();
            assert_eq!(bytes, (0..=255).collect::<Vec<u8>>(), "{code}");
        }
        let cell = s.run("os.write(1, b'ok \\xff\\xfe ok\\n') and None").ok();
        assert!(cell.texts.iter().any(|text| text.data_b64.is_some()));
        let cell = s.run("os.write(1, b'cut \\xe2\\x82') and None").ok();
        let bytes: Vec<u8> = cell.texts.iter().flat_map(|text| text.bytes().into_owned()).collect();
        assert_eq!(bytes, b"cut \xe2\x82", "what is cut at the end of a cell comes with that cell");
    });
}

#[test]
fn o2_lone_surrogates_do_no_harm() {
    for_each_python(|s, _| {
        for code in [
            "print('\\ud800')",
            "print('\\udcff')",
            "import sys\nsys.stderr.write('\\ud800')",
            "'\\ud800'",
            "input('\\ud800')",
        ] {
            let id = s.begin(code);
            loop {
                match s.next() {
                    worker_client::Event::InputWait(wait) => s.send(Batch::stdin("x").reader(wait.reader)),
                    worker_client::Event::Ready(ready) => {
                        break assert_eq!(ready.id.as_deref(), Some(id.as_str()));
                    }
                    other => s.fail(&format!("{other:?}")),
                }
            }
            s.take(Some(&id));
            s.says("'fine'", "'fine'\n");
        }
    });
}

#[test]
fn a_long_write_is_split_and_its_parts_are_marked() {
    let mut s = Session::python();
    let cell = s.run("import sys\nsys.stdout.write('x' * 200_000) and None").ok();
    assert_eq!(cell.stdout.len(), 200_000);
    let marks: Vec<_> = cell.texts.iter().map(|text| text.is_continuation).collect();
    assert!(marks.len() >= 4 && !marks[0] && marks[1..].iter().all(|mark| *mark), "{marks:?}");
    whole(&cell);
    let cell = s.run("sys.stdout.write('short') and None").ok();
    assert!(cell.texts.iter().all(|text| !text.is_continuation));
}

#[test]
fn o4_the_streams_behave_as_files() {
    for_each_python(|s, _| {
        s.says("import sys, io, os, contextlib, logging", "");
        s.says("print('a', end=''); print('b', end='\\r'); print('c', flush=True)", "ab\rc\n");
        s.says(
            "print(sys.stdout.fileno(), sys.stderr.fileno(), sys.stdout.isatty(), sys.stdout.writable())",
            "1 2 False True\n",
        );
        s.says("sys.stdout.write('abc')", "abc3\n");
        s.says("sys.stdout.writelines(['x', 'y\\n'])", "xy\n");
        s.says("sys.stdout.buffer.write(b'buf\\n'); sys.stdout.buffer.flush()", "buf\n");
        s.says("print(1); sys.stdout.buffer.write(b'2\\n'); print(3)", "1\n2\n3\n");
        s.says("sys.stdout.reconfigure(line_buffering=True, errors='replace'); print('still')", "still\n");
        s.says("print('\\ud800')", "?\n");
        s.says("sys.stdout.reconfigure(errors='strict')", "");
        s.says(
            "with contextlib.redirect_stdout(io.StringIO()) as out: print('caught')\nout.getvalue()",
            "'caught\\n'\n",
        );
        s.says("print(sys.stdout.encoding.lower(), sys.stdout.errors, sys.stdout.newlines, sys.stdout.name, sys.stdout.mode)", "utf-8 strict None <stdout> w\n");
        s.says(
            "isinstance(sys.stdout, io.TextIOBase), sys.stdout is sys.__stdout__, sys.stdout.closed",
            "(True, True, False)\n",
        );
        s.says("open(1, 'w', closefd=False).write('by number\\n') and None", "by number\n");
        let cell = s.run("logging.warning('logged')").ok();
        assert_eq!((cell.stdout.as_str(), cell.stderr.as_str()), ("", "WARNING:root:logged\n"));
        let cell = s.run("print('err', file=sys.stderr); sys.stderr.buffer.write(b'raw err\\n')\nNone").ok();
        assert_eq!(cell.stderr, "err\nraw err\n");
        s.run("print(1, file=sys.stdin)").failed("UnsupportedOperation");
        s.run("sys.stdout.write(5)").failed("TypeError");
    });
}

#[test]
fn o4_faulthandler_and_unraisable_errors_are_heard() {
    for_each_python(|s, python| {
        let ignored = match python.minor {
            ..14 => "Exception ignored in: <function D.__del__",
            14.. => "Exception ignored while calling deallocator <function D.__del__",
        };
        let cell = s.run("import faulthandler, sys\nfaulthandler.dump_traceback()\nfaulthandler.enable(); faulthandler.disable()").ok();
        assert!(cell.stderr.contains("<cell 1>"), "{}", cell.stderr);
        let cell = s.run("class D:\n    def __del__(self): 1/0\nd = D(); del d").ok();
        assert!(cell.stderr.contains(ignored) && cell.stderr.contains("ZeroDivisionError"), "{}", cell.stderr);
        let cell = s.run("import threading\nt = threading.Thread(target=lambda: 1/0); t.start(); t.join()").ok();
        assert!(
            cell.stderr.contains("Exception in thread") && cell.stderr.contains("ZeroDivisionError"),
            "{}",
            cell.stderr
        );
    });
}

#[test]
fn o4_what_is_printed_is_sent_without_a_flush() {
    for_each_python(|s, _| {
        let folder = tempfile::tempdir().unwrap();
        let gate = folder.path().join("gate");
        let id = s.begin(&format!("import os\nprint('unflushed', end='')\nwhile not os.path.exists({gate:?}): pass"));
        s.until_printed(&id, "unflushed");
        std::fs::write(&gate, "").unwrap();
        s.finish(&id).ok();
    });
}

#[test]
fn o4_after_a_flush_text_is_in_the_channel() {
    for_each_python(|_, python| {
        for code in [
            "print('last', flush=True)",
            "import sys; sys.stdout.write('last\\n'); sys.stdout.flush()",
            "import sys; sys.stdout.buffer.write(b'last\\n'); sys.stdout.buffer.flush()",
        ] {
            let mut s = Session::on(python);
            s.begin(&format!("{code}\nimport os; os._exit(0)"));
            assert_eq!(s.ended().stdout, "last\n", "{code}");
        }
    });
}

#[test]
fn o4_progress_bars_and_much_output_arrive_whole() {
    let mut s = Session::python();
    let wanted: String = (0..1000).map(|i| format!("\r{i}%")).collect();
    s.says("for i in range(1000): print(f'\\r{i}%', end='', flush=True)", &wanted);
    let cell = s.run("for i in range(200_000): print(i)").ok();
    assert!(cell.stdout.lines().enumerate().all(|(n, line)| line == n.to_string()));
    assert_eq!(cell.stdout.lines().count(), 200_000);
    let cell = s
        .run("import os\nos.write(1, b'z' * 60_000) and os.system('head -c 3000000 /dev/zero | tr \"\\\\0\" y')\nNone")
        .ok();
    assert_eq!(cell.stdout.len(), 3_060_000);
}
