//! What may run in a signal handler, held by a test: it reads the sources of this folder and fails when a handler, or a function
//! that is named `signal_safe_…`, calls anything that is neither named so nor listed here.
//!
//! A handler interrupts a thread anywhere: inside the allocator, with any lock held. POSIX lists the functions that may be
//! called there (`man 7 signal-safety`); besides these a handler uses atomics and its own stack.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What may be called: in which way, why, and the names. A name that nobody calls any more has to leave its list.
const ALLOWED: [(Kind, &str, &str); 13] = [
    (Kind::Path("libc"), "POSIX's list", "getpid sigaction ftruncate lseek lstat unlink"),
    (Kind::Path("libc"), "a bare system call on Linux", "pread pthread_sigqueue"),
    (Kind::Path("sys"), "pthread_self and pthread_kill", "this_thread signal_thread"),
    (Kind::Path("sys"), "read, write, poll, and what poll is given", "read write poll pollfd"),
    (Kind::Path("sys"), "errno is a thread's own; ioctl is a bare system call on Linux", "keep_errno available"),
    (Kind::Method, "atomics, and a look at a `OnceLock`", "load store compare_exchange fetch_update get"),
    (Kind::Method, "fields of a `siginfo_t`", "si_addr si_pid"),
    (
        Kind::Method,
        "Rust's core: they look at values",
        "add addr as_bytes as_mut_ptr as_ptr cast enumerate find into_iter is_empty is_ok is_some iter kind len map_or min \
         next saturating_sub then then_some to_ne_bytes trim_end unwrap_or unwrap_or_default utf8_chunks valid wrapping_add",
    ),
    (Kind::Any, "Rust's core: they make and move values", "from_ref zeroed null_mut transmute take try_from matches!"),
    (
        Kind::Local,
        "a pointer to a function whose contract says so, or a closure of such a function",
        "chained deliver set_flag kill_children write transition",
    ),
    (Kind::Method, "the emitter after a fault: addresses, descriptors, and write", "look fds fd try_write_at"),
    (Kind::Path("LineWriter"), "a buffer that the caller owns", "new"),
    (
        Kind::Method,
        "the decoder and the writer of lines work in buffers of fixed size",
        "feed finish push push_head push_data push_hex push_escaped open_text close written",
    ),
];

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// By a path that begins so.
    Path(&'static str),
    /// As a method.
    Method,
    /// By its bare name.
    Local,
    /// In any way.
    Any,
}

/// Functions that look at values alone, found by their files. They are held to the same rules.
const PURE: [(&str, &str); 2] = [("sigint_state.rs", ""), ("dedup.rs", "is_same is_signal time at")];

/// A function of the sources.
#[derive(Debug)]
struct Function {
    file: String,
    name: String,
    /// `extern "C"`.
    is_handler: bool,
    docs: String,
    body: String,
}

/// A call in a body: what stands before the name, and the name; a macro's with its `!`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    is_method: bool,
    path: String,
    name: String,
}

/// Comments and what strings hold are taken out.
fn without_text(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut kept = String::new();
    let mut at = 0;
    while at < chars.len() {
        match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => {
                while chars.get(at).is_some_and(|&char| char != '\n') {
                    at += 1;
                }
            }
            '"' => {
                at += 1;
                while chars[at] != '"' {
                    at += if chars[at] == '\\' { 2 } else { 1 };
                }
                kept += "\"\"";
                at += 1;
            }
            // A character, and not a lifetime.
            '\'' if chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'') => {
                at += 2;
                while chars[at] != '\'' {
                    at += 1;
                }
                at += 1;
            }
            char => {
                kept.push(char);
                at += 1;
            }
        }
    }
    kept
}

/// The functions of a file, without those of its tests.
fn functions(file: &str, source: &str) -> Vec<Function> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let mut found = Vec::new();
    let mut docs = String::new();
    let mut rest = source;
    while let Some((line, after)) = rest.split_once('\n') {
        let code = line.trim();
        if let Some(text) = code.strip_prefix("///") {
            docs += text;
        } else if let Some((before, signature)) = code.split_once("fn ").filter(|(before, _)| is_head(before)) {
            let name: String = signature.chars().take_while(|char| is_part(*char)).collect();
            let text = without_text(rest);
            let body = text.find('{').map_or("", |start| braced(&text[start..]));
            found.push(Function {
                file: file.to_owned(),
                name,
                is_handler: before.contains("extern"),
                docs: std::mem::take(&mut docs),
                body: body.to_owned(),
            });
        } else if !code.starts_with("#[") {
            docs.clear();
        }
        rest = after;
    }
    found
}

/// What stands before `fn` where a function is defined.
fn is_head(before: &str) -> bool {
    let words = ["pub", "pub(super)", "pub(crate)", "unsafe", "extern", "\"C\"", "const"];
    before.split_whitespace().all(|word| words.contains(&word))
}

/// The text from its first brace to the one that closes it.
fn braced(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, char) in text.char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..=at];
        }
    }
    text
}

fn is_part(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// The calls in a body, and the paths that are passed as values: what they name is called by whom they are passed to.
fn calls(body: &str) -> BTreeSet<Call> {
    let mut found = BTreeSet::new();
    for (at, char) in body.char_indices() {
        let before = &body[..at];
        let called = match char {
            '(' if before.ends_with([')', ']', '}']) => "a computed function",
            // With its types named: `name::<T>(`.
            '(' if before.ends_with('>') => before.rfind("::<").map_or("a computed function", |start| &before[..start]),
            '(' | '[' | '{' if before.ends_with('!') || char == '(' => before,
            // The end of a path that is not called.
            ',' | ')' | ';' if last_path(before).contains("::") => before,
            _ => continue,
        };
        let path = last_path(called);
        let is_method = !path.contains("::") && called[..called.len() - path.len()].ends_with('.');
        let (path, name) = match path.rsplit_once("::") {
            _ if called == "a computed function" => ("", called),
            Some((path, name)) => (path, name),
            None => ("", path),
        };
        let is_value = char != '(' && !name.ends_with('!');
        let is_constructor = name.trim_start_matches('_').starts_with(char::is_uppercase);
        let is_keyword = ["", "fn", "if", "match", "while", "return", "in", "let"].contains(&name);
        if is_constructor || is_keyword || is_value && path == "libc" {
            continue;
        }
        found.insert(Call { is_method, path: path.to_owned(), name: name.to_owned() });
    }
    found
}

/// The path that a text ends with: `a::b`, or `a::b!`.
fn last_path(text: &str) -> &str {
    let end = text.strip_suffix('!').unwrap_or(text);
    let start = end.trim_end_matches(|char| is_part(char) || char == ':').len();
    text[start..].trim_start_matches(':')
}

/// What is wrong with these functions, where those of `safe` may be called too; and the listed names that are called.
fn judge(functions: &[Function], safe: &dyn Fn(&Call) -> bool) -> (Vec<String>, BTreeSet<(usize, String)>) {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for function in functions {
        for call in calls(&function.body) {
            let is_listed = ALLOWED.iter().position(|(kind, _, names)| {
                let is_so = match kind {
                    Kind::Path(path) => call.path == *path,
                    Kind::Method => call.is_method,
                    Kind::Local => !call.is_method && call.path.is_empty(),
                    Kind::Any => call.path != "libc" && call.path != "sys",
                };
                is_so && names.split_whitespace().any(|name| name == call.name)
            });
            if let Some(place) = is_listed {
                used.insert((place, call.name));
            } else if !safe(&call) {
                wrong.push(format!("{}: {} calls {}::{}", function.file, function.name, call.path, call.name));
            }
        }
    }
    (wrong, used)
}

fn is_safe_by_name(function: &Function) -> bool {
    function.name.starts_with("signal_safe_") || function.is_handler && function.name.starts_with("on_")
}

fn sources(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("safety.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.insert(path, text);
        }
    }
    found
}

fn functions_of(folder: &str) -> Vec<Function> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let name = |path: &Path| path.strip_prefix(&folder).unwrap().display().to_string();
    sources(&folder).iter().flat_map(|(path, text)| functions(&name(path), text)).collect()
}

#[test]
fn handlers_call_nothing_but_what_is_safe_in_a_signal_handler() {
    let all = functions_of("signals");
    let (safe, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_safe_by_name);
    for handler in ["on_sigint", "on_nothing", "on_end", "on_fault"] {
        assert!(safe.iter().any(|function| function.name == handler), "{handler} is not found");
    }
    let is_pure = |function: &Function| {
        let names = PURE.iter().find(|(file, _)| *file == function.file).map(|(_, names)| *names);
        names.is_some_and(|names| names.is_empty() || names.split_whitespace().any(|name| name == function.name))
    };
    let pure: Vec<_> = others.into_iter().filter(is_pure).collect();
    let told = functions_of("../sys");
    let told: BTreeSet<_> = told
        .iter()
        .filter(|function| function.docs.contains("Safe in a signal handler"))
        .map(|function| function.name.as_str())
        .collect();
    let may = |call: &Call| {
        call.name.starts_with("signal_safe_")
            || (call.path == "sys" || call.is_method) && told.contains(call.name.as_str())
            || pure.iter().any(|function| function.name == call.name)
    };
    let (mut wrong, mut used) = judge(&safe, &may);
    let (of_pure, by_pure) = judge(&pure, &may);
    wrong.extend(of_pure);
    used.extend(by_pure);
    for function in safe.iter().filter(|function| !function.is_handler) {
        if !function.docs.contains("Safe in a signal handler") {
            wrong.push(format!("{}: {} does not say why it is safe", function.file, function.name));
        }
    }
    for (place, (_, why, names)) in ALLOWED.iter().enumerate() {
        for name in names.split_whitespace().filter(|name| !used.contains(&(place, (*name).to_owned()))) {
            wrong.push(format!("nobody calls {name} ({why})"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_is_not_safe_is_found() {
    let source = r#"
/// A handler.
extern "C" fn on_signal(signal: c_int) {
    // Not this: free(signal).
    let text = "nor( this";
    signal_safe_act(text);
    if (signal == 1) { format!("{signal}"); }
    self.lock();
    self.parse::<u8>();
    (self.hook)();
    libc::malloc(1);
    sys::spawn::<Vec<u8>>();
    each(Place::drop);
    ATOMIC.load(SeqCst);
    vec![Some(1)];
}
"#;
    let found = functions("a.rs", source);
    assert!(found.len() == 1 && found[0].is_handler && found[0].docs == " A handler.", "{found:?}");
    let (wrong, _) = judge(&found, &|call| call.name.starts_with("signal_safe_"));
    let wrong: Vec<_> = wrong.iter().map(|line| line.rsplit(" calls ").next().unwrap()).collect();
    assert_eq!(
        wrong,
        [
            "::a computed function",
            "::each",
            "::format!",
            "::vec!",
            "Place::drop",
            "libc::malloc",
            "sys::spawn",
            "::lock",
            "::parse"
        ],
        "{:?}",
        calls(&found[0].body)
    );
}
