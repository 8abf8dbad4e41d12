//! The console, as a person at a terminal has it: `script` gives the worker a terminal of its own.

use crate::support::pythons;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const UP: &str = "\x1b[A";
/// rustyline's way to the start of a line, which tells a prompt from an echo of the source.
const LINE_START: &str = "\r\x1b[K";
const LIMIT: Duration = Duration::from_secs(60);

/// Somebody at the console.
struct Person {
    terminal: Child,
    keyboard: ChildStdin,
    screen: Receiver<Vec<u8>>,
    /// What has been seen and not been looked for yet.
    seen: String,
    home: tempfile::TempDir,
}

impl Person {
    fn sits_down() -> Person {
        Person::with(tempfile::tempdir().unwrap(), &["--python", pythons::default().path.to_str().unwrap()])
    }

    fn with(home: tempfile::TempDir, arguments: &[&str]) -> Person {
        let words: Vec<String> =
            [env!("CARGO_BIN_EXE_worker")].iter().chain(arguments).map(|word| format!("'{word}'")).collect();
        let mut command = Command::new("script");
        // The shell that `script` runs gives way to the worker: dash, say, that waits for it would take Ctrl-C for its
        // own end and report that (130) for the worker's.
        command.args(["--quiet", "--return", "--command", &format!("exec {}", words.join(" ")), "/dev/null"]);
        for name in pythons::CLEARED {
            command.env_remove(name);
        }
        let cache = std::env::var_os("HOME").map(|real| Path::new(&real).join(".cache")).unwrap_or_default();
        let mut terminal = command
            .envs([("TERM", "xterm"), ("SHELL", "/bin/sh")])
            .envs([("HOME", home.path()), ("XDG_CACHE_HOME", cache.as_path())])
            .env_remove("XDG_STATE_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`script`, of util-linux or bsdutils");
        let mut output = terminal.stdout.take().unwrap();
        let (say, screen) = crossbeam_channel::unbounded();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut chunk) {
                if say.send(chunk[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Person { keyboard: terminal.stdin.take().unwrap(), terminal, screen, seen: String::new(), home }
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Types a cell at the prompt.
    fn enters(&mut self, cell: &str) {
        self.sees(&format!("{LINE_START}>>> "));
        self.types(&format!("{cell}\r"));
    }

    /// Waits until this is on the screen; gives what came before it.
    #[track_caller]
    fn sees(&mut self, text: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            match self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let _ = self.terminal.kill();
                    panic!("{text:?} did not come, but {:?}", self.seen);
                }
            }
        }
    }

    /// Waits for the end; gives what came until then, the exit status, and the home directory.
    fn leaves(mut self) -> (String, Option<i32>, tempfile::TempDir) {
        while let Ok(bytes) = self.screen.recv_timeout(LIMIT) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (self.seen, self.terminal.wait().unwrap().code(), self.home)
    }
}

#[test]
fn console_cells_of_one_line_and_of_several() {
    let mut person = Person::sits_down();
    person.enters("6 * 7");
    person.sees("\r\n42\r\n");
    person.enters("for i in range(2):");
    person.sees("... ");
    // The indent is there already; an empty line ends the block.
    person.types("print('x', i)\r");
    person.sees("... ");
    person.types("\r");
    person.sees("x 0\r\nx 1\r\n");
    person.enters("print('no line end', end='')");
    // The next prompt begins a line of its own and rubs nothing out.
    person.sees("no line end\r\n");
    person.enters("1 / 0");
    person.sees("ZeroDivisionError: division by zero\r\n");
    person.enters("forget this");
    person.sees("SyntaxError");
    person.sees(">>> ");
    person.types(CTRL_D);
    assert_eq!(person.leaves().1, Some(0));
}

#[test]
fn console_input_and_passwords() {
    let mut person = Person::sits_down();
    person.enters("name = input('na' + 'me? ')");
    person.sees("name? ");
    person.types("Ada\r");
    person.enters("name * 2");
    person.sees("'AdaAda'\r\n");
    person.enters("import getpass; word = getpass.getpass('pass' + 'word: ')");
    person.sees("password: ");
    person.types("secret\r");
    assert!(!person.sees(&format!("{LINE_START}>>> ")).contains("secret"));
    person.types("word\r");
    person.sees("'secret'\r\n");
    person.enters("input()");
    person.sees(LINE_START);
    person.types(CTRL_D);
    person.sees("EOFError");
    person.sees(">>> ");
    person.types(CTRL_D);
    assert_eq!(person.leaves().1, Some(0));
}

#[test]
fn console_ctrl_c_stops_a_cell_or_clears_the_line() {
    let mut person = Person::sits_down();
    for busy in ["while True: pass", "__import__('time').sleep(60)", "input('an' + 'swer? ')"] {
        // Pasted, as terminals say it: two lines that are one cell.
        person.enters(&format!("\x1b[200~print('g' + 'o')\n{busy}\x1b[201~"));
        person.sees("\r\ngo\r\n");
        if busy.starts_with("input") {
            person.sees("answer? ");
        }
        person.types(CTRL_C);
        person.sees("KeyboardInterrupt\r\n");
    }
    person.enters("garbage that is never run");
    person.sees("SyntaxError");
    person.sees(&format!("{LINE_START}>>> "));
    person.types("more garbage");
    person.types(CTRL_C);
    person.enters("'still ' + 'here'");
    person.sees("'still here'\r\n");
    person.sees(">>> ");
    person.types(CTRL_D);
    let (rest, status, _) = person.leaves();
    assert_eq!(status, Some(0), "{rest:?}");
}

#[test]
fn console_what_is_typed_ahead_is_not_lost() {
    let mut person = Person::sits_down();
    // In one write, as a hasty hand or a paste without brackets gives it: cells and an answer.
    person.enters("1 + 1\rinput('who? ')\rAda\r'al' + 'so'");
    person.sees("\r\n2\r\n");
    person.sees("\r\n'Ada'\r\n");
    person.sees("\r\n'also'\r\n");
    // Neither is what comes behind a line that was given up, or an end.
    person.enters(&format!("garbage{CTRL_C}'still ' + 'here'\rinput()\r{CTRL_D}'and ' + 'now'"));
    person.sees("\r\n'still here'\r\n");
    person.sees("EOFError");
    person.sees("\r\n'and now'\r\n");
    person.sees(&format!("{LINE_START}>>> "));
    person.types(CTRL_D);
    assert_eq!(person.leaves().1, Some(0));
}

#[test]
fn console_exit_status_last_words_and_history() {
    let mut person = Person::sits_down();
    person.enters("import atexit, sys; atexit.register(print, 'by' + 'e'); sys.exit(5)");
    let (rest, status, home) = person.leaves();
    assert!(rest.contains("\r\nbye\r\n"), "{rest:?}");
    assert_eq!(status, Some(5));
    assert!(home.path().join(".local/state/worker/history-python").is_file());

    // The next session finds the cell in the history.
    let mut person = Person::with(home, &["--python", pythons::default().path.to_str().unwrap()]);
    person.sees(&format!("{LINE_START}>>> "));
    person.types(UP);
    person.sees("sys.exit(5)");
    person.types("\r");
    assert_eq!(person.leaves().1, Some(5));

    let person = Person::with(tempfile::tempdir().unwrap(), &["--python", "/no/such/python"]);
    let (rest, status, _) = person.leaves();
    assert_eq!(rest.matches("/no/such/python").count(), 1, "{rest:?}");
    assert_eq!(status, Some(1));
}

#[test]
fn console_background_threads_print_and_ask_above_the_line() {
    let mut person = Person::sits_down();
    let gate = person.home.path().join("gate");
    person.enters("import os, threading, time");
    person.enters("def ask():");
    person.sees("... ");
    person.types(&format!("while not os.path.exists('{}'): time.sleep(.01)\r", gate.display()));
    person.sees("... ");
    person.types("print('from ' + 'afar'); print('got ' + input('real' + 'ly? '))\r");
    person.sees("... ");
    person.types("\r");
    person.enters("threading.Thread(target=ask).start()");
    person.sees(&format!("{LINE_START}>>> "));
    // Now a line is being edited.
    std::fs::write(&gate, "").unwrap();
    person.sees("from afar\r\n>>> ");
    person.sees("waits for input: \"really? \"]\r\n>>> ");
    person.types("\r");
    person.sees(&format!("{LINE_START}really? "));
    person.types("yes\r");
    person.sees("got yes\r\n");
    person.types(CTRL_D);
    assert_eq!(person.leaves().1, Some(0));
}
