//! An engine without a runtime, and the tests of the whole core that it makes possible: control thread, session, emitter and
//! output thread over a socket pair, in one process with many others.
//!
//! A cell is a list of commands, one a line: `say TEXT`, `ask PROMPT`, `spin` (until interrupted), `thread PROMPT` (a background
//! reader), `join` (until those have read), `fill BYTES`, `exit CODE`.

use crate::engine::reader::{Ask, Got};
use crate::engine::{Engine, Runtime, Turn};
use crate::output::emitter::Interrupted;
use crate::session::stdin::Want;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;
use worker_protocol::config::{Channel, Config, Dialect, Lang};
use worker_protocol::{EndReason, ErrorInfo, Outcome, RuntimeInfo, SessionEnd, Stream};

/// Nothing that works takes near so long.
const LIMIT: Duration = Duration::from_secs(30);

thread_local! {
    static READERS: RefCell<Vec<JoinHandle<()>>> = const { RefCell::new(Vec::new()) };
}

/// The runtime: it has no lock and notes no signals.
struct Nothing;

impl Runtime for Nothing {
    type Error = Stop;

    fn check(&self) -> Result<(), Stop> {
        Ok(())
    }

    fn detach<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        body()
    }
}

/// How a command ended, if not well.
enum Stop {
    Interrupted,
    EndOfFile,
    Exit(i64),
}

fn serve(engine: &Engine) -> Option<SessionEnd> {
    engine.started(&RuntimeInfo {
        name: "echo".into(),
        version: "1".into(),
        executable: None,
        home: None,
        prefix: String::new(),
    });
    loop {
        match engine.next(&mut [], None) {
            Turn::Cell(cell) => match cell.code.lines().try_for_each(|line| run(engine, line)) {
                Ok(()) => engine.finish_cell(&Nothing, Outcome::Ok, None),
                Err(Stop::Interrupted) => engine.finish_cell(&Nothing, Outcome::Interrupted, None),
                Err(Stop::EndOfFile) => {
                    let error = ErrorInfo { name: "EOFError".into(), ..ErrorInfo::default() };
                    engine.finish_cell(&Nothing, Outcome::Error, Some(&error));
                }
                Err(Stop::Exit(code)) => {
                    let end = SessionEnd { exit_code: Some(code), ..SessionEnd::new(EndReason::RuntimeExit) };
                    engine.begin_exit(&end);
                    return Some(end);
                }
            },
            Turn::Request(request) => engine.respond(&request, Ok(request.rpc.params.clone())),
            Turn::Signal | Turn::Poll => {}
            Turn::End => return None,
        }
    }
}

fn run(engine: &Engine, line: &str) -> Result<(), Stop> {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    let say = |text: &str| {
        while engine.write(Stream::Stdout, None, text).is_err() {}
    };
    match command {
        "say" => say(&format!("{rest}\n")),
        "ask" => {
            let answer = ask(engine, rest)?;
            say(&format!("got {answer}"));
        }
        "thread" => {
            let (engine, prompt) = (engine.clone(), rest.to_owned());
            let thread = std::thread::spawn(move || drop(ask(&engine, &prompt)));
            READERS.with_borrow_mut(|readers| readers.push(thread));
        }
        "join" => READERS.take().into_iter().for_each(|reader| reader.join().unwrap()),
        "spin" => {
            while !engine.take_sigint() {
                std::thread::yield_now();
            }
            return Err(Stop::Interrupted);
        }
        "fill" => say(&"x".repeat(rest.parse().unwrap_or(0))),
        "exit" => return Err(Stop::Exit(rest.parse().unwrap_or(0))),
        _ => {}
    }
    Ok(())
}

fn ask(engine: &Engine, prompt: &str) -> Result<String, Stop> {
    let mut reader = engine.reader(Ask { prompt, hidden: false, want: Want::Line });
    loop {
        match reader.wait(&mut [], None).map_err(|Interrupted| Stop::Interrupted)? {
            Got::Data(data) if data.is_empty() => return Err(Stop::EndOfFile),
            Got::Data(data) => return Ok(String::from_utf8_lossy(&data).into_owned()),
            Got::Request(request) => engine.respond(&request, Ok(json!("while waiting"))),
            Got::Poll => {}
        }
    }
}

/// The supervisor's side of a session in memory.
struct Supervisor {
    channel: UnixStream,
    events: BufReader<UnixStream>,
    engine: JoinHandle<i32>,
}

impl Supervisor {
    fn start(dialect: Dialect) -> Supervisor {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(LIMIT)).unwrap();
        let (requests, events) = (theirs.try_clone().unwrap(), theirs);
        let engine = std::thread::spawn(move || {
            let engine = Engine::in_memory(config(dialect), requests.into(), events.into()).unwrap();
            let end = serve(&engine);
            engine.end(end)
        });
        let events = BufReader::new(ours.try_clone().unwrap());
        let mut supervisor = Supervisor { channel: ours, events, engine };
        assert_eq!(supervisor.next()["type"], "worker_ready");
        assert_eq!(supervisor.next()["type"], "ready");
        supervisor
    }

    fn send(&mut self, message: Value) {
        self.channel.write_all(format!("{message}\n").as_bytes()).unwrap();
    }

    fn cell(&mut self, id: &str, code: &str) {
        self.send(json!({"type": "input_batch", "to": "cell", "id": id, "input": code}));
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.events.read_line(&mut line).expect("an event in time");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// The next event, which must have these fields.
    #[track_caller]
    fn sees(&mut self, wanted: Value) -> Value {
        let got = self.next();
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(got.get(name), Some(value), "{name} of {got}, wanted {wanted}");
        }
        got
    }

    #[track_caller]
    fn ends(mut self, wanted: Value, status: i32) {
        self.sees(wanted);
        let mut rest = String::new();
        assert_eq!(self.engine.join().unwrap(), status);
        self.channel.set_nonblocking(true).unwrap();
        assert!(self.events.read_line(&mut rest).is_err() || rest.is_empty(), "said after the end: {rest}");
    }
}

fn config(dialect: Dialect) -> Config {
    Config {
        lang: Lang::Python,
        session_id: "echo".into(),
        marker: String::new(),
        channel: Channel { request_fd: -1, event_fd: -1 },
        dialect,
        diagnostics_fd: -1,
        temp_dir: None,
        parent_pidfd: None,
        control_stdin: None,
        socket_file: None,
        listener: None,
        startup_pipe: None,
        end_pipe: None,
        limits: None,
        python: None,
        r: None,
        plot: Default::default(),
    }
}

#[test]
fn cells_run_in_their_order_and_say_what_they_print() {
    let mut s = Supervisor::start(Dialect::Worker);
    for n in 0..100 {
        s.cell(&n.to_string(), &format!("say {n}"));
    }
    for n in 0..100 {
        let id = n.to_string();
        s.sees(json!({"type": "output_text", "text": format!("{n}\n"), "id": id}));
        s.sees(json!({"type": "ready", "outcome": "ok", "id": id}));
    }
    s.send(json!({"type": "shutdown"}));
    s.ends(json!({"type": "session_end", "reason": "shutdown"}), 0);
}

#[test]
fn a_wait_is_answered_and_the_next_batch_is_a_cell() {
    let mut s = Supervisor::start(Dialect::Worker);
    s.cell("a", "say before\nask p ");
    s.sees(json!({"type": "output_text", "text": "before\n"}));
    s.sees(json!({"type": "input_wait", "prompt": "p ", "id": "a"}));
    s.send(json!({"type": "input_batch", "input": "x"}));
    s.sees(json!({"type": "input_line", "text": "x", "id": "a"}));
    s.sees(json!({"type": "output_text", "text": "got x\n"}));
    s.sees(json!({"type": "ready", "outcome": "ok", "id": "a"}));
    s.send(json!({"type": "input_batch", "input": "exit 7"}));
    s.ends(json!({"type": "session_end", "reason": "runtime_exit", "exit_code": 7}), 7);
}

#[test]
fn an_answer_and_a_cell_sent_together_are_an_answer_and_a_cell() {
    let mut s = Supervisor::start(Dialect::Worker);
    for _ in 0..200 {
        s.send(json!({"type": "input_batch", "input": "thread q "}));
        // The thread's wait may be emitted before or after the end of its cell.
        let (one, other) = (s.next(), s.next());
        let wait = if one["type"] == "input_wait" { &one } else { &other };
        let reader = wait["reader"].as_u64().expect("a wait");
        s.send(json!({"type": "input_batch", "to": "stdin", "reader": reader, "input": "x"}));
        s.sees(json!({"type": "input_line", "text": "x"}));
        // Its wait is over: standard input for it is refused, and not lost in silence.
        s.send(json!({"type": "input_batch", "to": "stdin", "reader": reader, "input": "y"}));
        let refused = s.next();
        assert_eq!(refused["error"]["code"], -32600, "{refused}");
    }
    s.send(json!({"type": "shutdown"}));
    s.ends(json!({"type": "session_end"}), 0);
}

#[test]
fn an_interrupt_stops_what_runs_and_discards_what_is_queued() {
    let mut s = Supervisor::start(Dialect::Worker);
    for code in ["say go\nspin", "say go\nask p "] {
        s.cell("a", code);
        s.cell("b", "say never");
        s.sees(json!({"text": "go\n"}));
        if code.contains("ask") {
            s.sees(json!({"type": "input_wait"}));
        }
        s.send(json!({"type": "interrupt"}));
        s.sees(json!({"type": "ready", "id": "a", "outcome": "interrupted"}));
        s.sees(json!({"type": "ready", "id": "b", "outcome": "discarded"}));
    }
    s.send(json!({"type": "interrupt"}));
    assert!(s.sees(json!({"type": "ready"})).get("outcome").is_none());
    s.cell("c", "say spared");
    s.sees(json!({"text": "spared\n"}));
    s.sees(json!({"type": "ready", "id": "c", "outcome": "ok"}));
    s.send(json!({"type": "shutdown"}));
    s.ends(json!({"type": "session_end"}), 0);
}

#[test]
fn time_that_is_up_interrupts_once() {
    let mut s = Supervisor::start(Dialect::Worker);
    s.send(json!({"type": "input_batch", "input": "spin", "timeout_ms": 20}));
    s.cell("b", "say spared");
    s.sees(json!({"type": "ready", "outcome": "interrupted", "timed_out": true}));
    s.sees(json!({"text": "spared\n"}));
    s.sees(json!({"type": "ready", "id": "b", "outcome": "ok"}));
    s.send(json!({"type": "shutdown"}));
    s.ends(json!({"type": "session_end"}), 0);
}

#[test]
fn a_supervisor_that_does_not_read_stops_the_cell_and_loses_nothing() {
    let mut s = Supervisor::start(Dialect::Worker);
    s.cell("a", "say go\nfill 20000000\nspin");
    s.sees(json!({"text": "go\n"}));
    s.send(json!({"jsonrpc": "2.0", "id": 1, "method": "status"}));
    s.send(json!({"type": "interrupt"}));
    let (mut size, mut statuses) = (0, 0);
    loop {
        let event = s.next();
        match event["type"].as_str() {
            Some("output_text") => size += event["text"].as_str().unwrap().len(),
            Some("ready") => break assert_eq!(event["outcome"], "interrupted"),
            _ => statuses += usize::from(event["result"]["state"].is_string()),
        }
    }
    assert_eq!((size, statuses), (20_000_000, 1));
    s.send(json!({"type": "shutdown"}));
    s.ends(json!({"type": "session_end"}), 0);
}

#[test]
fn readers_come_to_the_end_of_file_at_a_shutdown() {
    let mut s = Supervisor::start(Dialect::Worker);
    s.cell("a", "ask p ");
    s.sees(json!({"type": "input_wait"}));
    s.send(json!({"type": "shutdown"}));
    s.sees(json!({"type": "ready", "outcome": "error"}));
    s.ends(json!({"type": "session_end", "reason": "shutdown"}), 0);
}

#[test]
fn a_request_is_answered_while_idle_and_while_waiting_and_refused_while_busy() {
    let mut s = Supervisor::start(Dialect::Worker);
    let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"a": 1}});
    s.send(ask.clone());
    s.sees(json!({"id": 1, "result": {"a": 1}}));
    s.cell("a", "ask p ");
    s.sees(json!({"type": "input_wait"}));
    s.send(ask.clone());
    s.sees(json!({"id": 1, "result": "while waiting"}));
    s.send(json!({"type": "input_batch", "input": ""}));
    s.sees(json!({"type": "input_line", "text": ""}));
    s.sees(json!({"text": "got \n"}));
    s.sees(json!({"type": "ready"}));
    s.cell("b", "say go\nspin");
    s.sees(json!({"text": "go\n"}));
    s.send(ask);
    assert_eq!(s.next()["error"]["code"], -32002);
    s.send(json!({"type": "interrupt", "id": "b"}));
    s.sees(json!({"type": "ready", "outcome": "interrupted"}));
    s.send(json!({"type": "shutdown"}));
    s.ends(json!({"type": "session_end"}), 0);
}

#[test]
fn in_the_second_dialect_each_batch_has_one_answer() {
    let mut s = Supervisor::start(Dialect::McpRepl);
    let mut random = 1_u32;
    for round in 0..500 {
        // Threads take whatever comes next, so that a batch may be a cell or an answer.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let input = ["thread q ", "ask p ", "say x", "ask p \nthread q \nask r "][random as usize >> 30];
        s.send(json!({"type": "input_batch", "input": input}));
        // What comes before the answer is this batch's; what threads print comes with whatever batch there is.
        while !matches!(s.next()["type"].as_str().unwrap_or_else(|| panic!("round {round}")), "ready" | "input_wait") {}
    }
    s.send(json!({"type": "shutdown"}));
    loop {
        match s.next()["type"].as_str() {
            Some("ready" | "input_wait") => panic!("an answer to nothing"),
            Some("session_end") => break,
            _ => {}
        }
    }
}

#[test]
fn in_the_second_dialect_a_wait_is_not_said_before_the_answer_of_another_is_taken() {
    let mut s = Supervisor::start(Dialect::McpRepl);
    for _ in 0..500 {
        s.send(json!({"type": "input_batch", "input": "thread a \nask b \njoin"}));
        let mut asks = s.sees(json!({"type": "input_wait"}));
        for left in [1, 0] {
            s.send(json!({"type": "input_batch", "input": "x"}));
            // What the main thread prints may come in between.
            let mut next = || std::iter::repeat_with(|| s.next()).find(|event| event["type"] != "output_text").unwrap();
            let line = next();
            assert_eq!((&line["type"], &line["prompt"]), (&json!("input_line"), &asks["prompt"]));
            asks = next();
            assert_eq!(asks["type"], if left == 0 { "ready" } else { "input_wait" });
        }
    }
    s.send(json!({"type": "shutdown"}));
    s.ends(json!({"type": "session_end"}), 0);
}
