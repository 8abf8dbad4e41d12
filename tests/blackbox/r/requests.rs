//! What R's interpreter is asked for: names, components, whole cells. No code of the user's runs for it.

use crate::support::harness::Session;
use crate::support::r::r;
use serde_json::{Value, json};

#[test]
fn requests_take_either_line_end() {
    let mut s = r();
    for (code, status) in [
        ("x <- 1\r\nx", "complete"),
        ("{\r\n1\r\n}\r\n", "complete"),
        ("f(\r\n", "incomplete"),
        ("x <- )\r\n", "invalid"),
    ] {
        assert_eq!(s.call("is_complete", json!({"code": code})).unwrap()["status"], status, "{code:?}");
    }
}

/// What completes this code at its end: where that begins, and the texts with their types.
#[track_caller]
fn completions(s: &mut Session, code: &str) -> (u64, Vec<[String; 2]>) {
    let found = s.call("complete", json!({"code": code, "cursor": code.chars().count()})).unwrap();
    assert_eq!(found["end"], code.chars().count());
    let text = |found: &Value, key: &str| found[key].as_str().unwrap().to_owned();
    let matches = found["matches"].as_array().unwrap().iter().map(|found| [text(found, "text"), text(found, "type")]);
    (found["start"].as_u64().unwrap(), matches.collect())
}

#[test]
fn requests_complete_only_what_was_begun() {
    let mut s = r();
    s.says(
        "l <- list(alpha = 1, `my name` = 2, nested = list(q = 1)); setClass('S', representation(why = 'numeric'))
         s4 <- new('S'); été <- 1; e <- new.env(); e$field <- 1",
        "",
    );
    for (code, start, texts) in [
        ("l$zz", 0, &[][..]),
        ("l$al", 0, &["l$alpha"]),
        ("l$", 0, &["l$alpha", "l$`my name`", "l$nested"]),
        ("1 + l$nested$", 4, &["l$nested$q"]),
        ("s4@w", 0, &["s4@why"]),
        ("s4@zz", 0, &[]),
        ("e$", 0, &["e$field"]),
        ("1 + ét", 4, &["été"]),
        ("stats::zz", 0, &[]),
        ("x[zz", 0, &[]),
    ] {
        let (at, found) = completions(&mut s, code);
        assert_eq!(
            (at, found.iter().map(|[text, _]| text.as_str()).collect::<Vec<_>>()),
            (start, texts.to_vec()),
            "{code}"
        );
    }
}

#[test]
fn requests_run_no_code_of_the_users() {
    let mut s = r();
    s.says(
        "acting <- function(env, name) makeActiveBinding(name, function() {ran <<- TRUE; list(a = 1)}, env)
         ran <- FALSE; e <- new.env(); acting(globalenv(), 'zactive'); acting(e, 'zinner')
         delayedAssign('zpromise', {ran <- TRUE; function(a) 1})",
        "",
    );
    for code in
        ["zact", "zprom", "zactive", "zactive$", "zactive(", "zpromise", "zpromise$", "zpromise(", "e$", "e$zinner$"]
    {
        let (_, found) = completions(&mut s, code);
        assert!(found.iter().all(|[_, kind]| kind != "function" && kind != "argument"), "{code}: {found:?}");
        s.call("inspect", json!({"code": code, "cursor": code.len()})).unwrap();
    }
    s.call("variables", json!({})).unwrap();
    s.says("ran", "[1] FALSE\n");
}

#[test]
fn requests_inspect_components_operators_and_strange_text() {
    let mut s = r();
    s.says(
        "df <- data.frame(t = 1:2, nrow = 3:4); `my var` <- 3; bad <- 'a\\xffb'; l <- list(1); names(l) <- 'x\\xff'",
        "",
    );
    for (code, cursor, begins) in [
        ("df$t", 4, "df$t: integer [2] 1 2"),
        ("df$nrow", 5, "df$nrow: integer [2] 3 4"),
        ("`my var` + 1", 3, "my var: numeric 3"),
        ("1 + 2", 2, "+(e1, e2)"),
        ("x %in% y", 4, "%in%(x, table)"),
        ("bad", 1, "bad: character \"a\\xffb\""),
        ("l", 1, "l: list list of 1: x<ff>"),
        ("t(1)", 1, "t(x)\n\nMatrix Transpose"),
    ] {
        let found = s.call("inspect", json!({"code": code, "cursor": cursor})).unwrap();
        let text = found["data"]["text/plain"].as_str().unwrap_or_default();
        assert!(text.starts_with(begins), "{code}: {found}");
    }
    assert_eq!(s.call("inspect", json!({"code": "f(x)$t", "cursor": 6})).unwrap()["found"], false);
    let found = s.call("variables", json!({})).unwrap();
    assert_eq!(found["variables"][0], json!({"name": "bad", "type": "character", "summary": "\"a\\xffb\""}));
}

#[test]
fn requests_tell_of_missing_arguments() {
    let mut s = r();
    s.says("gone <- quote(expr = ); here <- 5", "");
    let named = |s: &mut crate::support::harness::Session, name: &str| {
        let all = s.call("variables", json!({})).unwrap()["variables"].clone();
        all.as_array().unwrap().iter().find(|one| one["name"] == name).map(|one| one["type"].clone())
    };
    assert_eq!(named(&mut s, "gone"), Some(json!("missing")));
    assert_eq!(named(&mut s, "here"), Some(json!("numeric")));
    assert!(s.call("inspect", json!({"code": "gone"})).is_ok());
    assert!(s.call("complete", json!({"code": "gone$"})).is_ok());
    let id = s.begin("f <- function(x, y, z = 1) {w <- 2; browser(); 3}; f(1)");
    let wait = s.wait_for("Browse[1]> ");
    assert_eq!(named(&mut s, "y"), Some(json!("missing")));
    assert_eq!(named(&mut s, "z"), Some(json!("promise")));
    assert_eq!(named(&mut s, "w"), Some(json!("numeric")));
    s.answer(&wait, "c");
    s.finish(&id).ok();
}

#[test]
fn requests_inspect_what_a_debugger_sees() {
    let mut s = r();
    let id = s.begin("outer <- 7; f <- function(x) {w <- 2; browser(); 3}; f(1)");
    let wait = s.wait_for("Browse[1]> ");
    for (name, text) in [("w", "w: numeric 2"), ("outer", "outer: numeric 7"), ("f", "f(x)")] {
        let found = s.call("inspect", json!({"code": name})).unwrap();
        assert_eq!(found["data"]["text/plain"], text, "{found}");
    }
    s.answer(&wait, "c");
    s.finish(&id).ok();
}

#[test]
fn requests_complete_properties_and_dots() {
    let mut s = r();
    s.says("f <- function(x, ...) 1", "");
    let found = s.call("complete", json!({"code": "f("})).unwrap();
    let dots = found["matches"].as_array().unwrap().iter().find(|one| one["text"].as_str().unwrap().starts_with("..."));
    assert_eq!(dots.unwrap()["type"], "argument", "{found}");
    // S7 came after R 4.2.
    if s.run("requireNamespace('S7', quietly = TRUE)").ok().result == "[1] TRUE\n" {
        s.says("library(S7); P <- new_class('P', properties = list(zed = class_numeric)); p <- P(zed = 1)", "");
        assert_eq!(s.call("complete", json!({"code": "p@z"})).unwrap()["matches"][0]["text"], "p@zed");
        let found = s.call("inspect", json!({"code": "p@zed"})).unwrap();
        assert_eq!(found["data"]["text/plain"], "p@zed: numeric 1", "{found}");
    }
}
