//! The executable `worker`: reads the command line, finds the runtime and starts a session in this process, or plays the
//! supervisor for a person at a terminal.

mod launcher;

use std::process::ExitCode;

fn main() -> ExitCode {
    launcher::run()
}
