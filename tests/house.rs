//! No file, no function and no folder grows beyond what can be read at once.
//!
//! What is larger today is listed with its size. It must not grow, and what is no longer too large must leave the list.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const ROOTS: [&str; 6] = ["src", "python", "r", "tests", "benches", "examples"];

/// Lines of a file of Rust, Python or R.
const FILE: usize = 400;
const KNOWN_FILES: [(&str, usize); 0] = [];

/// Lines of a function in Rust, from its name to its closing brace.
const FUNCTION: usize = 60;
const KNOWN_FUNCTIONS: [(&str, usize); 0] = [];

/// Files of a folder, without those in folders within.
const FOLDER: usize = 14;
const KNOWN_FOLDERS: [(&str, usize); 0] = [];

/// What was measured, by name.
type Sizes = BTreeMap<String, usize>;

fn house() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file by its folder. What Python compiled is no file of ours.
fn folders() -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let mut found = BTreeMap::new();
    let mut left: Vec<_> = ROOTS.iter().map(|root| house().join(root)).collect();
    while let Some(folder) = left.pop() {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true if path.file_name().is_some_and(|name| name == "__pycache__") => {}
                true => left.push(path),
                false => files.push(path),
            }
        }
        found.insert(folder, files);
    }
    found
}

fn sources(extensions: &[&str]) -> Vec<(String, String)> {
    let is_source = |path: &&PathBuf| path.extension().is_some_and(|found| extensions.iter().any(|one| found == *one));
    let files: Vec<_> = folders().into_values().flatten().collect();
    files.iter().filter(is_source).map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

fn name(path: &Path) -> String {
    path.strip_prefix(house()).unwrap().display().to_string()
}

/// The name of the function that begins in this line.
fn function(line: &str) -> Option<&str> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let is_modifier = |word: &str| {
        ["pub", "const", "async", "unsafe", "extern"].contains(&word)
            || word.starts_with("pub(")
            || word.starts_with('"')
    };
    before.split_whitespace().all(is_modifier).then(|| after.split(['(', '<']).next().unwrap())
}

/// The functions of a file as rustfmt lays them out: the closing brace is as far to the right as the first line.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(function) = function(line) else { continue };
        let margin = &line[..line.len() - line.trim_start().len()];
        let closes = |later: &&str| later.strip_prefix(margin).is_some_and(|rest| rest == "}");
        let declares =
            |later: &&str| later.strip_prefix(margin).is_some_and(|rest| rest.starts_with(')') && rest.ends_with(';'));
        // A declaration has no body, and a body within the line is none to count.
        if line.ends_with(';') || line.ends_with('}') {
            continue;
        }
        let end = lines[at..].iter().position(|later| closes(later) || declares(later));
        found.push((function, end.unwrap_or_else(|| panic!("{function} never ends")) + 1));
    }
    found
}

#[track_caller]
fn none_is_over(limit: usize, what: &str, sizes: Sizes, known: &[(&str, usize)]) {
    assert!(!sizes.is_empty(), "no {what} was found");
    let most = |name: &str| known.iter().find(|(known, _)| *known == name).map_or(limit, |(_, size)| *size);
    let over: Vec<_> = sizes.iter().filter(|(name, size)| **size > most(name)).collect();
    assert!(over.is_empty(), "{what} of more than {limit}: {over:#?}");
    let is_over = |name: &str| sizes.get(name).is_some_and(|size| *size > limit);
    let gone: Vec<_> = known.iter().filter(|(name, _)| !is_over(name)).collect();
    assert!(gone.is_empty(), "no longer a {what} of more than {limit}, so take them off the list: {gone:#?}");
}

#[test]
fn no_file_is_too_long() {
    let sizes = sources(&["rs", "py", "R"]).into_iter().map(|(name, text)| (name, text.lines().count())).collect();
    none_is_over(FILE, "file", sizes, &KNOWN_FILES);
}

#[test]
fn no_function_is_too_long() {
    let mut sizes = Sizes::new();
    for (name, text) in sources(&["rs"]) {
        for (function, size) in functions(&text) {
            let longest = sizes.entry(format!("{name}: {function}")).or_default();
            *longest = size.max(*longest);
        }
    }
    none_is_over(FUNCTION, "function", sizes, &KNOWN_FUNCTIONS);
}

#[test]
fn no_folder_has_too_many_files() {
    let sizes = folders().into_iter().map(|(folder, files)| (name(&folder), files.len())).collect();
    none_is_over(FOLDER, "folder", sizes, &KNOWN_FOLDERS);
}

#[test]
fn functions_are_measured() {
    let text = "pub(crate) unsafe extern \"C\" fn one(\n    a: u8,\n) {\n    fn two<T>() {\n    }\n}\nfn three() {}\n\
                trait House {\n    fn four(\n        &self,\n    ) -> u8;\n    fn five();\n}\n// fn six() {\nlet of = \"a fn seven\";\n";
    assert_eq!(functions(text), [("one", 6), ("two", 2), ("four", 3)]);
}
