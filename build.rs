//! Builds the two engines with a nested cargo, so that the launcher can carry them in one executable.
//!
//! The engines depend on the core and not on this package, which keeps the nesting one level deep. `WORKER_SKIP_ENGINES=1` leaves both out (for a quick `cargo check`, clippy or
//! documentation). Neither a Python nor an R is needed to build: an engine finds its runtime's functions when it is loaded.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders whose files the engines are made of.
const IN_ENGINES: [&str; 5] = ["src/protocol", "src/sys", "src/core", "python", "r"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=WORKER_SKIP_ENGINES");
    let root = PathBuf::from(required("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(required("OUT_DIR"));

    let built = (!is_on("WORKER_SKIP_ENGINES")).then(|| {
        watch(&root);
        build_engines(&root, &out)
    });
    for language in ["python", "r"] {
        let engine = built.as_deref().map(|folder| folder.join(format!("libworker_{language}.so")));
        hand_over(&out, language, engine.as_deref());
    }
}

fn required(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name} for a build script"))
}

fn is_on(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Names every file that an engine is made of. Files rather than folders: an edit of the launcher must not rebuild
/// the engines, and a new module always comes with an edit of a file that is named here.
fn watch(root: &Path) {
    for file in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={}", root.join(file).display());
    }
    for folder in IN_ENGINES {
        watch_folder(&root.join(folder));
    }
}

fn watch_folder(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(['.', '_']) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            watch_folder(&path);
        } else {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
}

/// Runs the nested cargo; gives the folder with the shared objects.
fn build_engines(root: &Path, out: &Path) -> PathBuf {
    let target = required("TARGET");
    let cross = target != required("HOST");
    // OUT_DIR is <target>[/<triple>]/<profile>/build/<package>/out. A target directory of the engines' own, because
    // the outer cargo holds the lock on this one.
    let engines = out.ancestors().nth(4).unwrap_or(out).join("engines");
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");

    let mut cargo = Command::new(required("CARGO"));
    cargo.current_dir(root).args(["build", "--package", "worker-python", "--package", "worker-r"]);
    if release {
        cargo.arg("--release");
    }
    if cross {
        cargo.arg("--target").arg(&target);
    }
    cargo.arg("--target-dir").arg(&engines);
    scrub(&mut cargo);
    // pyo3 is not to look for a Python either.
    cargo.env("PYO3_BUILD_EXTENSION_MODULE", "1").env("PYO3_NO_PYTHON", "1");
    // Symbols for perf are kept, but full debugging information would make each start read many times the bytes.
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only").env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo");
    match cargo.status() {
        Ok(status) if status.success() => {}
        Ok(_) => {
            eprintln!("\nThe engines did not build (see above). WORKER_SKIP_ENGINES=1 builds without them.");
            std::process::exit(1);
        }
        Err(error) => panic!("cannot run cargo for the engines: {error}"),
    }
    let folder = if cross { engines.join(target) } else { engines };
    folder.join(if release { "release" } else { "debug" })
}

/// Takes out of the environment what the outer cargo put there for this script, and what would make the nested
/// build another one: clippy's or rust-analyzer's wrapper, coverage or sanitizer flags meant for the outer crates.
fn scrub(cargo: &mut Command) {
    const KEEP: [&str; 3] = ["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_INCREMENTAL"];
    const KEEP_PREFIXES: [&str; 4] = ["CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_"];
    const DROP: [&str; 22] = [
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC",
        "RUSTDOC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_LINKER",
        "CLIPPY_ARGS",
        "CLIPPY_CONF_DIR",
        "OUT_DIR",
        "TARGET",
        "HOST",
        "OPT_LEVEL",
        "PROFILE",
        "DEBUG",
        "NUM_JOBS",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "PYO3_PYTHON",
        "PYO3_CONFIG_FILE",
        "R_ARCH",
        "LD_LIBRARY_PATH",
    ];
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let ours = text.starts_with("CARGO")
            && !KEEP.contains(&text)
            && !KEEP_PREFIXES.iter().any(|prefix| text.starts_with(prefix));
        if ours || text.starts_with("DEP_") || DROP.contains(&text) {
            cargo.env_remove(&name);
        }
    }
}

/// Gives the launcher the file to include, empty for a missing engine, and the name under which it is cached.
fn hand_over(out: &Path, name: &str, engine: Option<&Path>) {
    let bytes = match engine {
        Some(path) => fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        None => Vec::new(),
    };
    let copy = out.join(format!("engine-{name}"));
    let name = name.to_uppercase();
    fs::write(&copy, &bytes).unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
    println!("cargo:rustc-env=WORKER_ENGINE_{name}={}", copy.display());
    println!("cargo:rustc-env=WORKER_ENGINE_{name}_HASH={}", content_hash(&bytes));
}

/// 128 bits of the content. They tell builds apart; they are no defence, which is the business of file ownership.
fn content_hash(bytes: &[u8]) -> String {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(seed);
        hasher.write(bytes);
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(1), half(2))
}
