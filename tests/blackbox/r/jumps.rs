//! R2: R leaves C functions by `longjmp` on an error, and nothing of the session's is lost or stays behind where it does.

use crate::support::harness::{LIMIT, Session, compiled};
use crate::support::r::{r, story, with_profile};
use serde_json::json;
use std::path::Path;
use std::time::Instant;
use worker_client::{Batch, Event};

/// Fills R's protection stack, whose size is 50,000, but for `left` entries, and prints a line or raises an error.
const FILL: &str = r#"
    void *Rf_protect(void *), Rf_unprotect(int), R_ProtectWithIndex(void *, int *), Rprintf(const char *, ...);
    extern void *R_NilValue;
    void Rf_error(const char *, ...);
    void fill(int *left, int *is_error) {
        int index, count = 1;
        R_ProtectWithIndex(R_NilValue, &index);
        for (; index < 50000 - 1 - *left; index++, count++) Rf_protect(R_NilValue);
        if (*is_error) Rf_error("raised with %d left", *left);
        Rprintf("printed with %d left\n", *left);
        Rf_unprotect(count);
    }
"#;

fn with_fill(library: &Path) -> Session {
    let mut s = r();
    s.says(&format!("invisible(dyn.load('{}'))", library.display()), "");
    s
}

#[test]
fn r2_a_full_protection_stack_does_not_mute_the_session() {
    let (_folder, library) = compiled(FILL);
    let mut s = with_fill(&library);
    s.says("print.full <- function(x, ...) .C('fill', x$left, FALSE)", "");
    for left in 0..12 {
        let code = format!("structure(list(left = {left}L), class = 'full')");
        let story = story(&mut s, &code).concat();
        assert!(story.contains("protection stack overflow") || story.contains("printed with"), "{left}: {story}");
        s.says("1 + 1", "[1] 2\n");
    }
}

#[test]
fn r4_an_error_is_printed_though_the_protection_stack_is_full() {
    let (_folder, library) = compiled(FILL);
    let mut s = with_fill(&library);
    for left in 0..12 {
        let story = story(&mut s, &format!(".C('fill', {left}L, TRUE)")).concat();
        assert!(story.contains("protection stack overflow") || story.contains("raised with"), "{left}: {story}");
        assert!(story.ends_with("Error"), "{left}: {story}");
        s.says("1 + 1", "[1] 2\n");
    }
}

#[test]
fn g2_a_full_protection_stack_does_not_keep_pictures_back() {
    let (_folder, library) = compiled(FILL);
    let mut s = with_fill(&library);
    let count = "length(list.files('/proc/self/fd'))";
    let before = story(&mut s, &format!("plot(1); cat({count})"));
    for left in 0..12 {
        let story = story(&mut s, &format!("plot(1); .C('fill', {left}L, FALSE)"));
        assert!(story.concat().contains("<plot-"), "{left}: {story:?}");
    }
    assert_eq!(story(&mut s, &format!("plot(1); cat({count})"))[1..], before[1..], "descriptors");
}

#[test]
fn r3_a_profile_may_call_the_browser() {
    let (_folder, launch) = with_profile("browser()\ncat('went on\\n')\n");
    let mut worker = launch.spawn().unwrap();
    let mut said = String::new();
    loop {
        match worker.recv(Instant::now() + LIMIT).unwrap() {
            Event::InputWait(wait) => {
                let answer = if said.contains("42") { "c" } else { "42" };
                worker.send(&Batch::stdin(answer).reader(wait.reader)).unwrap();
            }
            Event::OutputText(text) => said.push_str(&String::from_utf8_lossy(&text.bytes())),
            Event::Ready(_) => break,
            Event::WorkerReady(_) | Event::InputLine(_) => {}
            other => panic!("{other:?} after {said:?}"),
        }
    }
    assert!(said.contains("[1] 42\n") && said.contains("went on\n"), "{said}");
}

/// The first request binds functions. R collects so often meanwhile that one which is not protected is gone.
#[test]
fn r2_values_outlive_collections() {
    let mut s = r();
    s.says("invisible(gctorture2(4))", "");
    assert_eq!(s.call("is_complete", json!({"code": "f("})).unwrap()["status"], "incomplete");
}
