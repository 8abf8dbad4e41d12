//! R1, R4, R5, R9: cells of R, their printing, their warnings and their errors.

use crate::support::r::{minor, r, talk};
use serde_json::json;

#[test]
fn r1_a_cell_is_parsed_whole() {
    let mut s = r();
    let cell = s.run("x <- 1\ncat('ran')\ny <- )").failed("simpleError");
    assert_eq!(cell.stdout, "");
    assert_eq!(cell.stderr, cell.traceback);
    assert!(cell.traceback.starts_with("Error: unexpected ')'"), "{cell:?}");
    s.says("exists('x')", "[1] FALSE\n");
    for broken in ["f(", "x y", "if (TRUE) 1\nelse 2", "'open", "}"] {
        s.run(broken).failed("simpleError");
    }
    // Errors of the lexer have classes of their own since R 4.3.
    let name = if minor(&s) < 3 { "simpleError" } else { "unrecognizedEscape" };
    s.run("'\\q'").failed(name);
    s.says("", "");
    s.says("# nothing\n\n  ", "");
}

#[test]
fn r1_values_print_as_at_the_prompt() {
    let mut s = r();
    assert_eq!(s.says("1 + 1", "[1] 2\n").result, "[1] 2\n");
    let cell = s.says("x <- 5; x\n(invisible(3))\ninvisible(4); NULL", "[1] 5\n[1] 3\nNULL\n");
    assert_eq!(cell.result, "NULL\n");
    s.says("y <- 1", "");
    s.says("invisible(7)", "");
    s.says(".Last.value", "[1] 7\n");
    let source = "function(x) {\n  # kept\n  x+1\n}";
    assert_eq!(s.says(&format!("f <- {source}\nf"), &format!("{source}\n")).result, format!("{source}\n"));
    assert_eq!(s.says("f", &format!("{source}\n")).result, format!("{source}\n"));
    assert_eq!(s.says("print(1)", "[1] 1\n").result, "");
    let frame = "  a\n1 1\n2 2\n";
    assert_eq!(s.says("d <- data.frame(a = 1:2); d", frame).result, frame);
    assert_eq!(s.says("d", frame).result, frame);
    s.says("for (i in 1:2) i", "");
    s.says("getOption('width'); interactive()", "[1] 80\n[1] TRUE\n");
    s.says("ls(all.names = TRUE)", "[1] \"d\" \"f\" \"i\" \"x\" \"y\"\n");
    assert_eq!(s.first.runtime.as_ref().unwrap().name, "R");
}

#[test]
fn r1_what_task_callbacks_print_is_no_result() {
    let mut s = r();
    s.run("invisible(addTaskCallback(function(...) {cat('called\\n'); print(data.frame(b = 2)); TRUE}))").ok();
    let called = "called\n  b\n1 2\n";
    for (code, result) in [
        ("1 + 1", "[1] 2\n"),
        ("data.frame(a = 1)", "  a\n1 1\n"),
        (
            "setClass('S', representation(x = 'numeric')); new('S', x = 1)",
            "An object of class \"S\"\nSlot \"x\":\n[1] 1\n\n",
        ),
    ] {
        let cell = s.run(code).ok();
        assert!(cell.stdout.ends_with(&format!("{result}{called}")), "{cell:?}");
        assert_eq!(cell.result, result);
    }
}

#[test]
fn r1_warnings_come_after_their_call() {
    let mut s = r();
    assert_eq!(
        crate::support::r::story(&mut s, "as.integer('a')\nwarning('w'); cat('then\\n')"),
        ["[1] NA\n", "! Warning message:\nNAs introduced by coercion \nWarning message:\nw \n", "then\n", "Ok"]
    );
    let cell = s.run("warning('again')\nwarnings()").ok();
    assert_eq!(cell.stdout, "Warning message:\nagain\n");
    let cell = s.run("options(warn = 1); {warning('now'); cat('later\\n')}").ok();
    assert_eq!(cell.stderr, "Warning: now\n");
    s.run("options(warn = 2); warning('e')").failed("simpleError");
}

#[test]
fn r1_errors_tell_class_message_and_calls() {
    let mut s = r();
    let cell = s.run("f <- function(n) stop('bad ', n)\ng <- function() f(3)\ng()\ncat('never')").failed("simpleError");
    assert_eq!((&*cell.stdout, &*cell.stderr), ("", "Error in f(3) : bad 3\n"));
    assert_eq!(cell.traceback, cell.stderr);
    let error = cell.ready.error.unwrap();
    assert_eq!(error.message, "bad 3");
    assert_eq!(error.traceback, ["g()", "f(3)", "stop(\"bad \", n)"]);
    assert_eq!(s.run("traceback()").ok().stdout, "3: stop(\"bad \", n) at #1\n2: f(3) at #1\n1: g()\n");
    let cell = s.run("stop(structure(class = c('mine', 'error', 'condition'), list(message = 'm', call = NULL)))");
    assert_eq!(cell.failed("mine").ready.error.unwrap().message, "m");
    s.says("tryCatch(stop('a'), error = function(e) conditionMessage(e))", "[1] \"a\"\n");
    s.says("try(log('a'), silent = TRUE); cat('on\\n')", "on\n");
    s.run("options(error = quote(cat('handled\\n'))); stop('x'); cat('never')").failed("simpleError");
    s.run("options(error = NULL); globalCallingHandlers(warning = function(w) invokeRestart('muffleWarning'))").ok();
    s.says("warning('muffled')", "");
    assert_eq!(s.run("stop('s')").failed("simpleError").ready.error.unwrap().message, "s");
    let cell = s.run(
        "{message('to stderr'); on.exit(cat('left\\n')); 1}\nf <- function() {on.exit(cat('left\\n')); stop('e')}\nf()",
    );
    assert_eq!(cell.failed("simpleError").stdout.matches("left\n").count(), 1);
}

#[test]
fn r4_what_fails_deep_down_is_an_error() {
    let mut s = r();
    let cell = s.run("f <- function() f(); f()");
    assert!(cell.traceback.starts_with("Error"), "{:?}", cell.stderr);
    assert!(cell.ready.error.as_ref().unwrap().traceback.len() < 200);
    s.says("1", "[1] 1\n");
    s.run("options(expressions = 500); f()");
    s.says("options(expressions = 5000)", "");
    s.run("print.bad <- function(x, ...) stop('no print'); structure(1, class = 'bad')").failed("simpleError");
    s.run("invokeRestart('abort')").interrupted();
    s.says("cat('on\\n')", "on\n");
}

#[test]
fn r4_errors_are_errors_in_every_language() {
    let mut s = r();
    s.says("Sys.setenv(LANGUAGE = 'de'); f <- function(n) Recall(n + 1)", "");
    let cell = s.run("f(1)").failed("simpleError");
    assert!(cell.ready.error.unwrap().message.starts_with("C stack usage"), "{}", cell.stderr);
    s.run("stop('x')").failed("simpleError");
    assert_eq!(s.run("warning('Fehler'); message('Fehlerlos')").ok().traceback, "");
    s.says("1", "[1] 1\n");
}

#[test]
fn r5_long_and_strange_input_arrives_whole() {
    let mut s = r();
    let long = "é".repeat(50_000);
    s.says(&format!("x <- '{long}'; nchar(x)"), "[1] 50000\n");
    s.says("'é'; '\té'; x <- 'ééé'; nchar(x) # é", "[1] \"é\"\n[1] \"\\té\"\n[1] 3\n");
    let body: String = (0..5000).map(|i| format!("  x{i} <- {i} # comment\n")).collect();
    s.says(&format!("f <- function() {{\n{body}}}\nlength(body(f))"), "[1] 5001\n");
    let medium: String = (0..90).map(|i| format!("  y{i} <- '{}'\n", "ü".repeat(60))).collect();
    s.says(&format!("{{\n{medium}y89\n}}"), &format!("[1] \"{}\"\n", "ü".repeat(60)));
    let many: String = (0..3000).map(|i| format!("z{i} <- {i}\n")).collect();
    s.says(&format!("{many}z2999"), "[1] 2999\n");
    s.says("x <- 1\r\nx", "[1] 1\n");
    s.says("cat('a\\rb\\rc\\n')", "a\rb\rc\n");
    let cell = s.run("cat('\\xff\\n')").ok();
    assert!(cell.texts.iter().any(|text| text.data_b64.is_some()), "{:?}", cell.texts);
    let cell = s.run("cat(strrep('0123456789abcdef', 2^22))").ok();
    assert_eq!(cell.stdout.len(), 64 << 20);
    assert_eq!(cell.stdout, "0123456789abcdef".repeat(1 << 22));
    s.says("for (i in 1:3) {cat(i, ''); flush.console()}; cat('\\n')", "1 2 3 \n");
}

#[test]
fn o1_children_and_r_come_in_program_order() {
    let mut s = r();
    s.says("cat('a\\n'); system('echo b'); cat('c\\n'); system2('echo', 'd')", "a\nb\nc\nd\n");
    let cell = s.run(
        "library(parallel); r <- mclapply(1:4, function(i) {cat('child', i, '\\n'); i^2}, mc.cores = 2)\nunlist(r)",
    );
    let cell = cell.ok();
    assert_eq!(cell.result, "[1]  1  4  9 16\n");
    assert_eq!(cell.stdout.matches("child").count(), 4);
    let cell = s.run("j <- mcparallel({cat('from the child\\n'); plot(1); 42}); r <- mccollect(j)[[1]]; r").ok();
    assert_eq!(cell.stdout, "from the child\n[1] 42\n");
    let cell = s
        .run(
            "p <- parallel:::mcfork()\nif (inherits(p, 'masterProcess')) cat('the child runs on\\n')\n\
             if (!inherits(p, 'masterProcess')) {while (!is.null(r <- parallel:::readChild(p)) && is.raw(r)) NULL; cat('over\\n')}",
        )
        .ok();
    assert!(cell.stdout.contains("the child runs on\n") && cell.stdout.contains("over\n"), "{:?}", cell.stdout);
    s.says("cat('here\\n')", "here\n");
    s.run("cl <- makeCluster(2); print(parSapply(cl, 1:3, function(i) i^2)); stopCluster(cl)").ok();
}

#[test]
fn r9_nothing_runs_after_an_error_and_nothing_hangs() {
    let mut s = r();
    let cell = talk(
        &mut s,
        "options(error = recover); f <- function(n) stop('x'); f(1)\ncat('never')",
        &[("Selection: ", "0")],
    );
    assert!(!cell.failed("simpleError").stdout.contains("never"));
    s.says("options(error = NULL)", "");
    s.says("readLines(file('stdin'))", "character(0)\n");
    s.says("system('cat')", "");
    for code in ["edit(1)", "fix(letters)", "file.edit('x.R')", "View(1)", "data.entry(1)"] {
        let cell = s.run(code);
        assert_eq!(cell.ready.outcome, Some(worker_protocol::Outcome::Error), "{code}");
    }
    let page = s.run("help(mean)").ok().stdout;
    assert!(page.contains("Arithmetic Mean") && !page.contains('\u{8}'), "{page}");
    s.run("page(letters)").ok();
}

#[test]
fn r9_there_is_no_line_editor_and_no_history() {
    let mut s = r();
    s.says("unname(capabilities('cledit'))", "[1] FALSE\n");
    for code in ["history()", "savehistory()", "loadhistory()"] {
        let error = s.run(code).failed("simpleError").ready.error.unwrap();
        assert!(error.message.starts_with("no history"), "{code}: {}", error.message);
    }
}

#[test]
fn r_requests_are_answered() {
    let mut s = r();
    s.says("alpha <- 1:1e9; fn <- function(first, second = 2) NULL; makeActiveBinding('active', function() stop(), globalenv())", "");
    for (code, status) in
        [("1+", "incomplete"), ("1", "complete"), ("f(", "incomplete"), ("x y", "invalid"), ("'\\q'", "invalid")]
    {
        assert_eq!(s.call("is_complete", json!({"code": code})).unwrap()["status"], status, "{code}");
    }
    let found = s.call("complete", json!({"code": "é <- alp + 1", "cursor": 8})).unwrap();
    assert_eq!(found, json!({"matches": [{"text": "alpha", "type": "object"}], "start": 5, "end": 8}));
    let found = s.call("complete", json!({"code": "fn(se", "cursor": 5})).unwrap();
    assert_eq!(found["matches"][0], json!({"text": "second=", "type": "argument"}));
    let found = s.call("inspect", json!({"code": "fn(1)", "cursor": 1})).unwrap();
    assert_eq!(found, json!({"found": true, "data": {"text/plain": "fn(first, second = 2)"}}));
    let found = s.call("inspect", json!({"code": "stats::sd", "cursor": 9})).unwrap();
    assert!(found["data"]["text/plain"].as_str().unwrap().contains("Standard Deviation"));
    assert_eq!(s.call("inspect", json!({"code": "nosuch", "cursor": 1})).unwrap()["found"], false);
    let found = s.call("variables", json!({})).unwrap();
    assert_eq!(
        found["variables"],
        json!([
            {"name": "active", "type": "active binding", "summary": ""},
            {"name": "alpha", "type": "integer", "summary": "[1e+09] 1 2 3 4 5 ..."},
            {"name": "fn", "type": "function", "summary": "function(first, second = 2)"},
        ])
    );
    assert_eq!(s.call("complete", json!({"code": 5})).unwrap_err().code, -32602);
    let id = s.begin("g <- function(zed) {inner <- zed * 2; browser(); inner}; g(4)");
    let wait = s.wait_for("Browse[1]> ");
    let found = s.call("variables", json!({})).unwrap();
    assert_eq!(found["variables"][0], json!({"name": "inner", "type": "numeric", "summary": "8"}));
    s.answer(&wait, "c");
    s.finish(&id).ok();
    let id = s.begin("cat('go\\n'); repeat {}");
    s.until_printed(&id, "go\n");
    assert_eq!(s.call("variables", json!({})).unwrap_err().code, -32002);
    s.interrupt();
    s.finish(&id).interrupted();
}

#[test]
fn r1_a_locale_without_utf8_cuts_no_expression() {
    let mut s = r();
    s.run("invisible(Sys.setlocale('LC_CTYPE', 'C'))").ok();
    s.says(
        "x <- 'é'; nchar(x, 'bytes')\n'éééé'; \ty <- 'ü'; y == 'ü'; 1 + 1",
        "[1] 2\n[1] \"\\303\\251\\303\\251\\303\\251\\303\\251\"\n[1] TRUE\n[1] 2\n",
    );
    let many: String = (0..200).map(|i| format!("'é'; z{i} <- {i}\n")).collect();
    s.says(&format!("f <- function() {{\n{many}z199}}; f()"), "[1] 199\n");
    // `parse()` of R 4.3 and newer takes the letter for the fault.
    s.run("x <- 'é'; y <- )").failed(if minor(&s) < 3 { "simpleError" } else { "invalidMBCS" });
}

/// Whatever an error holds, little of it is told, and the session goes on.
#[track_caller]
fn little_is_told(s: &mut crate::support::harness::Session, code: &str, name: &str) -> crate::support::said::Cell {
    let cell = s.run(code).failed(name);
    let error = cell.ready.error.as_ref().unwrap();
    assert!(error.message.len() <= 16 << 10, "{code}: {}", error.message.len());
    assert!(error.traceback.iter().map(|line| line.len() + 1).sum::<usize>() <= 16 << 10, "{code}");
    s.says("1", "[1] 1\n");
    cell
}

#[test]
fn r4_little_is_told_of_a_huge_error() {
    let mut s = r();
    let cell = little_is_told(&mut s, "stop(strrep('x', 1e7))", "simpleError");
    // R prints so much of it.
    assert!(cell.traceback.starts_with("Error: xxx") && cell.traceback.len() > 1000, "{}", cell.traceback.len());
    assert!(cell.ready.error.unwrap().message.len() > 8000);
    let cell = little_is_told(&mut s, "stop(simpleError(strrep('x', 1e7)))", "simpleError");
    assert_eq!(cell.ready.error.unwrap().message.len(), 16 << 10);
    let cell = little_is_told(&mut s, "f <- function(...) stop('e'); do.call(f, as.list(1:1e5))", "simpleError");
    assert!(cell.ready.error.unwrap().traceback.len() == 3);
    let cell = little_is_told(&mut s, "do.call(f, list(strrep('y', 1e6)))", "simpleError");
    let error = cell.ready.error.unwrap();
    assert_eq!(error.message, "e");
    assert!(error.traceback[1].starts_with("(function (...)") && error.traceback[1].ends_with("yyy..."), "{error:?}");
    let nested = "g <- function(n, s) if (n) do.call(g, list(n - 1, strrep('z', 1e4))) else stop('deep'); g(150)";
    let cell = little_is_told(&mut s, nested, "simpleError");
    assert_eq!(cell.ready.error.unwrap().traceback.last().unwrap(), "stop(\"deep\")");
    let class =
        "stop(structure(class = c('first', sprintf('k%d', 1:5000), 'error', 'condition'), list(message = 'm')))";
    little_is_told(&mut s, class, "first");
    let name = "stop(structure(class = c(strrep('k', 1e6), 'error', 'condition'), list(message = 'm')))";
    little_is_told(&mut s, name, "simpleError");
}

#[test]
fn r4_conditions_that_cannot_tell_are_errors_too() {
    let mut s = r();
    let condition = |class: &str, rest: &str| {
        format!("structure(class = c('{class}', 'error', 'condition'), list(message = 'm', call = NULL{rest}))")
    };
    s.says("conditionMessage.mute <- function(c) stop('no message')", "");
    let cell = little_is_told(&mut s, &format!("stop({})", condition("mute", "")), "simpleError");
    assert_eq!(cell.ready.error.unwrap().message, "no message");
    s.says("conditionMessage.loud <- function(c) {cat('asked\\n'); 'made'}", "");
    let cell = little_is_told(&mut s, &format!("stop({})", condition("loud", "")), "loud");
    assert_eq!((&*cell.stdout, cell.ready.error.unwrap().message.as_str()), ("asked\n", "made"));
    s.says("conditionMessage.strange <- function(c) quote(x)", "");
    little_is_told(&mut s, &format!("stop({})", condition("strange", "")), "simpleError");
    s.says("conditionCall.lost <- function(c) stop('no call')", "");
    little_is_told(&mut s, &format!("stop({})", condition("lost", "")), "simpleError");
    little_is_told(&mut s, "stop(structure(class = c('error', 'condition'), list()))", "simpleError");
    let cell =
        little_is_told(&mut s, "x <- 'caf\\xe9'; Encoding(x) <- 'latin1'; gctorture(TRUE); stop(x)", "simpleError");
    assert_eq!(cell.ready.error.unwrap().message, "café");
    s.says("gctorture(FALSE)", "");
    let class = "k <- 'k\\xff'; Encoding(k) <- 'bytes'; stop(structure(class = c(k, 'error', 'condition'), list(message = 'm')))";
    little_is_told(&mut s, class, "simpleError");
}
