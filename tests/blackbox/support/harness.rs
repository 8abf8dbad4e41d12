//! A session under test: what it says is gathered by cell, and what nobody looked at fails the test.

use crate::support::pythons::{self, CLEARED, Python};
pub use crate::support::said::Cell;
use crate::support::said::{Gathered, text_of};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};
use worker_client::*;
use worker_protocol::Outcome;

/// How long a test may take; nothing that works takes near so long.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The binary under test.
pub const WORKER: &str = env!("CARGO_BIN_EXE_worker");

/// A session under test.
pub struct Session {
    pub worker: Worker,
    pub hello: WorkerReady,
    pub first: Ready,
    pub what: String,
    pub deadline: Instant,
    pub log: Vec<String>,
    /// Events that came before one that was asked for.
    pub held: VecDeque<Event>,
    pub gathered: BTreeMap<Option<String>, Gathered>,
    turn: u64,
    cells: u32,
    pub requests: u64,
    pub ended: bool,
}

/// Sets the signals back that whoever started the tests may ignore, since programs inherit that: a shell without job control
/// ignores SIGINT and SIGQUIT in what it starts in the background, `nohup` ignores SIGHUP.
#[expect(unsafe_code, reason = "signal dispositions")]
fn stop_ignoring_signals() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        // SAFETY: the default action needs no handler, and the tests install none.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// The launch of the binary under test in a clean environment.
pub fn bare_launch(lang: &str) -> Launch {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(stop_ignoring_signals);
    let launch = Launch::new(lang).program(WORKER).keep_stderr();
    CLEARED.iter().fold(launch, |launch, name| launch.without_env(*name))
}

/// The launch of the binary under test with the interpreter that `--python` is to find.
pub fn launch_of(python: &Path) -> Launch {
    bare_launch("python").arg("--python").arg(python)
}

/// The launch of the binary under test with this interpreter.
pub fn launch_on(python: &Python) -> Launch {
    launch_of(&python.path)
}

/// The launch of the binary under test with the default interpreter.
pub fn launch() -> Launch {
    launch_on(pythons::default())
}

impl Session {
    /// A session of the default interpreter.
    #[track_caller]
    pub fn python() -> Self {
        Session::start(launch())
    }

    /// A session of this interpreter.
    #[track_caller]
    pub fn on(python: &Python) -> Self {
        let mut session = Session::start(launch_on(python));
        session.what = format!("{} (3.{})", python.path.display(), python.minor);
        session
    }

    /// A session that is ready for its first cell and has said nothing else so far.
    #[track_caller]
    pub fn start(launch: Launch) -> Self {
        let shown = format!("{launch:?}");
        match launch.start(LIMIT) {
            Ok((worker, hello, first)) => Session::of(worker, hello, first, shown),
            Err(error) => panic!("{error}\n{shown}"),
        }
    }

    fn of(worker: Worker, hello: WorkerReady, first: Ready, what: String) -> Self {
        Session {
            worker,
            hello,
            first,
            what,
            deadline: Instant::now() + LIMIT,
            log: Vec::new(),
            held: VecDeque::new(),
            gathered: BTreeMap::new(),
            turn: 0,
            cells: 0,
            requests: 0,
            ended: false,
        }
    }

    /// Allows more time, for tests that do a great deal.
    pub fn patient(mut self, limit: Duration) -> Self {
        self.deadline = Instant::now() + limit;
        self
    }

    /// Runs one cell that asks nothing, to its end.
    #[track_caller]
    pub fn run(&mut self, code: &str) -> Cell {
        let id = self.begin(code);
        self.finish(&id)
    }

    /// Runs one cell that must succeed and print exactly this.
    #[track_caller]
    pub fn says(&mut self, code: &str, stdout: &str) -> Cell {
        let cell = self.run(code).ok();
        assert_eq!(cell.stdout, stdout, "stdout of {code:?}");
        assert_eq!(cell.stderr, "", "stderr of {code:?}");
        cell
    }

    /// Sends a cell under a fresh name, which it gives back.
    #[track_caller]
    pub fn begin(&mut self, code: &str) -> String {
        self.cells += 1;
        let id = format!("c{}", self.cells);
        self.send(Batch::cell(code).id(&id));
        id
    }

    #[track_caller]
    pub fn send(&mut self, batch: Batch) {
        self.worker.send(&batch).expect("the worker takes requests");
    }

    /// Sends a line as it is.
    #[track_caller]
    pub fn line(&mut self, line: impl AsRef<[u8]>) {
        let mut bytes = line.as_ref().to_vec();
        bytes.push(b'\n');
        self.worker.sender().raw(&bytes).expect("the worker takes requests");
    }

    #[track_caller]
    pub fn interrupt(&mut self) {
        self.worker.interrupt().expect("the worker takes requests");
    }

    /// Everything of this cell, to its `ready`, which must be the next one.
    #[track_caller]
    pub fn finish(&mut self, id: &str) -> Cell {
        self.finish_named(Some(id))
    }

    /// The same for a cell without a name.
    #[track_caller]
    pub fn finish_unnamed(&mut self) -> Cell {
        self.finish_named(None)
    }

    #[track_caller]
    fn finish_named(&mut self, id: Option<&str>) -> Cell {
        match self.next() {
            Event::Ready(ready) if ready.id.as_deref() == id && ready.outcome.is_some() => {
                let gathered = self.take(id);
                Cell::new(gathered, ready)
            }
            other => self.fail(&format!("wanted the end of {id:?}, got {other:?}")),
        }
    }

    /// The end of a cell that was discarded.
    #[track_caller]
    pub fn discarded(&mut self, id: &str) {
        let cell = self.finish(id);
        assert_eq!(cell.ready.outcome, Some(Outcome::Discarded), "outcome of {id}");
        assert_eq!(cell.stdout + &cell.stderr, "", "a discarded cell prints nothing");
    }

    /// A `ready` of no cell.
    #[track_caller]
    pub fn bare_ready(&mut self) {
        match self.next() {
            Event::Ready(Ready { id: None, outcome: None, .. }) => {}
            other => self.fail(&format!("wanted a bare `ready`, got {other:?}")),
        }
    }

    /// The end of this cell; bare `ready`s, of interrupts that came while nothing ran, are passed over.
    #[track_caller]
    pub fn end_past_bare(&mut self, id: &str) -> Ready {
        loop {
            match self.next() {
                Event::Ready(ready) if ready.id.as_deref() == Some(id) => return ready,
                Event::Ready(Ready { id: None, outcome: None, .. }) => {}
                other => self.fail(&format!("wanted the end of {id}, got {other:?}")),
            }
        }
    }

    /// The next wait for input, which must have this prompt.
    #[track_caller]
    pub fn wait_for(&mut self, prompt: &str) -> InputWait {
        match self.next() {
            Event::InputWait(wait) if wait.prompt == prompt => wait,
            other => self.fail(&format!("wanted a wait with prompt {prompt:?}, got {other:?}")),
        }
    }

    /// Answers a wait with a line and sees it delivered.
    #[track_caller]
    pub fn answer(&mut self, wait: &InputWait, text: &str) {
        self.send(Batch::stdin(text).reader(wait.reader));
        self.delivered(wait, text);
    }

    /// Sees a line delivered to a reader.
    #[track_caller]
    pub fn delivered(&mut self, wait: &InputWait, text: &str) {
        let line = self.line_event();
        assert_eq!((line.reader, &line.prompt, &line.id), (wait.reader, &wait.prompt, &wait.id));
        assert_eq!((line.hidden, line.text.as_deref()), (wait.hidden, (!wait.hidden).then_some(text)));
    }

    /// The next `input_line`, gathered ones first.
    #[track_caller]
    pub fn line_event(&mut self) -> InputLine {
        loop {
            let waiting = self.gathered.values_mut().find(|gathered| !gathered.lines.is_empty());
            if let Some(gathered) = waiting {
                return gathered.lines.remove(0);
            }
            match self.pull() {
                Event::InputLine(line) => return line,
                other => self.hold(other),
            }
        }
    }

    /// Waits until this cell has printed this (and maybe more), which stays gathered. A line may come in pieces, and a cell
    /// that is interrupted between them never prints the rest: where the line's end matters, name it.
    #[track_caller]
    pub fn until_printed(&mut self, id: &str, text: &str) {
        self.until_said(Some(id), |said| said.contains(text));
    }

    /// Waits until a line with this was printed to its end between cells, and takes what was printed.
    #[track_caller]
    pub fn between_cells(&mut self, text: &str) -> String {
        self.until_said(None, |said| said.find(text).is_some_and(|at| said[at..].contains('\n')));
        let all = self.take(None);
        assert!(all.lines.is_empty(), "{:?}", all.lines);
        text_of(&all.texts, |_| true)
    }

    /// Waits until this was printed between cells, which stays gathered.
    #[track_caller]
    pub fn until_between(&mut self, text: &str) {
        self.until_said(None, |said| said.contains(text));
    }

    #[track_caller]
    fn until_said(&mut self, id: Option<&str>, is_enough: impl Fn(&str) -> bool) {
        let key = id.map(str::to_owned);
        loop {
            let said = self.gathered.get(&key).map(|gathered| text_of(&gathered.texts, |_| true));
            if said.is_some_and(|said| is_enough(&said)) {
                return;
            }
            let event = self.pull();
            self.hold(event);
        }
    }

    /// Waits until the worker's main thread sleeps in the kernel: what it was told to block in, it now blocks in.
    #[track_caller]
    pub fn until_asleep(&mut self) {
        let stat = format!("/proc/{}/stat", self.worker.pid());
        while Instant::now() < self.deadline {
            let text = std::fs::read_to_string(&stat).expect("the worker lives");
            if text.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
                return;
            }
            std::thread::yield_now();
        }
        self.fail("the main thread never slept")
    }

    /// The next event that is neither output nor delivered input.
    #[track_caller]
    pub fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.held.pop_front() {
                return event;
            }
            let event = self.pull();
            self.hold(event);
        }
    }

    /// Puts output where its cell's goes, and anything else in line.
    pub fn hold(&mut self, event: Event) {
        let at = event.cell().map(str::to_owned);
        match event {
            Event::OutputText(text) => {
                self.turn += 1;
                let gathered = self.gathered.entry(at).or_default();
                gathered.texts.push(text);
                gathered.turns.push(self.turn);
            }
            Event::InputLine(line) => self.gathered.entry(at).or_default().lines.push(line),
            other => self.held.push_back(other),
        }
    }

    #[track_caller]
    pub fn pull(&mut self) -> Event {
        match self.worker.recv(self.deadline) {
            Ok(event) => {
                self.note(&event);
                event
            }
            Err(why) => self.fail(&why.to_string()),
        }
    }

    pub fn note(&mut self, event: &Event) {
        let mut shown = format!("{event:?}");
        if shown.len() > 400 {
            let cut = shown.floor_char_boundary(400);
            shown.truncate(cut);
        }
        if self.log.len() == 400 {
            self.log.drain(..100);
        }
        self.log.push(shown);
    }

    /// What a cell has said so far.
    pub fn take(&mut self, id: Option<&str>) -> Gathered {
        self.gathered.remove(&id.map(str::to_owned)).unwrap_or_default()
    }

    #[track_caller]
    pub fn fail(&self, why: &str) -> ! {
        panic!("{why}\n{}", self.dump())
    }

    fn dump(&self) -> String {
        format!("session: {}\nheld: {:?}\n{}", self.what, self.held, self.log.join("\n"))
    }
}

/// Waits until a process that was killed is gone, or is a zombie that its parent has not looked at.
#[track_caller]
pub fn until_dead(pid: &str) {
    let start = Instant::now();
    loop {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => {
                assert!(start.elapsed() < LIMIT, "{pid} outlived the session: {stat}")
            }
            _ => return,
        }
        std::thread::yield_now();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let stderr = self.worker.kill().map(|ending| ending.stderr).unwrap_or_default();
            eprintln!("{}\nits own stderr: {stderr}", self.dump());
        } else if !self.ended {
            self.end_by_shutdown();
        }
    }
}

/// A library of this source in C. It goes with the folder.
pub fn compiled(source: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (file, library) = (folder.path().join("library.c"), folder.path().join("library.so"));
    std::fs::write(&file, source).unwrap();
    let mut compiler = std::process::Command::new("cc");
    assert!(compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&file).status().unwrap().success());
    (folder, library)
}
