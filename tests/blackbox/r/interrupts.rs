//! I: interrupts of R, and R6.

use crate::support::harness::{Session, bare_launch};
use crate::support::r::r;
use crate::support::random::Random;
use std::time::Duration;
use worker_client::{Event, Ready};
use worker_protocol::Outcome;

const ENDLESS: [&str; 6] = [
    "repeat {}",
    "Sys.sleep(600)",
    "system('sleep 600')",
    "f <- function() {x <- 0; repeat x <- x + 1}; f()",
    "repeat gsub('a', 'b', strrep('a', 1000))",
    "repeat cat('line\\n')",
];

#[test]
fn i1_whatever_runs_is_interrupted() {
    let mut s = r();
    for code in ENDLESS {
        let id = s.begin(&format!("cat('go\\n')\n{code}\ncat('never')"));
        s.until_printed(&id, "go\n");
        s.interrupt();
        let cell = s.finish(&id).interrupted();
        assert!(!cell.stdout.contains("never"), "{code}");
        s.says("1 + 1", "[1] 2\n");
    }
}

#[test]
fn i1_waits_are_interrupted() {
    let mut s = r();
    for (code, prompt) in
        [("readline('p ')", "p "), ("scan()", "1: "), ("browser()", "Browse[1]> "), ("menu(1:2)", "Selection: ")]
    {
        let id = s.begin(&format!("{code}\ncat('never')"));
        s.wait_for(prompt);
        s.interrupt();
        let cell = s.finish(&id).interrupted();
        assert!(!cell.stdout.contains("never"), "{code}");
        s.says("1 + 1", "[1] 2\n");
    }
    let id = s.begin("browser()");
    let wait = s.wait_for("Browse[1]> ");
    s.send(worker_client::Batch::stdin("repeat {}").reader(wait.reader));
    s.delivered(&wait, "repeat {}");
    s.interrupt();
    s.finish(&id).interrupted();
}

#[test]
fn i4_handlers_see_the_interrupt() {
    let mut s = r();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = format!("socketConnection(port = {port}, server = TRUE, timeout = 600)");
    for what in [
        "repeat {}",
        "Sys.sleep(600)",
        "system('sleep 600')",
        "system('echo early; sleep 600', intern = TRUE)",
        "system2('sleep', '600', stdout = TRUE)",
        &server,
        "down <- function(n) if (n) Recall(n - 1) else repeat {}; down(300)",
    ] {
        let id = s.begin(&format!(
            "tryCatch({{cat('go\\n'); {what}}}, interrupt = function(e) cat('caught\\n'))\ncat('on\\n')"
        ));
        s.until_printed(&id, "go\n");
        s.interrupt();
        assert_eq!(s.finish(&id).ok().stdout, "go\ncaught\non\n");
    }
    let id = s.begin("tryCatch(readline('p '), interrupt = function(e) cat('caught\\n'))");
    s.wait_for("p ");
    s.interrupt();
    assert_eq!(s.finish(&id).ok().stdout, "caught\n");
    let id = s.begin("f <- function() {on.exit(cat('left\\n')); cat('go\\n'); repeat {}}; f()");
    s.until_printed(&id, "go\n");
    s.interrupt();
    assert_eq!(s.finish(&id).interrupted().stdout, "go\nleft\n");
    let id = s.begin("f <- function() {on.exit(cat('left\\n')); cat('go\\n'); x <- system('sleep 600', intern = TRUE); cat('never\\n')}; f()");
    s.until_printed(&id, "go\n");
    s.interrupt();
    assert_eq!(s.finish(&id).interrupted().stdout, "go\nleft\n");
}

#[test]
fn i4_what_r_does_not_leave_ends_with_its_expression() {
    let mut s = r();
    // R reads and closes a pipe to the end before it looks for an interrupt: no handler around it alone is called.
    for (what, value) in [
        ("readLines(pipe('echo begun >&2; sleep 600'))", "character(0)\n"),
        ("{p <- pipe('echo begun >&2; sleep 600', 'w'); close(p)}", ""),
    ] {
        let id = s.begin(&format!(
            "tryCatch({{cat('go\\n'); {what}}}, interrupt = function(e) cat('caught\\n'))\ncat('never')"
        ));
        // An interrupt before the command is there is caught.
        s.until_printed(&id, "begun\n");
        s.interrupt();
        assert_eq!(s.finish(&id).interrupted().stdout, format!("go\n{value}"), "{what}");
        s.says("1 + 1", "[1] 2\n");
    }
}

#[test]
fn i1_nothing_of_an_interrupted_command_is_left_open() {
    let mut s = r();
    let count = |s: &Session| std::fs::read_dir(format!("/proc/{}/fd", s.worker.pid())).unwrap().count();
    let mut before = usize::MAX;
    for round in 0..10 {
        for what in ["system('sleep 600', intern = TRUE)", "readLines(pipe('sleep 600'))", "system('sleep 600')"] {
            let id = s.begin(&format!("cat('go\\n'); {what}"));
            s.until_printed(&id, "go\n");
            s.interrupt();
            s.finish(&id).interrupted();
        }
        if round == 0 {
            before = count(&s);
        }
    }
    // Whoever tells the session's processes of an interrupt looks for them in /proc, and may still be at it.
    while count(&s) > before {
        assert!(std::time::Instant::now() < s.deadline, "{} descriptors, at first {before}", count(&s));
        std::thread::yield_now();
    }
    s.says("system('true')", "");
}

#[test]
fn i5_message_and_signal_together_are_one_interrupt() {
    let mut s = r();
    for what in ["repeat {}", "Sys.sleep(600)", "readline('p ')", "system('sleep 600')"].repeat(5) {
        let code = format!(
            "tryCatch({{cat('go\\n'); {what}}}, interrupt = function(e) {{Sys.sleep(0.02); cat('caught\\n')}})\ncat('on\\n')"
        );
        let id = s.begin(&code);
        s.until_printed(&id, "go\n");
        if what.starts_with("readline") {
            s.wait_for("p ");
        }
        s.interrupt();
        s.worker.signal(libc::SIGINT);
        assert_eq!(s.finish(&id).ok().stdout, "go\ncaught\non\n", "{what}");
    }
}

#[test]
fn i3_an_interrupt_while_idle_is_answered_and_forgotten() {
    let mut s = r();
    for _ in 0..20 {
        s.interrupt();
        s.bare_ready();
        s.says("1", "[1] 1\n");
    }
}

#[test]
fn i3_a_storm_spares_each_next_cell() {
    storm(r(), 500);
}

#[test]
fn i3_a_storm_on_one_cpu_spares_each_next_cell() {
    storm(Session::start(bare_launch("r").through(["taskset", "-c", "0"])), 200);
}

fn storm(s: Session, rounds: u64) {
    let mut s = s.patient(Duration::from_secs(150));
    let mut random = Random::new(rounds);
    let codes: Vec<&str> = ENDLESS
        .into_iter()
        .chain(["1", "Sys.sleep(0.0005)", "for (i in 1:20) cat(i)", "plot(1)", "readline('p ')", "system('true')"])
        .collect();
    // An interrupt while R loads a function, and another while it says so, spoils the function for R itself.
    s.run("x <- gsub('a', 'b', 'a'); x <- system('true'); x <- tryCatch(stop(1), error = function(e) 1); Sys.sleep(0)")
        .ok();
    let id = s.begin("plot(1)");
    assert!(matches!(s.next(), Event::OutputImage(_)));
    s.finish(&id).ok();
    for round in 0..rounds {
        let code = codes[random.below(codes.len() as u64) as usize];
        let id = s.begin(code);
        let until = std::time::Instant::now() + Duration::from_micros(random.below(3000));
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
        s.interrupt();
        if random.below(2) == 0 {
            s.interrupt();
        } else {
            s.worker.signal(libc::SIGINT);
        }
        let outcome = loop {
            match s.next() {
                Event::Ready(ready) if ready.id.as_deref() == Some(&id) => break ready.outcome,
                Event::Ready(Ready { id: None, outcome: None, .. }) | Event::InputWait(_) | Event::OutputImage(_) => {}
                other => s.fail(&format!("{other:?} in round {round}")),
            }
        };
        assert_ne!(outcome, Some(Outcome::Error), "{code:?} in round {round}");
        s.take(Some(&id));
        let spared = s.begin("z <- 0; for (i in 1:500) z <- z + i; Sys.sleep(0); z");
        loop {
            match s.next() {
                Event::Ready(ready) if ready.id.as_deref() == Some(&spared) => {
                    assert_eq!(ready.outcome, Some(Outcome::Ok), "after {code:?} in round {round}");
                    break;
                }
                Event::Ready(Ready { id: None, outcome: None, .. }) => {}
                other => s.fail(&format!("{other:?} in round {round}")),
            }
        }
        let said = s.take(Some(&spared));
        assert_eq!(
            said.texts.iter().map(|text| text.text.clone().unwrap_or_default()).collect::<String>(),
            "[1] 125250\n"
        );
    }
}

#[test]
fn r6_handlers_run_while_idle() {
    let mut s = r();
    let cell = s.run("port <- suppressMessages(tools::startDynamicHelp()); cat(port)").ok();
    let fetch = |port: &str| fetch(port, "/library/base/html/mean.html");
    assert!(fetch(&cell.stdout).contains("Arithmetic Mean"));
    let id = s.begin("readline('p ')");
    let wait = s.wait_for("p ");
    assert!(fetch(&cell.stdout).contains("Arithmetic Mean"));
    s.answer(&wait, "x");
    s.finish(&id).ok();
}

/// What R's help server gives.
fn fetch(port: &str, path: &str) -> String {
    use std::io::Read;
    let mut page = String::new();
    ask_for(port, path).read_to_string(&mut page).unwrap();
    page
}

/// Asks R's help server for a page.
fn ask_for(port: &str, path: &str) -> std::net::TcpStream {
    use std::io::Write;
    let mut to = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    to.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    to
}

#[test]
fn i3_an_interrupt_while_idle_stops_a_handler() {
    let mut s = r();
    let slow = "assign('slow', function(...) {cat('go\\n'); Sys.sleep(600)}, envir = tools:::.httpd.handlers.env)";
    let cell = s.run(&format!("{slow}\nport <- suppressMessages(tools::startDynamicHelp()); cat(port)")).ok();
    for is_queued in [false, true, false] {
        // R leaves the connection open, and the client without an answer.
        let _client = ask_for(&cell.stdout, "/custom/slow");
        s.between_cells("go\n");
        let queued = is_queued.then(|| s.begin("cat('never')"));
        s.interrupt();
        if let Some(id) = queued {
            s.discarded(&id);
        }
        s.bare_ready();
        // What R says of the handler's end comes between the cells, or not at all.
        s.says("1 + 1", "[1] 2\n");
        s.take(None);
    }
    // The handler may also be one that runs while a cell waits.
    let id = s.begin("readline('p ')");
    s.wait_for("p ");
    let _client = ask_for(&cell.stdout, "/custom/slow");
    s.until_printed(&id, "go\n");
    s.interrupt();
    s.finish(&id).interrupted();
    s.says("1 + 1", "[1] 2\n");
}
