//! P5 and P6: what a failed cell prints, tells and leaves behind.

use crate::support::harness::Session;
use crate::support::pythons::for_each_python;
use crate::support::said::without_carets;

#[test]
fn p5_a_traceback_shows_only_the_users_frames_with_their_lines() {
    for_each_python(|s, _| {
        let cell = s.run("def f():\n    return 1/0\nf()").failed("ZeroDivisionError");
        let wanted = "Traceback (most recent call last):\n  File \"<cell 1>\", line 3, in <module>\n    f()\n  \
                      File \"<cell 1>\", line 2, in f\n    return 1/0\nZeroDivisionError: division by zero\n";
        assert_eq!(without_carets(&cell.stderr), wanted);
        assert_eq!(cell.traceback, cell.stderr);
        let error = cell.ready.error.unwrap();
        assert_eq!((error.name.as_str(), error.message.as_str()), ("ZeroDivisionError", "division by zero"));
        let told: String = error.traceback.iter().map(|line| format!("{}\n", line.trim_end_matches('\n'))).collect();
        assert_eq!(told, cell.stderr, "ready.error.traceback is what was printed");

        let cell = s.run("f()").failed("ZeroDivisionError");
        let wanted = "Traceback (most recent call last):\n  File \"<cell 2>\", line 1, in <module>\n    f()\n  \
                      File \"<cell 1>\", line 2, in f\n    return 1/0\nZeroDivisionError: division by zero\n";
        assert_eq!(without_carets(&cell.stderr), wanted);
    });
}

#[test]
fn p5_library_frames_are_shown_and_ours_are_not() {
    for_each_python(|s, _| {
        let cell = s.run("import json\njson.loads('{')").failed("JSONDecodeError");
        assert!(cell.stderr.contains("json/decoder.py"), "{}", cell.stderr);
        let lines = cell.stderr.lines();
        let files: Vec<_> = lines.filter(|line| line.starts_with("  File")).collect();
        assert!(files[0].contains("<cell 1>"), "{files:?}");
        for file in files {
            assert!(file.contains("<cell 1>") || file.contains("/json/"), "not the user's: {file}");
        }
    });
}

#[test]
fn p5_syntax_errors_point_into_the_cell() {
    for_each_python(|s, _| {
        let cell = s.run("x = 1\ny = (2 +\n").failed("SyntaxError");
        assert!(cell.stderr.starts_with("  File \"<cell 1>\", line 2\n    y = (2 +\n"), "{}", cell.stderr);
        let cell = s.run("import sys\nsys.nonsense(1 2)").failed("SyntaxError");
        assert!(cell.stderr.contains("File \"<cell 2>\", line 2\n    sys.nonsense(1 2)\n"), "{}", cell.stderr);
    });
}

#[test]
fn p5_chains_notes_and_groups_are_printed() {
    for_each_python(|s, python| {
        let chained = s.run("try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e");
        let text = chained.failed("KeyError").stderr;
        assert!(text.contains("direct cause of the following exception"), "{text}");
        assert!(text.contains("ZeroDivisionError: division by zero") && text.ends_with("KeyError: 'k'\n"), "{text}");
        let text = s.run("try:\n    1/0\nexcept ZeroDivisionError:\n    {}['k']").failed("KeyError").stderr;
        assert!(text.contains("During handling of the above exception"), "{text}");
        if python.minor >= 11 {
            let text = s.run("e = ValueError('v')\ne.add_note('a note')\nraise e").failed("ValueError").stderr;
            assert!(text.ends_with("ValueError: v\na note\n"), "{text}");
            let code = "raise ExceptionGroup('several', [ValueError(1), KeyError(2)])";
            let text = s.run(code).failed("ExceptionGroup").stderr;
            assert!(text.contains("Exception Group Traceback") && text.contains("| ValueError: 1"), "{text}");
        }
    });
}

#[test]
fn p5_the_users_excepthook_is_called() {
    for_each_python(|s, _| {
        s.says("import sys\nsys.excepthook = lambda kind, value, tb: print('hook', kind.__name__, tb.tb_lineno)", "");
        let cell = s.run("\n1/0").failed("ZeroDivisionError");
        assert_eq!((cell.stdout.as_str(), cell.stderr.as_str()), ("hook ZeroDivisionError 2\n", ""));
        s.says("def bad(*a): raise RuntimeError('in hook')\nsys.excepthook = bad", "");
        let text = s.run("1/0").failed("ZeroDivisionError").stderr;
        assert!(text.contains("RuntimeError: in hook") && text.contains("ZeroDivisionError"), "{text}");
        s.says("1", "1\n");
    });
}

#[test]
fn p5_awkward_exceptions_are_told() {
    let mut s = Session::python();
    s.says("class Odd(Exception):\n    def __str__(self): raise ValueError('no text')", "");
    s.run("raise Odd()").failed("Odd");
    s.run("def f(): f()\nf()").failed("RecursionError");
    s.run("raise Exception('\\ud800')").failed("Exception");
    s.run("raise BaseException('base')").failed("BaseException");
    s.run("raise GeneratorExit").failed("GeneratorExit");
    s.run("raise StopIteration(3)").failed("StopIteration");
    let long = s.run("raise ValueError('x' * 10_000_000)").failed("ValueError");
    assert!(long.stderr.len() > 10_000_000);
    let cell = s.run("import warnings\nwarnings.warn('careful')").ok();
    assert!(cell.stderr.contains("<cell 9>:2: UserWarning: careful"), "{}", cell.stderr);
}

#[test]
fn p6_a_failed_cell_leaves_its_error_for_a_look() {
    for_each_python(|s, python| {
        s.run("def f():\n    inner = 42\n    return 1/0\nf()").failed("ZeroDivisionError");
        s.says(
            "import sys\nprint(sys.last_type.__name__, sys.last_value, sys.last_traceback.tb_frame.f_code.co_filename)",
            "ZeroDivisionError division by zero <cell 1>\n",
        );
        if python.minor >= 12 {
            s.says("print(sys.last_exc is sys.last_value)", "True\n");
        }
        s.says("print(sys.exc_info())", "(None, None, None)\n");
        let id = s.begin("import pdb; pdb.pm()");
        let wait = s.wait_for("(Pdb) ");
        s.answer(&wait, "p inner");
        let wait = s.wait_for("(Pdb) ");
        s.answer(&wait, "q");
        let cell = s.finish(&id);
        assert!(cell.stdout.contains("> <cell 1>(3)f()\n-> return 1/0\n"), "{}", cell.stdout);
        assert!(cell.stdout.ends_with("42\n"), "{}", cell.stdout);
        s.run("x = = 1").failed("SyntaxError");
        s.says("print(sys.last_type.__name__)", "SyntaxError\n");
    });
}

#[test]
fn p5_errors_behind_an_error_show_the_users_frames_too() {
    for_each_python(|s, _| {
        let cell = s.run("import select\ntry:\n    select.select([0], [1.5], [])\nexcept Exception:\n    1 / 0");
        let cell = cell.failed("ZeroDivisionError");
        assert!(
            cell.stderr.contains("line 3, in <module>") && cell.stderr.contains("During handling"),
            "{}",
            cell.stderr
        );
        assert!(!cell.stderr.contains("<worker"), "{}", cell.stderr);
    });
}

#[test]
fn p5_an_error_while_a_value_is_shown_begins_at_the_cell() {
    for_each_python(|s, python| {
        s.says("class C:\n    def __repr__(self): return self.what()\n    def what(self): return 5", "");
        // Python 3.13 marks the parentheses, as at its prompt.
        let without_marks = |text: &str| text.replace("    ~^^\n", "");
        let cell = s.run("x = 1\nC()").failed("TypeError");
        let why = match python.minor {
            ..15 => "__repr__ returned non-string (type int)",
            15.. => "C.__repr__() must return a str, not int",
        };
        let wanted = format!(
            "Traceback (most recent call last):\n  File \"<cell 2>\", line 2, in <module>\n    C()\nTypeError: {why}\n"
        );
        assert_eq!(without_marks(&cell.stderr), wanted);
        s.says("C.what = lambda self: 1/0", "");
        let cell = s.run("C()").failed("ZeroDivisionError");
        let begin = "Traceback (most recent call last):\n  File \"<cell 4>\", line 1, in <module>\n    C()\n  \
                     File \"<cell 1>\", line 2, in __repr__\n";
        assert!(without_marks(&cell.stderr).starts_with(begin), "{}", cell.stderr);
        let cell = s.run("import asyncio\nawait asyncio.sleep(0, C())").failed("ZeroDivisionError");
        assert!(cell.stderr.contains("\"<cell 5>\", line 2, in <module>\n"), "{}", cell.stderr);
    });
}
