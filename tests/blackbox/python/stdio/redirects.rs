//! O4: what Python prints follows the raw descriptors 1 and 2 where `os.dup2` points them.

use crate::support::harness::{Session, launch_on};
use crate::support::pythons::{self, for_each_python};

/// Points descriptors at a file, and back.
const TOOLS: &str = "
import contextlib, ctypes, os, subprocess, sys, tempfile
@contextlib.contextmanager
def pointed(path, *fds):
    kept = [os.dup(fd) for fd in fds]
    new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for fd in fds: os.dup2(new, fd)
    os.close(new)
    try: yield
    finally:
        for fd, old in zip(fds, kept): os.dup2(old, fd); os.close(old)
path = os.path.join(tempfile.mkdtemp(), 'log')
def log():
    with open(path) as f: text = f.read()
    os.remove(path)
    return text
";

#[test]
fn o4_what_is_printed_follows_dup2() {
    for_each_python(|s, _| {
        s.says(TOOLS, "");
        s.says("print('1'); keep = os.dup(1); null = os.open(os.devnull, os.O_WRONLY)\nos.dup2(null, 1); print('hidden'); os.dup2(keep, 1)\nprint('2')", "1\n2\n");
        s.says("with pointed(os.devnull, 1, 2): print('hidden', flush=True); print('hidden', file=sys.stderr); os.system('echo hidden')\nprint('seen')", "seen\n");
        // All that writes goes there, in order.
        let all = "with pointed(path, 1, 2):\n    print('a'); sys.stderr.write('b\\n'); os.system('echo c'); sys.stdout.write('d'); print('e', flush=True)\n    \
                   os.write(1, b'f\\n'); sys.stdout.buffer.write(b'g'); sys.stdout.flush(); subprocess.run(['echo', 'h'])\n    \
                   print('é\\udce9', 5, [6], sep='-'); print('\\ud800', file=sys.stderr); sys.stdout.writelines(['i', '\\n'])\n    \
                   if os.fork() == 0: print('j'); sys.stdout.flush(); os._exit(0)\n    os.wait(); print('x' * 100000); print(end='k', flush=True)\nprint('seen')";
        s.says(all, "seen\n");
        s.says(
            "text = open(path, 'rb').read().replace(b'x' * 100000, b'X'); os.remove(path); text",
            "b'a\\nb\\nc\\nde\\nf\\ngh\\n\\xc3\\xa9\\xe9-5-[6]\\n\\\\ud800\\ni\\nj\\nX\\nk'\n",
        );
        // One stream alone.
        let cell = s.run("with pointed(path, 2): print('out'); print('err', file=sys.stderr)\nlog()").ok();
        assert_eq!((cell.stdout.as_str(), cell.stderr.as_str()), ("out\n'err\\n'\n", ""));
        let cell = s.run("keep = os.dup(2); os.dup2(1, 2); print('as out', file=sys.stderr); os.dup2(keep, 2); print('as err', file=sys.stderr)").ok();
        assert_eq!((cell.stdout.as_str(), cell.stderr.as_str()), ("as out\n", "as err\n"));
        // A part of a line is kept until something flushes it, as by the prompt.
        s.says("with pointed(path, 1): print('kept', end='')\nprint(' back'); os.path.getsize(path)", "kept back\n0\n");
        s.says("keep = os.dup(1); os.dup2(os.open(path, os.O_WRONLY), 1); print('part', end='')", "");
        s.says("os.dup2(keep, 1); log()", "'part'\n");
    });
}

#[test]
fn o4_errors_results_and_prompts_follow_dup2_too() {
    for_each_python(|s, _| {
        s.says(TOOLS, "");
        s.says("keep = os.dup(1), os.dup(2); new = os.open(path, os.O_WRONLY | os.O_CREAT); os.dup2(new, 1); os.dup2(new, 2); None", "");
        s.says("6 * 7", "");
        let failed = s.run("1/0").failed("ZeroDivisionError");
        assert_eq!((failed.stdout.as_str(), failed.stderr.as_str()), ("", ""));
        let id = s.begin("answer = input('p? ')");
        let wait = s.wait_for("p? ");
        s.answer(&wait, "yes");
        s.finish(&id).ok();
        s.says("os.dup2(keep[0], 1); os.dup2(keep[1], 2); text = log(); print(text[:3], 'ZeroDivisionError: division by zero\\np? ' in text)", "42\n True\n");
        // An error of the file is the program's.
        assert_eq!(s.run("with pointed('/dev/full', 1): print('kept')").failed("OSError").stdout, "kept\n");
        s.says("print('seen')", "seen\n");
        // One stream's error is not the other's.
        let cell = s.run("keep = os.dup(1), os.dup(2); os.dup2(os.open('/dev/full', os.O_WRONLY), 1); os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), 2)\nprint('in the buffer', end=''); print('err', file=sys.stderr); sys.stderr.flush(); os.dup2(keep[1], 2); os.dup2(keep[0], 1); log()");
        assert_eq!(cell.ok().stdout, "in the buffer'err\\n'\n");
        let id = s.begin(
            "sys.stdout = os.fdopen(os.dup(1), 'w')\ntry: answer = input('q? ')\nfinally: sys.stdout = sys.__stdout__",
        );
        let wait = s.wait_for("");
        s.until_printed(&id, "q? ");
        s.answer(&wait, "yes");
        assert_eq!(s.finish(&id).ok().stdout, "q? ");
    });
}

#[test]
fn o4_a_pipe_under_stdout_that_is_full_can_be_interrupted_and_read_by_a_thread() {
    let mut s = Session::python();
    s.says(TOOLS, "");
    s.says("import threading\nr, w = os.pipe(); keep = os.dup(1); got = []", "");
    s.says("def read():\n    while data := os.read(r, 65536): got.append(len(data))\nreader = threading.Thread(target=read); reader.start()", "");
    s.says("os.dup2(w, 1); os.close(w); print('x' * 1000000); os.dup2(keep, 1); reader.join(); sum(got)", "1000001\n");
    let id = s.begin("r, w = os.pipe(); os.write(2, b'go\\n')\ntry: os.dup2(w, 1); print('x' * 1000000)\nfinally: os.close(r); os.dup2(keep, 1)");
    s.until_printed(&id, "go\n");
    s.until_asleep();
    s.interrupt();
    s.finish(&id).interrupted();
    s.says("print('seen')", "seen\n");
}

#[test]
fn o4_an_unbuffered_python_writes_at_once_where_dup2_points() {
    for python in pythons::all() {
        let mut s = Session::start(launch_on(python).env("PYTHONUNBUFFERED", "1"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let code = format!(
            "import os, sys\nkept = os.dup(1); fd = os.open({:?}, os.O_WRONLY | os.O_CREAT); _ = os.dup2(fd, 1)\n\
             print('abc', end=''); os.write(1, b'RAW'); sys.stdout.buffer.write(b'BUF'); os.write(1, b'RAW')\n_ = os.dup2(kept, 1)",
            file.display()
        );
        s.says(&code, "");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "abcRAWBUFRAW", "{python:?}");
    }
}
