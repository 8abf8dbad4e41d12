//! No circle of imports: what a file imports never leads back to it.
//!
//! The `use` lines of the sources are read. A re-export (`pub use`) is a module's face and not an import, and what is for
//! tests only does not count. Circles that are known are listed, and one that is gone must leave the list.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Files of circles that are to go, by package.
const KNOWN: [(&str, &[&str]); 7] = [
    ("src/protocol", &[]),
    ("src/sys", &[]),
    ("src/core", &[]),
    ("src/client", &[]),
    ("src", &[]),
    ("python/src", &[]),
    ("r/src", &[]),
];

/// The rooms of packages, lower ones first: a room imports from itself and from those before it. What stands beside the
/// rooms (`lib.rs`, say) is above all of them.
const ROOMS: [(&str, &[&str]); 4] = [
    ("src/core", &["timeouts", "session", "output", "signals", "process", "control", "engine"]),
    (
        "src/launcher",
        &["timeouts", "process", "variables", "options", "runtimes", "channel", "limits", "start", "console"],
    ),
    ("python/src", &["plain", "runtime", "figures", "requests", "stdio", "cell", "patch", "lifecycle"]),
    ("r/src", &["libr", "runtime", "plots", "cell", "signals", "requests", "bootstrap", "console"]),
];

/// File by the path of its module: `emitter::flush`; the crate's own is empty.
type Modules = BTreeMap<String, PathBuf>;

fn modules(root: &Path) -> Modules {
    let mut found = Modules::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                // A package within this one has modules of its own.
                if !path.join("Cargo.toml").exists() {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(root).unwrap().with_extension("");
                let mut parts: Vec<_> = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
                if parts.last().is_some_and(|last| last == "mod" || (last == "lib" && parts.len() == 1)) {
                    parts.pop();
                }
                found.insert(parts.join("::"), path);
            }
        }
    }
    found
}

/// The source without comments, and without what is compiled for tests only.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = ["mod tests {", "pub mod tests {"]
        .iter()
        .fold(text.as_str(), |text, tests| text.split(&format!("#[cfg(test)]\n{tests}")).next().unwrap());
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    let mut kept = String::new();
    let mut is_for_tests = false;
    for line in lines {
        if !is_for_tests {
            kept += line;
            kept.push('\n');
        }
        is_for_tests = line.trim() == "#[cfg(test)]";
    }
    kept
}

/// The paths that `use` lines name, one for each leaf of their trees.
fn imports(code: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let begins_line = rest[..at].rsplit('\n').next().unwrap_or_default().trim().is_empty();
        rest = &rest[at + 4..];
        let Some(end) = rest.find(';') else { break };
        if begins_line {
            leaves(&rest[..end], &[], &mut all);
        }
    }
    all
}

fn leaves(tree: &str, before: &[String], all: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let (head, group) = match tree.split_once('{') {
        Some((head, group)) => (head, group.strip_suffix('}')),
        None => (tree.split(" as ").next().unwrap(), None),
    };
    let names = head.split("::").map(str::trim).filter(|part| !part.is_empty() && *part != "self" && *part != "*");
    let path: Vec<String> = before.iter().cloned().chain(names.map(str::to_owned)).collect();
    let Some(group) = group else { return all.push(path) };
    let (mut depth, mut start) = (0, 0);
    for (at, byte) in group.bytes().chain([b',']).enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                if !group[start..at].trim().is_empty() {
                    leaves(&group[start..at], &path, all);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The module that a path leads into, from within `module`.
fn target(path: &[String], module: &str, modules: &Modules) -> Option<String> {
    let mut at: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let mut names = path.iter().map(String::as_str).peekable();
    match names.peek() {
        Some(&"crate") => {
            names.next();
            at.clear();
            // The launcher is a folder of the executable's crate, and may be looked at by itself.
            names.next_if(|name| *name == "launcher" && !modules.contains_key("launcher"));
        }
        Some(&"super") => {
            while names.next_if_eq(&"super").is_some() {
                at.pop();
            }
        }
        // A module of its own, or another crate.
        Some(name) if modules.contains_key(&[at.clone(), vec![name]].concat().join("::")) => {}
        _ => return None,
    }
    for name in names {
        at.push(name);
        if !modules.contains_key(&at.join("::")) {
            at.pop();
            break;
        }
    }
    Some(at.join("::"))
}

fn graph(root: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let modules = modules(root);
    let of = |module: &String, path: &PathBuf| {
        let imports = imports(&code(path));
        let targets = imports.iter().filter_map(|path| target(path, module, &modules));
        targets.filter(|target| target != module).collect()
    };
    modules.iter().map(|(module, path)| (module.clone(), of(module, path))).collect()
}

fn reachable<'a>(graph: &'a BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut left: Vec<&str> = graph[from].iter().map(String::as_str).collect();
    while let Some(module) = left.pop() {
        if seen.insert(module) {
            left.extend(graph[module].iter().map(String::as_str));
        }
    }
    seen
}

#[test]
fn what_a_file_imports_never_leads_back_to_it() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (root, known) in KNOWN {
        let graph = graph(&house.join(root));
        let in_circles: Vec<_> =
            graph.keys().filter(|module| reachable(&graph, module).contains(module.as_str())).collect();
        let new: Vec<_> = in_circles.iter().filter(|module| !known.contains(&module.as_str())).collect();
        let arrows = |module: &str| graph[module].iter().filter(|to| in_circles.contains(to)).collect::<Vec<_>>();
        let told: Vec<_> = new.iter().map(|module| format!("{module} -> {:?}", arrows(module))).collect();
        assert!(new.is_empty(), "files of {root} in circles:\n{}", told.join("\n"));
        let gone: Vec<_> = known.iter().filter(|module| !in_circles.iter().any(|found| found == *module)).collect();
        assert!(gone.is_empty(), "no longer in a circle of {root}, so take them off the list: {gone:?}");
    }
}

#[test]
fn a_room_never_names_a_higher_one() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (root, rooms) in ROOMS {
        let floor = |module: &str| {
            let room = module.split("::").next().unwrap_or_default();
            rooms.iter().position(|name| *name == room).unwrap_or(rooms.len())
        };
        let mut wrong = Vec::new();
        for (module, targets) in graph(&house.join(root)) {
            wrong.extend(targets.iter().filter(|to| floor(to) > floor(&module)).map(|to| format!("{module} -> {to}")));
        }
        assert!(wrong.is_empty(), "rooms of {root} that name a higher one:\n{}", wrong.join("\n"));
        // What all rooms stand on may be a single file.
        let is_there = |room: &&str| {
            [room.to_string(), format!("{room}.rs")].iter().any(|name| house.join(root).join(name).exists())
        };
        assert!(rooms.iter().all(is_there), "a room of {root} is gone");
    }
}

#[test]
fn trees_of_imports_are_read() {
    let read =
        imports("use super::{a::{self, b as c}, d::*};\n    use crate::x;\nlet house = 1;\npub use hidden::y;\n");
    let shown: Vec<_> = read.iter().map(|path| path.join("::")).collect();
    assert_eq!(shown, ["super::a", "super::a::b", "super::d", "crate::x"]);
}
