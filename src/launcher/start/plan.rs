//! From the options to a runtime with an engine in it: the sequence of a session's start.

use crate::launcher::channel::link::Link;
use crate::launcher::limits::enforce::{self, Enforced};
use crate::launcher::options::Options;
use crate::launcher::runtimes::python::{self, Route};
use crate::launcher::runtimes::python_choice;
use crate::launcher::runtimes::r;
use crate::launcher::runtimes::search::Search;
use crate::launcher::start::bundle::{self, Engine, EngineFile};
use crate::launcher::start::dlopen;
use crate::launcher::start::environment;
use crate::launcher::start::error::StartError;
use crate::launcher::start::invocation::{self, Invocation};
use crate::launcher::start::{exec, refuse};
use crate::launcher::variables;
use std::convert::Infallible;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use worker_protocol::config::{Config, Dialect, Lang, MARKER, PythonConfig, RConfig};

/// What was found before the environment was changed.
enum Runtime {
    Python(python::Interpreter),
    R(r::Installation),
}

/// What is this session's alone.
struct Own {
    /// What its processes carry in their environment.
    marker: String,
    /// Its temporary directory.
    folder: Option<PathBuf>,
    /// Its limits.
    enforced: Enforced,
}

/// Checks the directory and the limits that the command line asks for, before anything is changed.
pub fn check(options: &Options, invocation: &Invocation) -> Result<(), String> {
    match options.cwd.as_ref().filter(|folder| !invocation.folder.join(folder).is_dir()) {
        Some(folder) => Err(format!("there is no directory {} (--cwd)", folder.display())),
        None => enforce::check(&options.limits).map_err(|error| error.to_string()),
    }
}

/// Hosts a session until it ends; gives the process's exit status.
pub fn serve(options: &Options, invocation: &Invocation) -> ExitCode {
    if let Err(why) = check(options, invocation) {
        return refuse(why);
    }
    let mut link = match Link::open(options, &invocation.folder) {
        Ok(link) => link,
        Err(error) => return refuse(error),
    };
    let mut temporary = None;
    let error = match start(options, invocation, &mut link, &mut temporary) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    if let Some(folder) = temporary {
        let _ = std::fs::remove_dir_all(folder);
    }
    if let Some(file) = link.socket_file() {
        file.remove();
    }
    link.say_failure(&error.to_string());
    ExitCode::FAILURE
}

/// Prepares everything and calls the engine; comes back only with an error. `temporary` receives the directory that is made: the
/// caller removes it if there is no session.
fn start(
    options: &Options,
    invocation: &Invocation,
    link: &mut Link,
    temporary: &mut Option<PathBuf>,
) -> Result<Infallible, StartError> {
    let engine = Engine::of(options.lang).ok_or(StartError::NoEngine(options.lang.name()))?;
    if let Some(folder) = options.cwd.as_ref().filter(|_| !invocation.is_prepared) {
        std::env::set_current_dir(folder).map_err(|error| StartError::Folder { folder: folder.clone(), error })?;
        variables::set("PWD", std::env::current_dir()?);
    }
    let cache = bundle::cache_folder();
    let runtime = find(options, invocation, cache.as_deref())?;
    set_variables(options, invocation, &runtime);
    let is_executed = matches!(&runtime, Runtime::Python(python) if python.route == Route::Exec);
    if !invocation.is_prepared && !is_executed && environment::linker_path_changed(invocation.linker_path.as_deref()) {
        return Err(invocation::run_anew(options, invocation, link));
    }
    link.let_go()?;

    if !options.in_console {
        // Whoever leads a session of its own leads its group already, and may not be moved.
        let _ = nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0));
    }
    sys::reset_ignored_interrupt();
    let marker = uuid::Uuid::new_v4().to_string();
    variables::set(MARKER, &marker);
    if options.dialect == Dialect::Worker {
        *temporary = Some(make_temporary_folder()?);
    }
    // Files that the session itself may not write any more are written before.
    let file = engine.file()?;
    let enforced = enforce::enforce(&options.limits, &marker, temporary.as_deref(), link)?;
    let own = Own { marker, folder: temporary.clone(), enforced };
    let config = configuration(options, link, &runtime, &own);
    bring_up(runtime, file, config, link)
}

/// Makes the process's environment the session's.
fn set_variables(options: &Options, invocation: &Invocation, runtime: &Runtime) {
    if !invocation.is_prepared {
        environment::prepare(options);
    }
    if let Runtime::R(installation) = runtime {
        for (name, value) in &installation.variables {
            variables::set(name, value);
        }
    }
}

/// What the engine is told.
fn configuration(options: &Options, link: &Link, runtime: &Runtime, own: &Own) -> Config {
    let (python, r) = match runtime {
        Runtime::Python(python) => {
            (Some(PythonConfig { executable: python.executable.clone(), startup: options.startup }), None)
        }
        Runtime::R(installation) => (None, Some(RConfig { home: installation.home.clone(), args: Vec::new() })),
    };
    Config {
        lang: options.lang,
        session_id: options.session_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        marker: own.marker.clone(),
        channel: link.channel(),
        dialect: options.dialect,
        diagnostics_fd: link.diagnostics(),
        temp_dir: own.folder.clone(),
        parent_pidfd: link.parent(),
        control_stdin: link.control_stdin(),
        socket_file: link.socket_file().cloned(),
        listener: link.listener(),
        startup_pipe: None,
        limits: own.enforced.told.clone(),
        end_pipe: own.enforced.end_pipe.as_ref().map(AsRawFd::as_raw_fd),
        python,
        r,
        plot: options.plot,
    }
}

/// Loads the runtime and calls the engine in it, or executes the runtime and lets it load the engine.
fn bring_up(runtime: Runtime, file: EngineFile, config: Config, link: &Link) -> Result<Infallible, StartError> {
    let library = match runtime {
        Runtime::Python(python) => match python.route {
            Route::Library(library) => library,
            Route::Exec => return Err(exec::run(&python.executable, file, config, link)),
        },
        Runtime::R(installation) => installation.library,
    };
    dlopen::load_runtime(&library)?;
    call(file, &config)
}

/// Looks for the runtime, in the environment that the session will have.
fn find(options: &Options, invocation: &Invocation, cache: Option<&Path>) -> Result<Runtime, StartError> {
    let env = |name: &str| match invocation.is_prepared {
        true => std::env::var_os(name),
        false => environment::look_up(options, name),
    };
    let cwd = std::env::current_dir().unwrap_or_else(|_| invocation.folder.clone());
    let search = Search { env: &env, cwd: &cwd, from: &invocation.folder, cache };
    Ok(match options.lang {
        Lang::Python => Runtime::Python(python_choice::find(options.python.as_deref(), &search)?),
        Lang::R => {
            let named = options.r_home.as_deref().map(|path| invocation.folder.join(path));
            Runtime::R(r::find(named.as_deref(), &search)?)
        }
    })
}

/// Makes the session's own temporary directory and names it in `TMPDIR`.
fn make_temporary_folder() -> Result<PathBuf, StartError> {
    // An empty name is none, as for other programs; a relative one would mean something else after a change of directory.
    let named = std::env::var_os("TMPDIR").filter(|folder| !folder.is_empty());
    let parent = named.map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let parent = std::path::absolute(&parent).unwrap_or(parent);
    let make = |parent: &Path| tempfile::Builder::new().prefix("worker-").tempdir_in(parent);
    // As programs do that look for such a place: the one that is named, then the system's.
    let fallbacks = || ["/tmp", "/var/tmp"].iter().find_map(|folder| make(Path::new(folder)).ok());
    let made = make(&parent).or_else(|error| fallbacks().ok_or(error));
    let folder = made.map_err(|error| StartError::TemporaryFolder { folder: parent, error })?.keep();
    variables::set("TMPDIR", &folder);
    Ok(folder)
}

/// Loads the engine from the shared file, or from memory where that cannot be mapped, and calls it.
///
/// The process ends with it, and so does a child that user code forks: what the launcher owns belongs to the engine by
/// then and must not be given back twice.
fn call(file: EngineFile, config: &Config) -> Result<Infallible, StartError> {
    let json = serde_json::to_vec(config).map_err(io::Error::from)?;
    let EngineFile { engine, path, memory } = file;
    let loaded = match dlopen::load_engine(&path) {
        Err(_) if memory.is_none() => dlopen::load_engine(&engine.in_memory()?.path),
        loaded => loaded,
    };
    drop(memory);
    std::process::exit(loaded.map_err(StartError::Engine)?.call(&json) & 0xff)
}
