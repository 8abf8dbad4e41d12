//! What this machine can enforce.

use crate::support::peer::command;
use std::process::Stdio;

/// Whether this machine can enforce these limits; where it cannot, the worker must say so and not start.
pub fn can_limit(words: &[&str]) -> bool {
    let mut worker = command();
    let output = worker.args(["--ipc", "stdio"]).args(words).stdin(Stdio::null()).output().unwrap();
    if output.status.success() {
        return true;
    }
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    let tells = ["Delegate=yes", "Landlock", "seccomp"].iter().any(|word| said.contains(word));
    assert!(tells && output.stdout.is_empty(), "{said}");
    eprintln!("{words:?} is refused here: {said}");
    false
}
