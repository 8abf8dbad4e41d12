//! R2 and S: what asks at R's console.

use crate::support::r::{minor, r, talk};
use worker_client::Batch;

#[test]
fn r2_readers_say_their_prompt() {
    let mut s = r();
    assert_eq!(talk(&mut s, "readline('name? ')", &[("name? ", "bob")]).ok().result, "[1] \"bob\"\n");
    let cell = talk(&mut s, "menu(c('a', 'b'))", &[("Selection: ", "2")]).ok();
    assert_eq!(cell.result, "[1] 2\n");
    let cell = talk(&mut s, "scan()", &[("1: ", "1 2"), ("3: ", "3"), ("4: ", "")]).ok();
    assert_eq!((&*cell.result, &*cell.stderr), ("[1] 1 2 3\n", "Read 3 items\n"));
    let cell = talk(&mut s, "readLines(stdin(), 2)", &[("", "a"), ("", "b")]).ok();
    assert_eq!(cell.result, "[1] \"a\" \"b\"\n");
    let long = "x".repeat(9000);
    let cell = talk(&mut s, "nchar(readLines(stdin(), 1))", &[("", &long)]).ok();
    assert_eq!(cell.result, "[1] 9000\n");
}

#[test]
fn r2_debuggers_work() {
    let mut s = r();
    let prompt = "Browse[1]> ";
    let cell =
        talk(&mut s, "f <- function(a) {b <- a + 1; browser(); b}\nf(1)", &[(prompt, "b * 10"), (prompt, "c")]).ok();
    assert_eq!(cell.stdout, "Called from: f(1)\n[1] 20\n[1] 2\n");
    assert_eq!(cell.result, "[1] 2\n");
    // `debug()` counts as a level of its own in older versions.
    let prompt = if minor(&s) < 5 { "Browse[2]> " } else { prompt };
    let cell =
        talk(&mut s, "g <- function() {1\n2}\ndebug(g); g()", &[(prompt, "n"), (prompt, "n"), (prompt, "n")]).ok();
    assert!(cell.stdout.contains("debug at #1: [1] 1") || cell.stdout.contains("debug"), "{:?}", cell.stdout);
    let cell = talk(
        &mut s,
        "undebug(g); options(error = recover); h <- function(n) {local <- n; stop('bad')}; h(3)",
        &[("Selection: ", "1"), ("Browse[1]> ", "local"), ("Browse[1]> ", "c"), ("Selection: ", "0")],
    )
    .failed("simpleError");
    assert!(cell.stdout.contains("[1] 3\n"), "{:?}", cell.stdout);
    s.says("options(error = NULL)", "");
    let cell = talk(&mut s, "f(1)\ncat('never')", &[("Browse[1]> ", "Q")]).interrupted();
    assert!(!cell.stdout.contains("never"));
}

#[test]
fn s_input_that_was_not_read_is_dropped() {
    let mut s = r();
    let id = s.begin("readline('p ')");
    let wait = s.wait_for("p ");
    s.send(Batch::stdin("one\ntwo\nthree"));
    s.delivered(&wait, "one");
    let cell = s.finish(&id).ok();
    assert_eq!(cell.ready.discarded_stdin_bytes, Some(10));
    let cell = talk(&mut s, "readline('q ')", &[("q ", "fresh")]).ok();
    assert_eq!(cell.result, "[1] \"fresh\"\n");
}

#[test]
fn s_a_reader_at_the_end_of_file_does_not_ask_for_ever() {
    let mut s = r();
    let id = s.begin("options(error = recover); f <- function(n) stop('x'); f(1)");
    s.wait_for("Selection: ");
    s.send(Batch::stdin("").eof());
    let cell = s.finish(&id);
    assert_ne!(cell.ready.outcome, Some(worker_protocol::Outcome::Ok));
    let id = s.begin("options(error = NULL); readline('p ')");
    s.wait_for("p ");
    s.send(Batch::stdin("").eof());
    assert_eq!(s.finish(&id).ok().result, "[1] \"\"\n");
    let id = s.begin("readLines(stdin())");
    let wait = s.wait_for("");
    s.answer(&wait, "a line");
    s.wait_for("");
    s.send(Batch::stdin("").eof());
    assert_eq!(s.finish(&id).ok().result, "[1] \"a line\"\n");
}

#[test]
fn s7_text_that_looks_like_a_prompt_is_output() {
    r().says("cat('p> hello\\n')", "p> hello\n");
}
