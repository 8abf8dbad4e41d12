//! A Python without a shared library: it is executed, and loads the engine as an extension module.
//!
//! Between exec and the engine only the interpreter runs, and it knows nothing of the channel: if it dies there (at a
//! `PYTHONHOME` of another Python, say), nobody would tell the supervisor. So a process of its own, the watch, waits for the
//! engine to write a byte into a pipe. If the pipe closes without one, the watch sends `session_end`.

use crate::launcher::channel::link::Link;
use crate::launcher::process;
use crate::launcher::start::bundle::EngineFile;
use crate::launcher::start::error::StartError;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use worker_protocol::config::Config;

/// Executes the interpreter; comes back only with an error.
pub fn run(interpreter: &Path, engine: EngineFile, mut config: Config, link: &Link) -> StartError {
    let prepared = prepare(interpreter, &engine, &mut config, link);
    let (bootstrap, _open) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return error.into(),
    };
    // The unresolved path: CPython finds the virtual environment from it.
    let error = process::exec(interpreter.as_os_str(), &[interpreter.as_os_str(), "-c".as_ref(), bootstrap.as_ref()]);
    StartError::Exec { program: interpreter.to_path_buf(), error }
}

fn prepare(
    interpreter: &Path,
    engine: &EngineFile,
    config: &mut Config,
    link: &Link,
) -> io::Result<(String, [OwnedFd; 2])> {
    let (ended, up) = sys::pipe()?;
    set_watch(interpreter, link, &ended, config)?;
    drop(ended);
    config.startup_pipe = Some(up.as_raw_fd());

    let mut file = File::from(sys::memory_file(c"worker-config")?);
    file.write_all(&serde_json::to_vec(config)?)?;
    file.rewind()?;
    let file = OwnedFd::from(file);
    let memory = engine.memory.as_ref().map(AsRawFd::as_raw_fd);
    for fd in [Some(up.as_raw_fd()), Some(file.as_raw_fd()), memory, config.end_pipe].into_iter().flatten() {
        sys::set_cloexec(fd, false)?;
    }
    link.hand_on()?;
    Ok((bootstrap(&engine.path, memory, file.as_raw_fd()), [up, file]))
}

/// One expression that loads the engine and calls it, and binds no name in `__main__`. It takes only modules that every
/// start of CPython has loaded; `importlib.machinery` would be an import that the user did not ask for.
fn bootstrap(engine: &Path, memory: Option<RawFd>, config: RawFd) -> String {
    let path: String = engine.as_os_str().as_bytes().iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let close = memory.map(|fd| format!("__import__('posix').close({fd}), ")).unwrap_or_default();
    format!(
        "(lambda imp, frozen, external, path: \
           (lambda module: (imp.exec_dynamic(module), {close}module.start({config})))\
           (imp.create_dynamic(frozen.ModuleSpec('_worker', external.ExtensionFileLoader('_worker', path), origin=path))))\
         (__import__('_imp'), __import__('_frozen_importlib'), __import__('_frozen_importlib_external'), \
          b'{path}'.decode('utf-8', 'surrogateescape'))"
    )
}

/// Starts the watch. It keeps none of the session's descriptors, and above all not the write end of its own pipe, or it would
/// wait for itself.
fn set_watch(interpreter: &Path, link: &Link, ended: &OwnedFd, config: &Config) -> io::Result<()> {
    let kept = [ended.as_raw_fd(), link.events().as_raw_fd(), link.diagnostics()];
    process::run_detached(&kept, || watch(interpreter, link, ended, config))
}

/// Waits until the engine is up; if the interpreter ends before, cleans up and says so.
fn watch(interpreter: &Path, link: &Link, ended: &OwnedFd, config: &Config) {
    let Ok(mut ended) = ended.try_clone().map(File::from) else { return };
    if matches!(ended.read(&mut [0]), Ok(1)) {
        return;
    }
    if let Some(folder) = &config.temp_dir {
        let _ = std::fs::remove_dir_all(folder);
    }
    if let Some(file) = &config.socket_file {
        file.remove();
    }
    let hint = match std::env::var("PYTHONHOME") {
        Ok(home) => format!("; PYTHONHOME is {home}: unset it unless it belongs to this Python"),
        Err(_) => String::new(),
    };
    link.say_failure(&format!(
        "{} ended before the session started, its own words are on standard error{hint}",
        interpreter.display()
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bootstrap_is_one_expression() {
        let text = bootstrap(Path::new("/a'b\\c\"é.so"), Some(12), 13);
        assert!(text.is_ascii() && !text.contains('\n'));
        assert!(text.contains("\\x27") && text.contains(".close(12)") && text.contains("start(13)"));
    }
}
