//! R1, R2, R4, I1: what made R leave a cell decides on its outcome, and not what the cell prints.

use crate::support::harness::Session;
use crate::support::r::{minor, r, talk};
use crate::support::said::Cell;
use worker_client::Batch;

/// The message of the error that a cell failed with.
#[track_caller]
fn message(cell: Cell) -> String {
    cell.failed("simpleError").ready.error.unwrap().message
}

#[test]
fn r4_an_error_is_one_whatever_its_cleanup_prints() {
    let mut s = r();
    s.says("bar <- function() {b <- txtProgressBar(file = stderr()); on.exit(close(b)); stop('x')}", "");
    for code in [
        "f <- function() {on.exit(message('')); stop('x')}; f()",
        "tryCatch(stop('x'), finally = message(''))",
        "bar()",
        "f <- function() {on.exit({message(''); message('Error: later')}); stop('x')}; f()",
        "f <- function() {on.exit(try(stop('inner'))); stop('x')}; f()",
        "f <- function() {on.exit(stop('x')); stop('first')}; f()",
        "options(error = function() message('')); stop('x')",
        "options(error = quote(stop('again'))); stop('x')",
        "options(error = function() {try(log('a')); message('in the handler')}, show.error.messages = FALSE); stop('x')",
    ] {
        assert_eq!(message(s.run(code)), "x", "{code}");
    }
    assert_eq!(s.run("stop('y')").traceback, "");
    s.says("options(error = NULL, show.error.messages = TRUE)", "");
    let cell = s.run("options(error = quote(stop('again'))); stop('y')");
    let wrapup = "Error during wrapup: again\nError: no more error handlers available (recursive errors?); invoking 'abort' restart\n";
    assert_eq!(cell.traceback, format!("Error: y\n{wrapup}"));
}

#[test]
fn r4_what_only_looks_like_an_error_is_none() {
    let mut s = r();
    for code in [
        "message('Errors found: 3')",
        "try(stop('caught'))",
        "{signalCondition(simpleError('s')); message('on')}",
        "{signalCondition(simpleError('s')); try(stop('caught'))}",
        "tryCatch(stop('s'), error = function(e) warning(e))",
        "{try(stop('s')); message(geterrmessage())}",
    ] {
        let cell = s.run(code).ok();
        assert!(cell.traceback.is_empty() && !cell.stderr.is_empty(), "{code}: {cell:?}");
    }
    for code in [
        "{message('Error: fake'); invokeRestart('abort')}",
        "{try(stop('caught')); invokeRestart('abort')}",
        "{signalCondition(simpleError('s')); invokeRestart('abort')}",
        "{tryCatch(stop('s'), error = function(e) warning(e)); invokeRestart('abort')}",
        "{withRestarts(stop('left'), abort = function() 1); invokeRestart('abort')}",
    ] {
        s.run(code).interrupted();
    }
    let story = crate::support::r::story(&mut s, "{signalCondition(simpleError('s')); plot(1); cat('text\\n')}");
    assert_eq!(story, ["<plot-1>", "text\n", "Ok"]);
}

/// Interrupts a cell that has said `go`.
#[track_caller]
fn interrupted(s: &mut Session, code: &str) -> Cell {
    let id = s.begin(code);
    s.until_printed(&id, "go\n");
    s.interrupt();
    s.finish(&id)
}

#[test]
fn i1_an_interrupt_is_one_whatever_its_cleanup_prints() {
    let mut s = r();
    for code in [
        "f <- function() {on.exit(try(stop('closing failed'))); cat('go\\n'); Sys.sleep(600)}; f()",
        "f <- function() {on.exit(message('Error: cleanup')); cat('go\\n'); repeat {}}; f()",
        "tryCatch({cat('go\\n'); repeat {}}, finally = message('Error in x : y'))",
        "options(error = function() {cat('go\\n'); Sys.sleep(600)}); stop('x')",
    ] {
        let cell = interrupted(&mut s, code).interrupted();
        assert!(cell.ready.error.is_none(), "{code}");
    }
    s.says("options(error = NULL)", "");
    s.send(
        Batch::cell("f <- function() {on.exit(message('Error: late')); repeat {}}; f()")
            .id("t")
            .timeout(std::time::Duration::from_millis(200)),
    );
    let cell = s.finish("t").interrupted();
    assert_eq!((cell.ready.timed_out, &*cell.traceback), (true, ""));
    let code = "f <- function() {on.exit(stop('x')); cat('go\\n'); repeat {}}; f()";
    assert_eq!(message(interrupted(&mut s, code)), "x");
    let code = "withCallingHandlers({cat('go\\n'); Sys.sleep(600)}, interrupt = function(e) stop('x'))";
    assert_eq!(message(interrupted(&mut s, code)), "x");
}

#[test]
fn r2_what_fails_in_a_debugger_ends_there() {
    let mut s = r();
    let [top, selection] = ["Browse[1]> ", "Selection: "];
    s.says("f <- function(n) {browser(); n}; g <- function(n) stop('x')", "");
    let cell = talk(&mut s, "f(1)", &[(top, "stop('typo')"), (top, "nosuch"), (top, "Q")]).interrupted();
    let place = if minor(&s) < 5 { "Error:" } else { "Error in f(1) :" };
    assert_eq!(cell.traceback, format!("Error in f(1) : typo\n{place} object 'nosuch' not found\n"));
    s.says("h <- function() {on.exit(message('')); stop('e')}", "");
    talk(&mut s, "f(2)", &[(top, "h()"), (top, "try(stop('t'))"), (top, "c")]).ok();
    s.says("options(error = recover)", "");
    let cell = talk(&mut s, "g(1)", &[(selection, "1"), (top, "stop('typo')"), (top, "Q")]);
    assert_eq!(message(cell), "x");
    let classed = "stop(structure(class = c('typo', 'error', 'condition'), list(message = 'typo', call = NULL)))";
    let cell = talk(&mut s, "g(1)", &[(selection, "1"), (top, classed), (top, "c"), (selection, "0")]);
    let error = cell.failed("simpleError").ready.error.unwrap();
    assert_eq!((&*error.message, error.traceback), ("x", vec!["g(1)".to_owned(), "stop(\"x\")".to_owned()]));
    let id = s.begin("g(1)");
    let wait = s.wait_for(selection);
    s.answer(&wait, "1");
    s.wait_for(top);
    s.interrupt();
    s.finish(&id).interrupted();
}

#[test]
fn r4_errors_that_r_code_prints_are_errors() {
    let mut s = r();
    // As rlang does it.
    s.says(
        "abort <- function(message, class = NULL, file = stdout()) {
           signal_abort(structure(class = c(class, 'rlang_error', 'error', 'condition'), list(message = message, call = NULL)), file)
         }
         signal_abort <- function(cnd, file) {
           signalCondition(cnd)
           fallback <- cnd
           class(fallback) <- c('rlang_error', 'condition')
           fallback$message <- ''
           cat(paste0('Error:\n! ', cnd$message, '\n'), sep = '', file = file)
           old <- options(show.error.messages = FALSE)
           on.exit(options(old))
           stop(fallback)
         }
         print.loud <- function(x, ...) abort('in print')",
        "",
    );
    for file in ["stdout()", "stderr()"] {
        let cell = s.run(&format!("cat('before\n'); abort('m', 'mine', {file})")).failed("mine");
        assert_eq!((&*cell.traceback, cell.ready.error.unwrap().message.as_str()), ("Error:\n! m\n", "m"));
    }
    let cell = s.run("structure(1, class = 'loud')").failed("rlang_error");
    assert_eq!((&*cell.traceback, &*cell.result), ("Error:\n! in print\n", ""));
    s.says("tryCatch(abort('caught'), error = function(e) cat(conditionMessage(e), '\\n'))", "caught \n");
    assert_eq!(s.says("cat('on\n')", "on\n").traceback, "");
    // What is no condition of an error's class calls no handler for errors.
    s.run("stop(structure(class = c('odd', 'condition'), list(message = 'm', call = NULL)))").failed("simpleError");
    let cell = s.run("options(show.error.messages = FALSE); stop(structure(class = c('odd', 'condition'), list(message = 'q', call = NULL)))");
    assert_eq!(message(cell), "q");
}

#[test]
fn r1_handlers_that_a_cell_puts_in_place_hide_no_error_of_it() {
    let mut s = r();
    let cell =
        s.run("globalCallingHandlers(error = function(e) cat('seen\\n'), warning = function(w) NULL)\nlist()[[3]]");
    assert_eq!(cell.failed("subscriptOutOfBoundsError").stdout, "seen\n");
    let code = "globalCallingHandlers(message = function(m) NULL)\nf <- function() {on.exit(message('Error: x')); cat('go\\n'); repeat {}}; f()";
    interrupted(&mut s, code).interrupted();
    s.run("globalCallingHandlers(NULL)\nlist()[[3]]").failed("subscriptOutOfBoundsError");
}
