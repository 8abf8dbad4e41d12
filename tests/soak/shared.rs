//! Kinds of cell that both languages have: what differs is the source, and what it prints.

use crate::random::Random;
use crate::session::Session;
use std::time::Duration;
use worker_client::Batch;
use worker_protocol::Outcome;

/// Cells that ask: `code` asks `count` times with the prompt `p> ` and prints each answer after `got `. `plain`: an answer as the
/// language takes it.
pub fn input(session: &mut Session, random: &mut Random, code: &str, count: u64, plain: impl Fn(String) -> String) {
    let id = session.begin(code);
    let (mut expected, mut asked) = (String::new(), 0);
    let said = session.finish_answering(&id, |wait| {
        assert_eq!(wait.prompt, "p> ");
        asked += 1;
        let line = plain(random.text(30));
        expected.push_str(&format!("got {line}\n"));
        if random.chance(2) { Batch::new(line) } else { Batch::stdin(line).reader(wait.reader) }
    });
    assert_eq!(asked, count, "each wait is said once");
    said.is(expected.as_bytes());
}

/// A cell that reads one line and leaves more: `code` prints that line as `printed`.
pub fn unread_input(session: &mut Session, random: &mut Random, code: &str, printed: &str) {
    let rest = "x\n".repeat(random.magnitude(1, 100) as usize);
    let id = session.begin(code);
    let said = session.finish_answering(&id, |wait| Batch::stdin(format!("first\n{rest}")).reader(wait.reader));
    said.is(printed.as_bytes());
    assert_eq!(said.ready.discarded_stdin_bytes, Some(rest.len() as u64));
}

/// Cells that are sent before the first has ended: `code` prints a number as `printed`.
pub fn queue(
    session: &mut Session,
    random: &mut Random,
    code: impl Fn(u64) -> String,
    printed: impl Fn(u64) -> String,
) {
    let all: Vec<(String, u64)> = (0..random.magnitude(2, 60))
        .map(|_| {
            let number = random.bits();
            (session.begin(&code(number)), number)
        })
        .collect();
    for (id, number) in all {
        session.finish(&id).is(printed(number).as_bytes());
    }
}

/// A cell that would never end, with a time limit.
pub fn time_limit(session: &mut Session, random: &mut Random, endless: &[&'static str]) {
    let code = random.pick(endless);
    let limit = Duration::from_millis(random.below(20));
    let id = session.begin_as(code, |batch| batch.timeout(limit));
    let said = session.finish_unanswered(&id);
    assert!(said.ready.timed_out, "{:?}", said.ready);
    assert_eq!(said.outcome(), Outcome::Interrupted, "{:?}", said.ready);
}
