//! The environment of the session: what is inherited, what `--env` and `--clear-env` make of it, and a locale for UTF-8.

use crate::launcher::options::Options;
use crate::launcher::start::locale;
use crate::launcher::variables;
use std::env;
use std::ffi::{OsStr, OsString};

/// What `--clear-env` leaves: who the user is, where things are, what the terminal and the language are.
const ALLOWED: [&str; 12] =
    ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "TMPDIR", "TZ", "TERM", "COLUMNS", "LINES", "LANG", "LANGUAGE"];
const ALLOWED_PREFIXES: [&str; 2] = ["LC_", "XDG_"];
/// Variables that say which runtime is meant. The search reads them even where `--clear-env` does not pass them on.
const CHOOSES_RUNTIME: [&str; 6] =
    ["VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_ROOT", "PYENV_VERSION", "PYENV_DIR", "R_HOME"];
/// Variables that name the channel's descriptors: user code does not get them.
const CHANNEL: [&str; 2] = ["MCP_REPL_IPC_READ_FD", "MCP_REPL_IPC_WRITE_FD"];

/// A variable as the search for a runtime sees it.
pub fn look_up(options: &Options, name: &str) -> Option<OsString> {
    let set = options.set_env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    set.or_else(|| {
        env::var_os(name).filter(|_| !options.clear_env || is_allowed(name) || CHOOSES_RUNTIME.contains(&name))
    })
}

/// Makes the process's environment the session's.
pub fn prepare(options: &Options) {
    if options.clear_env {
        for (name, _) in env::vars_os() {
            if !name.to_str().is_some_and(is_allowed) {
                variables::remove(name);
            }
        }
    }
    forget_channel();
    for (name, value) in &options.set_env {
        variables::set(name, value);
    }
    locale::make_utf8();
}

/// Removes the variables that name the channel's descriptors.
pub fn forget_channel() {
    for name in CHANNEL {
        variables::remove(name);
    }
}

fn is_allowed(name: &str) -> bool {
    ALLOWED.contains(&name) || ALLOWED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a variable that the dynamic linker reads at the start of a process differs from what it was then.
pub fn linker_path_changed(at_start: Option<&OsStr>) -> bool {
    let is_set = |value: Option<&OsStr>| value.is_some_and(|value| !value.is_empty());
    let now = env::var_os("LD_LIBRARY_PATH");
    now.as_deref() != at_start && (is_set(now.as_deref()) || is_set(at_start))
}
