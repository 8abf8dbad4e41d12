//! S1 to S3, S6, S7: standard input is asked for once, served as it comes, and never leaks.

use crate::support::harness::Session;
use crate::support::pythons::for_each_python;
use serde_json::json;
use worker_client::Batch;

#[test]
fn s1_a_wait_is_said_once_and_before_the_reader_blocks() {
    for_each_python(|s, _| {
        for (code, prompt) in
            [("input('p ')", "p "), ("import os\nos.read(0, 5)", ""), ("open(0, closefd=False).readline()", "")]
        {
            let id = s.begin(code);
            let wait = s.wait_for(prompt);
            s.until_asleep();
            assert_eq!(s.status()["state"], "waiting");
            s.line("nonsense");
            assert_eq!(s.refusal().code, -32700);
            assert_eq!(s.status()["id"], json!(id));
            s.answer(&wait, "x");
            s.finish(&id).ok();
        }
    });
}

#[test]
fn s1_each_wait_has_a_number_of_its_own() {
    let mut s = Session::python();
    let id = s.begin("a = input('one ')\nb = input('two ')\nprint(a, b)");
    let first = s.wait_for("one ");
    s.answer(&first, "1");
    let second = s.wait_for("two ");
    assert_ne!(first.reader, second.reader);
    s.answer(&second, "2");
    assert_eq!(s.finish(&id).ok().stdout, "1 2\n");
}

#[test]
fn s1_a_cell_that_waits_says_everything_printed_before() {
    let mut s = Session::python();
    let id = s.begin("import os\nprint('a', end='')\nos.write(1, b'b')\nprint('c', end='')\ninput()");
    let wait = s.wait_for("");
    let before: String = s.take(Some(&id)).texts.iter().filter_map(|text| text.text.clone()).collect();
    assert_eq!(before, "abc");
    s.answer(&wait, "x");
    assert_eq!(s.finish(&id).ok().stdout, "'x'\n");
}

#[test]
fn s1_queued_input_is_delivered_without_a_wait() {
    let mut s = Session::python();
    let id = s.begin("a = input('one ')\nb = input('two ')\nprint(a, b)");
    let wait = s.wait_for("one ");
    s.send(Batch::stdin("1\n2"));
    s.delivered(&wait, "1");
    let line = s.line_event();
    assert_eq!((line.prompt.as_str(), line.text.as_deref()), ("two ", Some("2")));
    assert_eq!(s.finish(&id).ok().stdout, "1 2\n");
}

#[test]
fn s2_raw_readers_take_what_there_is() {
    for_each_python(|s, _| {
        let id = s.begin("import os\nprint(os.read(0, 5))\nprint(os.read(0, 100))\nprint(os.read(0, 100))");
        s.wait_for("");
        s.send(Batch::stdin("hello world"));
        let wait = s.wait_for("");
        s.until_printed(&id, "b' world\\n'\n");
        s.send(Batch::stdin("é").reader(wait.reader));
        assert_eq!(s.finish(&id).ok().stdout, "b'hello'\nb' world\\n'\nb'\\xc3\\xa9\\n'\n");
        let id = s.begin("import sys\nsys.stdin.buffer.raw.read(3), sys.stdin.buffer.raw.read(3)");
        s.wait_for("");
        s.send(Batch::stdin("abcd"));
        assert_eq!(s.finish(&id).ok().stdout, "(b'abc', b'd\\n')\n");
    });
}

#[test]
fn s3_what_a_cell_leaves_unread_never_reaches_a_later_one() {
    for_each_python(|s, _| {
        let leftovers = [
            ("input()", "one\ntwo", 4),
            ("import sys\nsys.stdin.read(2)", "abcdef", 5),
            ("sys.stdin.readline()", "a\nbc", 3),
            ("sys.stdin.buffer.read(1)", "xyz", 3),
            ("sys.stdin.buffer.peek()", "peeked", 7),
            ("next(sys.stdin)", "a\nb\nc", 4),
            ("import os\nos.read(0, 2)", "raw", 2),
        ];
        for (code, text, left) in leftovers {
            let id = s.begin(code);
            s.wait_for("");
            s.send(Batch::stdin(text));
            let cell = s.finish(&id).ok();
            assert_eq!(cell.ready.discarded_stdin_bytes, Some(left), "{code:?}");
            for read in ["input()", "sys.stdin.readline().strip()", "os.read(0, 9).strip().decode()"] {
                let id = s.begin(&format!("import os, sys\nprint({read})"));
                let wait = s.wait_for("");
                s.answer(&wait, "fresh");
                let cell = s.finish(&id).ok();
                assert_eq!((cell.stdout.as_str(), cell.ready.discarded_stdin_bytes), ("fresh\n", None));
            }
        }
    });
}

#[test]
fn s3_input_for_a_cell_that_reads_none_is_dropped() {
    let mut s = Session::python();
    let id = s.begin("input('go ')\nx = 1");
    s.wait_for("go ");
    s.send(Batch::cell("input('mine ')").id("later"));
    s.send(Batch::stdin("for later").id("later"));
    s.send(Batch::stdin("first"));
    s.finish(&id).ok();
    let cell = s.finish("later").ok();
    assert_eq!(cell.stdout, "'for later'\n");
    assert_eq!(cell.lines[0].prompt, "mine ");
}

#[test]
fn s6_children_and_c_code_get_end_of_file_at_once() {
    for_each_python(|s, _| {
        s.says("import subprocess, os, sys, ctypes", "");
        s.says("subprocess.run(['cat'], stdout=subprocess.PIPE).stdout", "b''\n");
        s.says("os.system('cat')", "0\n");
        s.says(
            "subprocess.run([sys.executable, '-c', 'import sys; print(repr(sys.stdin.read()))'], check=True) and None",
            "''\n",
        );
        s.says("ctypes.CDLL(None).getchar()", "-1\n");
        s.says("ctypes.CDLL(None).read(0, ctypes.create_string_buffer(9), 9)", "0\n");
        s.says("os.popen('read x; echo $?').read()", "'1\\n'\n");
        let id = s.begin("subprocess.run(['cat'])\ninput('mine ')");
        let wait = s.wait_for("mine ");
        s.answer(&wait, "still mine");
        assert_eq!(s.finish(&id).ok().stdout, "'still mine'\n");
    });
}

#[test]
fn s7_output_that_looks_like_a_prompt_is_output() {
    let mut s = Session::python();
    let id = s.begin("print('p> hello')\nprint('p> ', end='')\nx = input('p> ')\nprint('p> hello')");
    let wait = s.wait_for("p> ");
    s.answer(&wait, "hello");
    assert_eq!(s.finish(&id).ok().stdout, "p> hello\np> p> hello\n");
}

#[test]
fn the_users_own_stdin_is_his_own() {
    for_each_python(|s, _| {
        s.says("import io, sys\nsys.stdin = io.StringIO('from memory\\n')", "");
        s.says("input('p> ')", "p> 'from memory'\n");
        s.says("sys.stdin = sys.__stdin__", "");
        s.says(
            "import os\nr, w = os.pipe(); os.write(w, b'piped\\n'); os.close(w)\nold = os.dup(0); os.dup2(r, 0); os.close(r)\n\
             print(os.read(0, 20)); os.dup2(old, 0); os.close(old)",
            "b'piped\\n'\n",
        );
        let id = s.begin("input()");
        let wait = s.wait_for("");
        s.answer(&wait, "back");
        assert_eq!(s.finish(&id).ok().stdout, "'back'\n");
    });
}
