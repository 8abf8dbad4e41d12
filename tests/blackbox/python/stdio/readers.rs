//! P9: everything in Python that reads standard input is usable through `input_wait`.

use crate::support::harness::Session;
use crate::support::pythons::for_each_python;
use worker_client::Batch;

/// Starts a cell that reads once, answers it with a line, and sees what it prints.
#[track_caller]
fn reads(s: &mut Session, code: &str, line: &str, printed: &str) {
    let id = s.begin(code);
    let wait = s.wait_for("");
    s.answer(&wait, line);
    let cell = s.finish(&id).ok();
    assert_eq!((cell.stdout.as_str(), cell.stderr.as_str()), (printed, ""), "{code:?}");
}

#[test]
fn p9_input_says_its_prompt_and_nothing_is_echoed() {
    for_each_python(|s, _| {
        let id = s.begin("name = input('who? ')\nprint('hello', name)");
        let wait = s.wait_for("who? ");
        assert_eq!((wait.id.as_deref(), wait.hidden), (Some(id.as_str()), false));
        s.answer(&wait, "Ada é");
        assert_eq!(s.finish(&id).ok().stdout, "hello Ada é\n");
        reads(s, "repr(input())", "", "\"''\"\n");
        let id = s.begin("print('before', end='')\nx = input(5)");
        let wait = s.wait_for("5");
        s.until_printed(&id, "before");
        s.answer(&wait, "y");
        assert_eq!(s.finish(&id).ok().stdout, "before");
    });
}

#[test]
fn p9_the_methods_of_sys_stdin_read() {
    for_each_python(|s, _| {
        s.says("import sys", "");
        reads(s, "sys.stdin.readline()", "a line", "'a line\\n'\n");
        reads(s, "sys.stdin.buffer.readline()", "bytes", "b'bytes\\n'\n");
        reads(s, "sys.stdin.read(3)", "ab", "'ab\\n'\n");
        reads(s, "next(sys.stdin)", "next", "'next\\n'\n");
        reads(s, "sys.stdin.buffer.read1()", "one", "b'one\\n'\n");
        reads(s, "sys.stdin.buffer.raw.read(10)", "raw", "b'raw\\n'\n");
        reads(s, "b = bytearray(4)\nsys.stdin.buffer.readinto(b)\nb", "abc", "bytearray(b'abc\\n')\n");
        s.says("sys.stdin.fileno()", "0\n");
        s.says("sys.stdin.readable(), sys.stdin.encoding.lower(), sys.stdin.closed", "(True, 'utf-8', False)\n");
    });
}

#[test]
fn p9_reading_to_the_end_ends_with_eof() {
    for_each_python(|s, _| {
        for (code, printed) in [
            ("import sys\nsys.stdin.read()", "'one\\ntwo'\n"),
            ("sys.stdin.readlines()", "['one\\n', 'two']\n"),
            ("for line in sys.stdin: print(repr(line))", "'one\\n'\n'two'\n"),
            ("sys.stdin.buffer.read()", "b'one\\ntwo'\n"),
            ("import fileinput\nfor line in fileinput.input(): print(repr(line))", "'one\\n'\n'two'\n"),
        ] {
            let id = s.begin(code);
            s.wait_for("");
            s.send(Batch::stdin("one"));
            s.send(Batch::stdin("two").eof());
            loop {
                match s.next() {
                    worker_client::Event::InputWait(_) => {}
                    worker_client::Event::Ready(ready) => {
                        assert_eq!(ready.id.as_deref(), Some(id.as_str()));
                        break;
                    }
                    other => s.fail(&format!("{other:?}")),
                }
            }
            let said = s.take(Some(&id));
            let text: String = said.texts.iter().filter_map(|text| text.text.clone()).collect();
            assert_eq!(text, printed, "{code:?}");
        }
    });
}

#[test]
fn p9_descriptor_0_reads_too() {
    for_each_python(|s, _| {
        reads(s, "import os\nos.read(0, 100)", "raw", "b'raw\\n'\n");
        reads(s, "open(0, closefd=False).readline()", "opened", "'opened\\n'\n");
        reads(s, "open(0, 'rb', buffering=0, closefd=False).read(50)", "bytes", "b'bytes\\n'\n");
        reads(s, "with open('/dev/stdin') as f: line = f.readline()\nline", "named", "'named\\n'\n");
        reads(s, "with open('/dev/fd/0', 'rb') as f: line = f.readline()\nline", "fd", "b'fd\\n'\n");
        s.says("import os; os.fstat(0) and None", "");
        reads(s, "import fileinput\nwith fileinput.input('-') as f: line = f.readline()\nline", "file", "'file\\n'\n");
        s.says("import sys\nsys.stdin.closed, os.fstat(0).st_mode != 0", "(False, True)\n");
    });
}

#[test]
fn p9_select_and_poll_wait_for_input() {
    for_each_python(|s, _| {
        s.says("import select, sys, selectors", "");
        s.says("select.select([sys.stdin], [], [], 0)", "([], [], [])\n");
        for code in [
            "r, _, _ = select.select([sys.stdin], [], [])\nprint(r == [sys.stdin], sys.stdin.readline())",
            "r, _, _ = select.select([0], [], [], 50)\nprint(r == [0], sys.stdin.readline())",
            "p = select.poll(); p.register(0, select.POLLIN)\nprint(p.poll() == [(0, select.POLLIN)], sys.stdin.readline())",
            "w = selectors.DefaultSelector(); w.register(sys.stdin, selectors.EVENT_READ)\nprint(len(w.select()) == 1, sys.stdin.readline())",
        ] {
            let id = s.begin(code);
            let wait = s.wait_for("");
            s.send(Batch::stdin("there").reader(wait.reader));
            assert_eq!(s.finish(&id).ok().stdout, "True there\n\n", "{code}");
        }
    });
}

#[test]
fn p9_select_without_time_tells_what_is_queued_and_starts_no_wait() {
    let mut s = Session::python();
    let id = s.begin(
        "import select, sys\nfirst = input('p')\nr, _, _ = select.select([sys.stdin], [], [], 0)\n\
         print(r == [sys.stdin], input())\nprint(select.select([sys.stdin], [], [], 0)[0])",
    );
    s.wait_for("p");
    s.send(Batch::stdin("one\ntwo"));
    assert_eq!(s.finish(&id).ok().stdout, "True two\n[]\n");
}

#[test]
fn p9_help_asks_through_input() {
    for_each_python(|s, _| {
        let id = s.begin("help()");
        let wait = s.wait_for("help> ");
        s.until_printed(&id, "help utility");
        s.answer(&wait, "len");
        let wait = s.wait_for("help> ");
        s.until_printed(&id, "Return the number of items in a container.\n");
        s.answer(&wait, "q");
        s.finish(&id).ok();
        let text = s.run("help(len)").ok().stdout;
        assert!(text.contains("len(obj, /)") && !text.contains('\x08'), "{text}");
        let text = s.run("import pydoc\npydoc.pager('line\\n' * 200)").ok().stdout;
        assert_eq!(text.trim_end(), "line\n".repeat(200).trim_end());
    });
}

#[test]
fn p9_the_debugger_is_driven_through_input() {
    for_each_python(|s, _| {
        for start in ["import pdb; pdb.set_trace()", "breakpoint()"] {
            let id = s.begin(&format!("x = 41\n{start}\ny = x + 1\nprint('y is', y)"));
            let wait = s.wait_for("(Pdb) ");
            s.answer(&wait, "p x");
            let wait = s.wait_for("(Pdb) ");
            s.until_printed(&id, "41\n");
            s.answer(&wait, "n");
            let wait = s.wait_for("(Pdb) ");
            s.answer(&wait, "c");
            let text = s.finish(&id).ok().stdout;
            assert!(text.ends_with("y is 42\n") && text.contains("-> y = x + 1"), "{text}");
        }
    });
}

#[test]
fn p9_leaving_the_debugger_spares_the_next_cell() {
    // A session each: at the prompt of Python 3.14 and 3.15 too, no breakpoint stops after a `q`.
    for command in ["q", "c"] {
        for_each_python(|s, _| {
            let id = s.begin("breakpoint()\nx = 1");
            let wait = s.wait_for("(Pdb) ");
            s.answer(&wait, command);
            s.finish(&id);
            s.says("import sys\nprint('next', sys.gettrace())", "next None\n");
        });
    }
}

#[test]
fn p9_stepping_never_walks_into_the_worker() {
    for_each_python(|s, _| {
        for command in ["n", "s", "r"] {
            let id = s.begin("breakpoint()\nx = 1");
            let mut wait = s.wait_for("(Pdb) ");
            loop {
                s.answer(&wait, command);
                match s.next() {
                    worker_client::Event::InputWait(next) => wait = next,
                    worker_client::Event::Ready(ready) => {
                        assert_eq!(ready.id.as_deref(), Some(id.as_str()));
                        break;
                    }
                    other => s.fail(&format!("{other:?}")),
                }
            }
            let mut said = s.take(Some(&id)).texts;
            // As at the prompt, a debugger that was stepped out of a cell may stop at the next one.
            let id = s.begin("print('next')");
            loop {
                match s.next() {
                    worker_client::Event::InputWait(wait) => s.answer(&wait, "c"),
                    worker_client::Event::Ready(ready) => {
                        assert_eq!(ready.id.as_deref(), Some(id.as_str()));
                        break;
                    }
                    other => s.fail(&format!("{other:?}")),
                }
            }
            said.extend(s.take(Some(&id)).texts);
            let text: String = said.into_iter().filter_map(|text| text.text).collect();
            assert!(text.ends_with("next\n"), "{text}");
            let places: Vec<_> = text.lines().filter(|line| line.starts_with("> ")).collect();
            assert!(places.iter().all(|place| place.starts_with("> <cell ")), "{places:?}");
            s.says("import sys\nprint(sys.gettrace())", "None\n");
        }
    });
}

#[test]
fn p9_code_interact_is_a_prompt_of_its_own() {
    for_each_python(|s, _| {
        let id = s.begin("import code\ncode.interact(banner='hi', exitmsg='bye')");
        let wait = s.wait_for(">>> ");
        s.answer(&wait, "if 1:");
        let wait = s.wait_for("... ");
        s.answer(&wait, "    z = 6 * 7");
        let wait = s.wait_for("... ");
        s.answer(&wait, "");
        let wait = s.wait_for(">>> ");
        s.answer(&wait, "z");
        let wait = s.wait_for(">>> ");
        s.until_printed(&id, "42\n");
        s.send(Batch::stdin("").reader(wait.reader).eof());
        let cell = s.finish(&id).ok();
        assert!(cell.stderr.contains("hi\n") && cell.stderr.contains("bye\n"), "{cell:?}");
        s.says("1", "1\n");
    });
}

#[test]
fn p9_getpass_hides_what_is_typed() {
    for_each_python(|s, _| {
        let id = s.begin("import getpass\nsecret = getpass.getpass()\nprint(len(secret))");
        let wait = s.wait_for("Password: ");
        assert!(wait.hidden);
        s.answer(&wait, "hunter2");
        let cell = s.finish(&id).ok();
        assert_eq!((cell.stdout.as_str(), cell.stderr.as_str()), ("7\n", ""));
        let id = s.begin("from getpass import getpass\ngetpass('PIN: ') == '1'");
        let wait = s.wait_for("PIN: ");
        assert!(wait.hidden);
        s.answer(&wait, "1");
        assert_eq!(s.finish(&id).ok().stdout, "True\n");
    });
}
