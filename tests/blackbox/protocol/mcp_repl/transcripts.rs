//! Golden transcripts, and what reaches the raw descriptors.

use super::peer::Peer;
use base64::Engine as _;
use serde_json::Value;

#[test]
fn python_golden_transcript() {
    let mut p = Peer::python();
    p.turn("1 + 1", &["stdout 2\n", "ready"]);
    p.turn("", &["ready"]);
    p.turn("# nothing", &["ready"]);
    p.turn("import sys\nprint('out')\nprint('err', file=sys.stderr)", &["stdout out\n", "stderr err\n", "ready"]);
    p.turn("x = input('name ')\nprint(x.upper())", &["input_wait name "]);
    p.turn("zoë", &["input_line name zoë", "stdout ZOË\n", "ready"]);
    p.turn("a = input('a ')\nb = input('b ')\nc = input('c ')\n(a, b, c)", &["input_wait a "]);
    p.turn("1\n2", &["input_line a 1", "input_line b 2", "input_wait c "]);
    p.turn("3", &["input_line c 3", "stdout ('1', '2', '3')\n", "ready"]);
    p.turn("import os\nos.read(0, 100)", &["input_wait "]);
    p.turn("raw", &["input_line raw", "stdout b'raw\\n'\n", "ready"]);
    p.turn("import getpass\nlen(getpass.getpass('secret '))", &["input_wait secret "]);
    p.turn("hush", &["input_line secret ", "stdout 4\n", "ready"]);
    p.turn(
        "1/0",
        &[
            "stderr Traceback (most recent call last):\n  File \"<cell 9>\", line 1, in <module>\n    1/0\n    ~^~\n\
             ZeroDivisionError: division by zero\n",
            "ready",
        ],
    );
    p.turn("sys.stdout.buffer.write(b'\\xff\\n') and None", &["stdout \u{fffd}\n", "ready"]);
    p.turn("[n for n in os.environ if n.startswith('MCP_REPL')]", &["stdout []\n", "ready"]);
    p.shutdown();
}

#[test]
fn r_golden_transcript() {
    let mut p = Peer::r();
    p.turn("1 + 1", &["stdout [1] 2\n", "ready"]);
    p.turn("message('m'); invisible(3)", &["stderr m\n", "ready"]);
    p.turn("x <- readline('name ')\ntoupper(x)", &["input_wait name "]);
    p.turn("ann", &["input_line name ann", "stdout [1] \"ANN\"\n", "ready"]);
    p.turn("readLines(stdin(), 2)", &["input_wait "]);
    p.turn("one\ntwo", &["input_line one", "input_line two", "stdout [1] \"one\" \"two\"\n", "ready"]);
    p.turn("stop('no')", &["stderr Error: no\n", "ready"]);
    p.turn("plot(1)", &["image image/png false", "ready"]);
    p.turn("lines(1:2)", &["image image/png true", "ready"]);
    p.turn("system('echo child')", &["ready"]);
    p.turn(
        "Sys.getenv(c('MCP_REPL_IPC_READ_FD', 'MCP_REPL_IPC_WRITE_FD'), names = FALSE)",
        &["stdout [1] \"\" \"\"\n", "ready"],
    );
    assert_eq!(p.raw("out"), "child\n");
    p.shutdown();
}

#[test]
fn raw_descriptors_are_left_as_they_are() {
    let mut p = Peer::python();
    p.turn(
        "import os, sys, ctypes\nos.write(1, b'one\\n'); os.write(2, b'two\\n'); os.system('echo child')\nNone",
        &["ready"],
    );
    assert_eq!((p.raw("out").as_str(), p.raw("err").as_str()), ("one\nchild\n", "two\n"));
    p.turn("ctypes.CDLL(None).printf(b'stdio\\n')\nNone", &["ready"]);
    assert_eq!(p.raw("out"), "one\nchild\nstdio\n", "C's own buffer is passed on before the end of the cell");
    p.turn("os.system('cat')\nNone", &["ready"]);
    assert_eq!(p.raw("out"), "one\nchild\nstdio\nraw stdin\n", "fd 0 is the worker's own");
    p.turn(
        "pid = os.fork()\nif pid == 0:\n    print('forked')\n    os._exit(0)\nos.waitpid(pid, 0)[1]",
        &["stdout 0\n", "ready"],
    );
    assert!(p.raw("out").ends_with("raw stdin\nforked\n"), "{}", p.raw("out"));
    p.shutdown();
}

#[test]
fn long_writes_are_continued() {
    let mut p = Peer::python();
    for code in ["print('é' * 100000, end='')", "import sys; sys.stdout.buffer.write('é'.encode() * 100000) and None"]
    {
        p.send(code);
        let mut pieces = Vec::new();
        let mut all = 0;
        while p.next().unwrap() != "ready" {
            let message: Value = serde_json::from_str(p.log.last().unwrap()).unwrap();
            pieces.push(message["is_continuation"].as_bool().unwrap());
            all +=
                base64::engine::general_purpose::STANDARD.decode(message["data_b64"].as_str().unwrap()).unwrap().len();
        }
        assert_eq!((pieces, all), (vec![false, true, true, true], 200_000), "{code}");
    }
    p.shutdown();
}
