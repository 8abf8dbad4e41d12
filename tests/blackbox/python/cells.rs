//! P1 to P3: a cell is compiled whole, its value is printed, and user code cannot take the session's tools away.

use crate::support::harness::Session;
use crate::support::pythons::{self, for_each_python, prompt_prints};

#[test]
fn p1_a_cell_that_does_not_compile_has_no_side_effect() {
    for_each_python(|s, _| {
        let broken = [
            "print('ran'); x = 1\ndef f():\n    await foo()",
            "print('ran'); x = 1\nyield 2",
            "print('ran'); x = 1\nreturn 2",
            "print('ran'); x = 1\n)",
            "print('ran'); x = 1\nbreak",
            "print('ran'); x = 1\n'abc",
            "print('ran'); x = 1\nfrom __future__ import no_such_thing",
            "print('ran'); x = 1\nnonlocal y",
        ];
        for code in broken {
            let cell = s.run(code).failed("SyntaxError");
            assert_eq!(cell.stdout, "", "{code:?} ran");
            assert!(cell.stderr.contains("SyntaxError"), "{}", cell.stderr);
            assert_eq!(cell.stderr, cell.traceback);
            s.says("print('x' in globals())", "False\n");
        }
        assert_eq!(s.run("print('ran'); x = 1\nif True:").failed("IndentationError").stdout, "");
        assert_eq!(s.run("x = 1\n    y = 2").failed("IndentationError").stdout, "");
        assert_eq!(s.run("if 1:\n\tx = 1\n        y = 2").failed("TabError").stdout, "");
        s.says("print('x' in globals())", "False\n");
    });
}

#[test]
fn p1_hostile_source_is_an_error_and_no_more() {
    let mut s = Session::python();
    let nested = format!("{}{}", "(".repeat(5000), ")".repeat(5000));
    for code in ["x = 1\0", "x = '\u{feff}\u{202e}' 1", nested.as_str(), "\u{7f}", "# coding: nonsense\nx = = 1"] {
        let cell = s.run(code);
        assert!(cell.ready.error.is_some(), "{code:.20?} is an error: {:?}", cell.ready);
        s.says("1 + 1", "2\n");
    }
    s.says("# coding: latin-1\nprint('é')", "é\n");
}

#[test]
fn p2_a_value_is_the_result_on_a_stream_of_the_users_own_too() {
    let mut s = Session::python();
    s.says("import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')", "");
    let cell = s.says("print('text')\n'value'", "text\n'value'\n");
    assert!(cell.result.ends_with("'value'\n"), "{:?}", cell.result);
}

#[test]
fn p2_the_last_expression_is_printed_as_at_the_prompt() {
    for_each_python(|s, _| {
        let cell = s.says("1 + 1", "2\n");
        assert_eq!(cell.result, "2\n");
        s.says("_ + 40", "42\n");
        s.says("None", "");
        s.says("_", "42\n");
        s.says("x = 5", "");
        s.says("'é' * 2", "'éé'\n");
        s.says("1\n2\n3", "3\n");
        s.says("7;", "7\n");
        s.says("def f():\n    return 9\nf()\n", "9\n");
        s.says("if True:\n    8", "");
        s.says("'''a\nb'''", "'a\\nb'\n");
        let cell = s.says("print('seen')\n'value'", "seen\n'value'\n");
        assert_eq!(cell.result, "'value'\n");
        s.says("", "");
        s.says("   \n# only a comment\n\n", "");
        s.says("x = 1\r\nprint(x)\r\n", "1\n");
    });
}

#[test]
fn p2_a_warning_while_a_result_is_printed_is_no_result() {
    for_each_python(|s, _| {
        let first = s.run("async def f(): pass\nf()").ok();
        assert!(first.result.starts_with("<coroutine object f at"), "{}", first.result);
        // The coroutine goes as `_` takes the next value.
        let second = s.run("5").ok();
        assert_eq!(second.result, "5\n");
        assert!(second.stderr.contains("coroutine 'f' was never awaited"), "{}", second.stderr);
    });
}

#[test]
fn p2_the_users_displayhook_and_repr_are_asked() {
    let mut s = Session::python();
    s.says("import sys\nsys.displayhook = lambda value: print('<', value, '>')", "");
    s.says("3", "< 3 >\n");
    s.says("sys.displayhook = sys.__displayhook__", "");
    s.run("class Bad:\n    def __repr__(self): raise ValueError('no repr')\nBad()").failed("ValueError");
    s.says("1", "1\n");
}

#[test]
fn p3_whatever_the_user_takes_away_the_next_cell_runs() {
    for_each_python(|s, _| {
        let spoilers = [
            "ast = 1; compile = None; exec = None; eval = None; sys = 3; traceback = 4; builtins = 5",
            "import builtins\nbuiltins.compile = 1; builtins.exec = 2; builtins.eval = 3",
            "import builtins\nbuiltins.isinstance = builtins.getattr = builtins.len = builtins.repr = None",
            "import builtins\ndel builtins.print; del builtins.input; del builtins.open",
            "import builtins\nbuiltins.__import__ = None",
            "import builtins\nbuiltins.BaseException = builtins.SystemExit = builtins.KeyboardInterrupt = int",
            "import sys as system\nsystem.modules.pop('traceback', None); system.modules.pop('linecache', None)",
            "del __builtins__",
            "__name__ = 7",
        ];
        for code in spoilers {
            s.run(code);
            let next = s.run("1 + 1");
            assert_eq!(next.stdout, "2\n", "after {code:?}: {next:?}");
        }
        s.run("undefined_name").failed("NameError");
        s.says("1 + 1", "2\n");
    });
}

#[test]
fn p3_a_missing_stdout_or_hook_costs_a_cell_and_not_the_session() {
    let mut s = Session::python();
    for code in [
        "import sys\nsys.stdout = None",
        "import sys\ndel sys.stdout",
        "import sys\nsys.stderr = None\n1/0",
        "import sys\nsys.displayhook = None",
        "import sys\nsys.excepthook = None\n1/0",
        "import sys\nsys.stdin = None",
        "import sys\nsys.stdout = sys.stderr = 5",
        "import traceback, linecache\ntraceback.print_exception = linecache.getline = linecache.cache = None\n1/0",
        "import sys\nsys.ps1 = None; del sys.ps2",
        "import sys\nsys.stdout.close()",
        "import threading\nthreading.current_thread = None",
    ] {
        s.run(code);
        s.run("1 + 1");
        let restored = s.run(
            "import sys, os\nsys.stdout = sys.__stdout__; sys.stderr = sys.__stderr__; sys.stdin = sys.__stdin__\n\
             sys.displayhook = sys.__displayhook__; sys.excepthook = sys.__excepthook__",
        );
        restored.ok();
    }
    // `__stdout__` was closed above, so only the value of an expression to a new file can tell.
    s.run("sys.stdout = open(1, 'w', closefd=False)\nprint('here', flush=True)").ok();
}

#[test]
fn p3_nothing_of_ours_lives_in_main() {
    for python in pythons::all() {
        let mut s = Session::on(python);
        let fresh = s.run("print(dir())").ok().stdout;
        assert_eq!(fresh, prompt_prints(python, "print(dir())"), "{}", python.path.display());
        s.says("import __main__\nprint(__main__.__dict__ is globals(), hasattr(__main__, '__file__'))", "True False\n");
        s.says("print(sorted(n for n in dir() if 'worker' in n.lower()), __doc__, __package__)", "[] None None\n");
    }
}
