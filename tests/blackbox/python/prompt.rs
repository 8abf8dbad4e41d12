//! P7 and P10: the session is what the interpreter's own prompt is.

use crate::support::harness::{LIMIT, Session, bare_launch, launch, launch_on};
use crate::support::pythons::prompt_prints;
use crate::support::pythons::{self, CLEARED, for_each_python};
use crate::support::said::text_of;
use std::process::Command;
use worker_client::{Batch, Event, Ready, Worker};

const IDENTITY: &str = "import sys, json, os, site; print(json.dumps([sys.executable, sys.prefix, sys.base_prefix, \
                        sys.exec_prefix, sys.path, sys.argv, __name__, site.getsitepackages(), os.getcwd(), \
                        sys.byteorder, sys.hash_info.width, sys.getrecursionlimit()]))";

#[test]
fn p7_identity_is_the_prompts() {
    for_each_python(|s, python| {
        let ours = s.run(IDENTITY).ok().stdout;
        assert_eq!(ours, prompt_prints(python, IDENTITY), "{}", python.path.display());
        s.says("print(sys.argv == [''], __name__ == '__main__', sys.path[0] == '')", "True True True\n");
        s.says(
            "print(sys.orig_argv == [sys.executable], sys.orig_argv)",
            &format!("True ['{}']\n", python.path.display()),
        );
        let runtime = s.first.runtime.clone().expect("the first `ready` tells the runtime");
        assert_eq!(runtime.executable.as_deref(), python.path.to_str());
        assert!(runtime.version.starts_with(&format!("3.{}.", python.minor)), "{runtime:?}");
        assert_eq!(format!("{}\n", runtime.prefix), s.run("print(sys.prefix)").ok().stdout);
    });
}

#[test]
fn p10_flags_prompts_and_terminals_are_the_prompts() {
    for_each_python(|s, python| {
        let flags = "import sys; print(tuple(sys.flags))";
        assert_eq!(s.run(flags).ok().stdout, python.prints(flags), "{}", python.path.display());
        s.says("print(sys.stdin.isatty(), sys.stdout.isatty(), sys.stderr.isatty())", "False False False\n");
        s.says("import os\nprint([os.isatty(fd) for fd in range(3)])", "[False, False, False]\n");
        s.says("print(repr(sys.ps1), repr(sys.ps2))", "'>>> ' '... '\n");
        s.says("import signal\nprint(signal.getsignal(signal.SIGINT) is signal.default_int_handler)", "True\n");
    });
}

#[test]
fn p7_a_virtual_environment_is_honoured_however_it_is_named() {
    for python in pythons::all() {
        let folder = tempfile::tempdir().unwrap();
        let venv = folder.path().join(".venv");
        let made = Command::new(&python.path).args(["-m", "venv", "--without-pip"]).arg(&venv).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        let launches = [
            bare_launch("python").arg("--python").arg(venv.join("bin/python")),
            bare_launch("python").env("VIRTUAL_ENV", &venv),
            bare_launch("python").directory(&deep),
        ];
        for launch in launches {
            let mut s = Session::start(launch);
            let wanted = format!("{} True\n", venv.display());
            s.says("import sys\nprint(sys.prefix, sys.prefix != sys.base_prefix)", &wanted);
            s.says("print(sys.executable.startswith(sys.prefix + '/bin/python'))", "True\n");
            s.says("import site\nprint(site.getsitepackages()[0].startswith(sys.prefix))", "True\n");
            s.says("import subprocess\nout = subprocess.check_output([sys.executable, '-c', 'import sys; print(sys.prefix)'], text=True)\nprint(out.strip() == sys.prefix)", "True\n");
        }
    }
}

#[test]
fn p7_a_conda_prefix_is_honoured() {
    let python = pythons::all().iter().find(|python| python.path.ends_with("bin/python3"));
    let Some(prefix) = python.and_then(|python| python.path.parent()?.parent()) else {
        return;
    };
    let mut s = Session::start(bare_launch("python").env("CONDA_PREFIX", prefix));
    let wanted = format!("{}\n", prefix.canonicalize().unwrap().display());
    s.says("import sys, os\nprint(os.path.realpath(sys.prefix))", &wanted);
}

#[test]
fn p7_python3_on_path_is_the_last_resort() {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::join_paths([pythons::default().path.parent().unwrap(), "/usr/bin".as_ref(), "/bin".as_ref()]);
    let mut plain = Command::new("env");
    for name in CLEARED {
        plain.env_remove(name);
    }
    let asked = "import sys\nprint(sys.executable, sys.version)";
    let path = path.unwrap();
    let said = plain.args(["python3", "-c", asked]).env("PATH", &path).current_dir(folder.path()).output().unwrap();
    let mut s = Session::start(bare_launch("python").env("PATH", path).directory(folder.path()));
    s.says(asked, &String::from_utf8(said.stdout).unwrap());
}

#[test]
fn p10_pythonstartup_runs_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("startup.py");
    std::fs::write(&file, "print('from startup')\nstarted = 1\n").unwrap();
    let mut s = Session::start(launch().env("PYTHONSTARTUP", &file));
    s.says("print('started' in globals())", "False\n");

    let mut worker = launch().env("PYTHONSTARTUP", &file).arg("--startup").spawn().unwrap();
    assert!(matches!(worker.recv_timeout(LIMIT), Ok(Event::WorkerReady(_))));
    let (said, ready) = until_ready(&mut worker);
    assert_eq!(said, "from startup\n");
    assert!(ready.id.is_none() && ready.runtime.is_some() && ready.startup_ms.is_some_and(|ms| ms > 0.0), "{ready:?}");
    worker.send(&Batch::cell("started").id("x")).unwrap();
    assert_eq!(until_ready(&mut worker).0, "1\n");
}

/// The next `ready` and the text before it, which must all have its id.
fn until_ready(worker: &mut Worker) -> (String, Ready) {
    let mut texts = Vec::new();
    loop {
        match worker.recv_timeout(LIMIT).unwrap() {
            Event::OutputText(text) => texts.push(text),
            Event::Ready(ready) => {
                assert!(texts.iter().all(|text| text.id == ready.id), "{texts:?}");
                return (text_of(&texts, |_| true), ready);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn p10_a_startup_file_that_fails_does_not_end_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("startup.py");
    std::fs::write(&file, "kept = 1\n1/0\n").unwrap();
    let launch = launch().env("PYTHONSTARTUP", &file).arg("--startup");
    let mut s = Session::start(launch);
    let said = s.between_cells("ZeroDivisionError");
    assert!(said.contains("startup.py"), "{said}");
    s.says("kept", "1\n");
}

#[test]
fn p10_columns_are_respected() {
    let code = "import shutil\nprint(shutil.get_terminal_size().columns)";
    Session::python().says(code, "80\n");
    Session::start(launch().env("COLUMNS", "123")).says(code, "123\n");
}

#[test]
fn p10_text_is_utf_8_whatever_the_locale_for_children_too() {
    for python in pythons::all() {
        for (name, value) in [("LANG", "C"), ("LC_ALL", "C"), ("LC_ALL", "POSIX"), ("LC_CTYPE", "C")] {
            let launch = launch_on(python).without_env("LANG").without_env("LC_ALL").without_env("LC_CTYPE");
            let mut s = Session::start(launch.without_env("PYTHONIOENCODING").env(name, value));
            s.says(
                "import sys, locale\nprint('é→', sys.stdout.encoding.lower(), sys.getfilesystemencoding())",
                "é→ utf-8 utf-8\n",
            );
            s.says("print(locale.getpreferredencoding(False).lower().replace('-', ''))", "utf8\n");
            let child =
                "import subprocess\nsubprocess.run([sys.executable, '-c', 'print(chr(233))'], check=True)\nNone";
            s.says(child, "é\n");
            s.says("print(subprocess.run(['locale', 'charmap'], capture_output=True, text=True).stdout)", "UTF-8\n\n");
        }
    }
}

#[test]
fn p10_libraries_that_look_for_a_prompt_find_one() {
    let mut s = Session::python();
    s.says("import sys, __main__\nprint(hasattr(sys, 'ps1'), hasattr(__main__, '__file__'))", "True False\n");
    s.says("import builtins\nprint(type(builtins.exit).__name__, type(builtins.help).__name__)", "Quitter _Helper\n");
    s.says("exit", "Use exit() or Ctrl-D (i.e. EOF) to exit\n");
    s.says("'get_ipython' in dir() or 'IPython' in sys.modules", "False\n");
}
