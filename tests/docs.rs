//! What the documents name is there: files, and functions by `file: function`.

use std::path::{Path, PathBuf};

/// Documents that name files, and where their short paths begin.
const DOCUMENTS: [&str; 3] = ["docs/architecture.md", "docs/interrupts.md", "docs/last-words.md"];
const ROOTS: [&str; 2] = ["", "src/core"];

fn house() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What stands between backticks, a line's end within it being a space.
fn code_spans(text: &str) -> impl Iterator<Item = String> {
    let text = text.split("```").step_by(2).collect::<String>();
    let spans: Vec<_> = text.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")).collect();
    spans.into_iter()
}

/// The path of a span that names a file, and the function that it names there.
fn file_and_function(span: &str) -> Option<(&str, Option<&str>)> {
    let (path, function) = match span.split_once(": ") {
        Some((path, function)) => (path, Some(function)),
        None => (span, None),
    };
    let is_file = [".rs", ".py", ".R", ".md", ".sh"].iter().any(|extension| path.ends_with(extension));
    (is_file && !path.contains(' ')).then_some((path, function))
}

fn find(path: &str) -> Option<PathBuf> {
    ROOTS.iter().map(|root| house().join(root).join(path)).find(|path| path.is_file())
}

/// Whether `source` defines the last part of `A::b`, and names the first.
fn defines(source: &str, name: &str) -> bool {
    let last = name.rsplit("::").next().unwrap();
    let forms = ["fn ", "def ", "struct ", "enum ", "trait ", "static ", "const "];
    let ends = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    let is_defined = forms.iter().any(|form| {
        source.match_indices(&format!("{form}{last}")).any(|(at, found)| ends(&source[at + found.len()..]))
    });
    (is_defined || source.contains(&format!("{last} <- function"))) && source.contains(name.split("::").next().unwrap())
}

#[test]
fn what_the_documents_name_is_there() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for document in DOCUMENTS {
        let text =
            std::fs::read_to_string(house().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"));
        for span in code_spans(&text) {
            let Some((path, functions)) = file_and_function(&span) else { continue };
            let Some(file) = find(path) else {
                wrong.push(format!("{document}: no file {path}"));
                continue;
            };
            let source = std::fs::read_to_string(file).unwrap();
            for function in functions.into_iter().flat_map(|functions| functions.split(", ")) {
                count += 1;
                if !defines(&source, function) {
                    wrong.push(format!("{document}: {path} has no {function}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 30, "the walks name their functions: only {count} were found");
}

#[test]
fn spans_are_read() {
    assert_eq!(code_spans("a `b\nc` ```d `e` ``` `f`").collect::<Vec<_>>(), ["b c", "f"]);
    assert_eq!(file_and_function("x/y.rs: A::b"), Some(("x/y.rs", Some("A::b"))));
    assert_eq!(file_and_function("cargo test x.rs"), None);
    assert!(defines("impl A { fn b(", "A::b") && !defines("impl A { fn bc(", "A::b") && defines("d <- function(", "d"));
}
