//! R's own examples print through the session what `Rscript` prints.

use crate::support::r::r;
use std::process::Command;
use std::time::Duration;
use worker_client::Event;

const FUNCTIONS: [&str; 40] = [
    "mean",
    "median",
    "quantile",
    "sd",
    "t.test",
    "wilcox.test",
    "chisq.test",
    "fisher.test",
    "optimize",
    "nls",
    "predict.lm",
    "residuals",
    "table",
    "tabulate",
    "cut",
    "split",
    "tapply",
    "aggregate",
    "merge",
    "apply",
    "sapply",
    "outer",
    "paste",
    "format",
    "strsplit",
    "regmatches",
    "grepl",
    "nchar",
    "sort",
    "duplicated",
    "which",
    "seq",
    "matrix",
    "solve",
    "svd",
    "qr",
    "factor",
    "hclust",
    "loess",
    "tryCatch",
];

fn code(function: &str) -> String {
    // What is not for tests is run interactively only, and functions keep their source there.
    format!(
        "cat('<{function}>\\n'); options(keep.source = FALSE); set.seed(1)\n\
         try(example('{function}', character.only = TRUE, ask = FALSE, run.donttest = FALSE))\n"
    )
}

#[test]
fn r1_examples_print_what_rscript_prints() {
    let all: String = FUNCTIONS.iter().map(|function| code(function)).collect();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("examples.R");
    std::fs::write(&script, &all).unwrap();
    let output = Command::new("Rscript")
        .arg("--no-init-file")
        .arg(&script)
        .current_dir(folder.path())
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let wanted = String::from_utf8(output.stdout).unwrap();
    let mut wanted = wanted.split('<').filter(|part| !part.is_empty());

    let mut s = r().patient(Duration::from_secs(120));
    s.run(&format!("setwd('{}')", folder.path().display())).ok();
    let mut printed = String::new();
    for function in FUNCTIONS {
        let id = s.begin(&code(function));
        loop {
            match s.next() {
                Event::Ready(ready) if ready.id.as_deref() == Some(&id) => break,
                Event::OutputImage(_) => {}
                other => s.fail(&format!("{other:?} of {function}")),
            }
        }
        for text in s.take(Some(&id)).texts {
            if text.stream == worker_protocol::Stream::Stdout {
                printed.push_str(&String::from_utf8_lossy(&text.bytes()));
            }
        }
    }
    let mut printed = printed.split('<').filter(|part| !part.is_empty());
    loop {
        match (printed.next(), wanted.next()) {
            (None, None) => return,
            (printed, wanted) => assert_eq!(printed, wanted),
        }
    }
}
