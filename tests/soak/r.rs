//! The kinds of cells of the R soak: each runs one and checks every byte that it printed, and its pictures.

use crate::python::{Kind, literal, numbered, pause, stopped};
use crate::random::Random;
use crate::session::{Session, same};
use crate::shared;
use std::time::{Duration, Instant};
use worker_protocol::Outcome;

/// Every kind, by name.
pub const KINDS: [(&str, Kind); 17] = [
    ("lines", lines),
    ("one write", one_write),
    ("messages", messages),
    ("bytes", bytes),
    ("program order", program_order),
    ("pictures", pictures),
    ("input", input),
    ("unread input", unread_input),
    ("a value", value),
    ("a warning", warning),
    ("an error", error),
    ("a queue", queue),
    ("a time limit", time_limit),
    ("an interrupt", interrupt),
    ("an interrupt amid output", interrupt_amid_output),
    ("an interrupt that is caught", interrupt_caught),
    ("a slow reader", slow_reader),
];

/// Runs before everything: R loads functions when they are first used, and an interrupt while it does may spoil one for good.
pub const PREPARE: &str = "invisible(lapply(c('compiler', 'parallel'), requireNamespace, quietly = TRUE))\n\
    invisible(lapply(lapply(c('base', 'parallel', 'grDevices', 'graphics'), asNamespace), function(e) \
    lapply(ls(e, all.names = TRUE), function(n) try(get(n, e), silent = TRUE))))\n\
    for (i in 1:3) invisible(gc())";

/// Frees what is free.
pub const COLLECT: &str = "for (i in 1:3) invisible(gc())";

fn lines(session: &mut Session, random: &mut Random) {
    let tag = random.text(60);
    let count = random.magnitude(1, 20_000);
    let flush = if random.chance(3) { "flush.console()" } else { "" };
    let code = format!("for (i in 0:{}) {{cat({}, i, '\\n', sep = ''); {flush}}}", count - 1, literal(&tag));
    session.run(&code).is(numbered(&tag, count).as_bytes());
}

fn one_write(session: &mut Session, random: &mut Random) {
    let text = random.text(200);
    let count = random.magnitude(1, 40_000);
    session.run(&format!("cat(strrep({}, {count}))", literal(&text))).is(text.repeat(count as usize).as_bytes());
}

fn messages(session: &mut Session, random: &mut Random) {
    let text = random.text(50);
    let count = random.magnitude(1, 1_000);
    let said = session.run(&format!("for (i in 1:{count}) message({})", literal(&text)));
    same(&said.stderr, format!("{text}\n").repeat(count as usize).as_bytes());
    said.printed(b"");
    assert_eq!(said.outcome(), Outcome::Ok, "{:?}", said.ready);
}

/// Any bytes, by R itself and by a child.
fn bytes(session: &mut Session, random: &mut Random) {
    let all: Vec<u8> = (0..random.magnitude(1, 5_000)).map(|_| 1 + random.below(255) as u8).collect();
    let numbers: Vec<String> = all.iter().map(u8::to_string).collect();
    let write =
        if random.chance(2) { "cat(rawToChar(data))" } else { "{p <- pipe('cat', 'wb'); writeBin(data, p); close(p)}" };
    session.run(&format!("data <- as.raw(c({}))\n{write}", numbers.join(","))).is(&all);
}

/// Every way to print, one after the other.
/// Pieces of text, by every means of printing; some are lines, some are less, some are the end of a line and no more.
fn program_order(session: &mut Session, random: &mut Random) {
    let (mut code, mut expected) = (String::new(), String::new());
    for i in 0..random.magnitude(2, 16) {
        let text = format!("{i} {}", random.below(1000));
        let text = if random.chance(3) { String::new() } else { text };
        let end = if random.chance(3) && !text.is_empty() { "" } else { "\n" };
        let echo = if end.is_empty() { format!("printf \"{text}\"") } else { format!("echo \"{text}\"") };
        let cat = format!("cat('{text}', {end:?}, sep = '')");
        let statement = match random.below(12) {
            0 => format!("system('{echo}')"),
            1 => format!("system2('sh', c('-c', shQuote('{echo}')))"),
            2 => format!("cat(system('{echo}; echo', intern = TRUE)[1], {end:?}, sep = '')"),
            3 => format!("x <- parallel::mccollect(parallel::mcparallel({cat}))"),
            4 => format!("{{p <- pipe('cat', 'w'); cat('{text}', {end:?}, sep = '', file = p); close(p)}}"),
            5 => format!("writeLines('{text}', sep = {end:?})"),
            6 => format!("cat('{text}', {end:?}, sep = '', file = stdout())"),
            7 => format!("suppressWarnings(cat('{text}', {end:?}, sep = '', file = '/dev/stdout'))"),
            _ => cat,
        };
        code.push_str(&format!("{statement}\n"));
        expected.push_str(&format!("{text}{end}"));
    }
    session.run(&code).is(expected.as_bytes());
}

/// Pages between what is printed, in one expression.
fn pictures(session: &mut Session, random: &mut Random) {
    let (mut code, mut expected, mut at) = (String::from("graphics.off()\n{"), String::new(), Vec::new());
    for i in 0..random.magnitude(1, 6) {
        let line = format!("{i} {}", random.below(1000));
        match random.below(4) {
            0 => {
                code.push_str(&format!("system('echo {line}')\n"));
                expected.push_str(&format!("{line}\n"));
            }
            1 => {
                code.push_str(&format!("cat('{line}\\n')\n"));
                expected.push_str(&format!("{line}\n"));
            }
            _ => {
                code.push_str("plot.new(); rect(0, 0, 1, 1)\n");
                at.push(expected.len());
            }
        }
    }
    code.push_str("invisible()}");
    let said = session.run(&code);
    said.printed(expected.as_bytes());
    assert_eq!(said.outcome(), Outcome::Ok, "{:?}", said.ready);
    assert_eq!(said.pictures.iter().map(|picture| picture.0).collect::<Vec<_>>(), at, "{:?}", said.pictures);
    assert!(said.pictures.iter().all(|picture| !picture.1.ends_with(" again")), "{:?}", said.pictures);
}

fn input(session: &mut Session, random: &mut Random) {
    let count = random.magnitude(1, 40);
    let code = format!("for (i in 1:{count}) cat('got ', readline('p> '), '\\n', sep = '')");
    // R drops blanks at both ends.
    shared::input(session, random, &code, count, |line| line.replace(['\n', '\r', '\t', ' '], "_"));
}

fn unread_input(session: &mut Session, random: &mut Random) {
    shared::unread_input(session, random, "cat(readline(), '\\n', sep = '')", "first\n");
}

fn value(session: &mut Session, random: &mut Random) {
    let (a, b) = (random.below(1 << 26), random.below(1 << 26));
    let said = session.run(&format!("x <- {a} * {b}\nsprintf('%.0f', x)"));
    let expected = format!("[1] \"{}\"\n", a * b);
    said.is(expected.as_bytes());
    same(&said.result, expected.as_bytes());
}

fn warning(session: &mut Session, random: &mut Random) {
    let number = random.below(1000);
    let said = session.run(&format!("{{warning('w{number}'); cat('on\\n')}}"));
    said.printed(b"on\n");
    same(&said.stderr, format!("Warning message:\nw{number} \n").as_bytes());
}

fn error(session: &mut Session, random: &mut Random) {
    let (code, name, printed) = match random.below(6) {
        0 => ("stop('e')", "simpleError", "Error: e\n"),
        1 => ("f <- function() stop('in f'); f()\ncat('no')", "simpleError", "Error in f() : in f\n"),
        2 => ("cat('no'); x = = 1", "simpleError", "Error: unexpected '=' in \"cat('no'); x = =\"\n"),
        3 => ("nobody.knows", "simpleError", "Error: object 'nobody.knows' not found\n"),
        4 => (
            "stop(structure(class = c('mine', 'error', 'condition'), list(message = 'm', call = NULL)))",
            "mine",
            "Error: m\n",
        ),
        _ => ("g <- function() g(); g()", "", "Error"),
    };
    let said = session.run(code);
    assert_eq!(said.outcome(), Outcome::Error, "{:?}", said.ready);
    let error = said.ready.error.as_ref().expect("an error says which");
    said.printed(b"");
    if name.is_empty() {
        assert!(said.stderr.starts_with(printed.as_bytes()), "{error:?}");
    } else {
        assert_eq!(error.name, name, "{error:?}");
        same(&said.stderr, printed.as_bytes());
    }
}

fn queue(session: &mut Session, random: &mut Random) {
    shared::queue(session, random, |number| format!("cat('{number}')"), |number| number.to_string());
}

fn time_limit(session: &mut Session, random: &mut Random) {
    shared::time_limit(session, random, &["repeat {}", "Sys.sleep(60)", "readline()"]);
}

/// The cell after an interrupt is spared, whatever the moment.
fn spared(session: &mut Session, random: &mut Random) {
    let number = random.below(1 << 30);
    let code = format!("z <- {number}; for (i in 1:200) z <- z + i; Sys.sleep(0); cat(sprintf('%.0f', z))");
    session.run(&code).is((number + 20_100).to_string().as_bytes());
}

fn interrupt(session: &mut Session, random: &mut Random) {
    let code = random.pick(&[
        "repeat {}",
        "f <- function() {x <- 0; repeat x <- x + 1}; f()",
        "Sys.sleep(60)",
        "readline('never answered')",
        "readLines(stdin())",
        "system('sleep 60')",
        "system('sleep 60', intern = TRUE)",
        "system2('sleep', '60')",
        // No connections: R closes those that an interrupt leaves open whenever it collects garbage, and warns of each then.
        "repeat gsub('a', 'b', strrep('a', 1000))",
    ]);
    let id = session.begin(code);
    pause(random);
    let said = session.interrupt_by(&id, random.chance(2), random.chance(2));
    stopped(&said);
    spared(session, random);
}

fn interrupt_amid_output(session: &mut Session, random: &mut Random) {
    let id = session.begin("i <- 0L; repeat {cat(i, '\\n', sep = ''); i <- i + 1L}");
    let enough = random.magnitude(0, 100_000) as usize;
    let end = Instant::now() + Duration::from_millis(200);
    while session.printed_so_far(&id) < enough && Instant::now() < end {
        session.step();
    }
    let said = session.interrupt_by(&id, random.chance(2), random.chance(2));
    stopped(&said);
    let whole = said.stdout.len() as u64;
    // What came is the beginning of what the loop prints, to the byte.
    same(&said.stdout, &numbered("", whole / 2 + 1).as_bytes()[..said.stdout.len()]);
    spared(session, random);
}

fn interrupt_caught(session: &mut Session, random: &mut Random) {
    let what =
        random.pick(&["repeat {}", "Sys.sleep(60)", "system('sleep 60')", "x <- system('sleep 60', intern = TRUE)"]);
    let id = session.begin(&format!("tryCatch({{{what}}}, interrupt = function(e) cat('caught\\n'))"));
    pause(random);
    let said = session.interrupt_by(&id, random.chance(2), random.chance(2));
    match said.outcome() {
        Outcome::Ok => said.is(b"caught\n"),
        _ => stopped(&said),
    }
    spared(session, random);
}

/// Nobody reads for a while amid much output.
fn slow_reader(session: &mut Session, random: &mut Random) {
    let count = random.magnitude(1_000, 50_000);
    let id = session.begin(&format!("for (i in 0:{}) cat(i, '\\n', sep = '')", count - 1));
    std::thread::sleep(Duration::from_millis(random.magnitude(0, 300)));
    session.finish(&id).is(numbered("", count).as_bytes());
}
