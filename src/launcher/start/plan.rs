//! From the options to a runtime with an engine in it: the sequence of a session's start.

use crate::launcher::channel::link::Link;
use crate::launcher::options::{Accepted, Options, Transport};
use crate::launcher::runtimes::python::{self, Route};
use crate::launcher::runtimes::python_choice;
use crate::launcher::runtimes::r;
use crate::launcher::runtimes::search::Search;
use crate::launcher::start::bundle::{self, Engine, EngineFile};
use crate::launcher::start::dlopen;
use crate::launcher::start::environment;
use crate::launcher::start::start_error::StartError;
use crate::launcher::start::{exec, refuse};
use crate::launcher::sys;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use worker_protocol::config::{Config, Dialect, Lang, MARKER, PythonConfig, RConfig};

/// Set for the process that executes itself anew: the directory that the first one was started in. Its presence says
/// that environment and directory are the session's already.
const PREPARED: &str = "WORKER_PREPARED";

/// What was found before the environment was changed.
enum Runtime {
    Python(python::Interpreter),
    R(r::Installation),
}

/// How the process was when it started.
pub struct Invocation {
    /// The directory of whoever started the worker; relative paths of the command line start here.
    pub folder: PathBuf,
    /// This process was executed by itself and finds everything prepared.
    pub is_prepared: bool,
    /// `LD_LIBRARY_PATH`, which the dynamic linker has read.
    pub linker_path: Option<OsString>,
}

impl Invocation {
    /// Notes it; call it before anything changes.
    pub fn note() -> Invocation {
        let prepared = std::env::var_os(PREPARED);
        sys::remove_env(PREPARED);
        let is_prepared = prepared.is_some();
        let folder = prepared.map(PathBuf::from).or_else(|| std::env::current_dir().ok());
        Invocation {
            folder: folder.unwrap_or_else(|| "/".into()),
            is_prepared,
            linker_path: std::env::var_os("LD_LIBRARY_PATH"),
        }
    }
}

/// A wrong word on the command line, like a wrong descriptor: told before anything is touched.
pub fn check(options: &Options, invocation: &Invocation) -> Result<(), String> {
    match options.cwd.as_ref().filter(|folder| !invocation.folder.join(folder).is_dir()) {
        Some(folder) => Err(format!("there is no directory {} (--cwd)", folder.display())),
        None => options.limits.check().map_err(|error| error.to_string()),
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

fn start(
    options: &Options,
    invocation: &Invocation,
    link: &mut Link,
    temporary: &mut Option<PathBuf>,
) -> Result<Infallible, StartError> {
    let engine = Engine::of(options.lang).ok_or(StartError::NoEngine(options.lang.name()))?;
    if let Some(folder) = options.cwd.as_ref().filter(|_| !invocation.is_prepared) {
        std::env::set_current_dir(folder).map_err(|error| StartError::Folder { folder: folder.clone(), error })?;
        sys::set_env("PWD", std::env::current_dir()?);
    }
    let cache = bundle::cache_folder();
    let runtime = find(options, invocation, cache.as_deref())?;
    if !invocation.is_prepared {
        environment::prepare(options);
    }
    if let Runtime::R(installation) = &runtime {
        for (name, value) in &installation.variables {
            sys::set_env(name, value);
        }
    }
    let is_executed = matches!(&runtime, Runtime::Python(python) if python.route == Route::Exec);
    if !invocation.is_prepared && !is_executed && environment::linker_path_changed(invocation.linker_path.as_deref()) {
        return Err(run_anew(options, invocation, link));
    }
    link.let_go()?;

    if !options.in_console {
        // Whoever leads a session of its own leads its group already, and may not be moved.
        let _ = nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0));
    }
    sys::reset_ignored_interrupt();
    let marker = uuid::Uuid::new_v4().to_string();
    sys::set_env(MARKER, &marker);
    if options.dialect == Dialect::Worker {
        *temporary = Some(make_temporary_folder()?);
    }
    // Files that the session itself may not write any more are written before.
    let file = engine.file()?;
    let enforced = options.limits.enforce(&marker, temporary.as_deref(), link)?;
    let config = Config {
        lang: options.lang,
        session_id: options.session_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        marker,
        channel: link.channel(),
        dialect: options.dialect,
        diagnostics_fd: link.diagnostics(),
        temp_dir: temporary.clone(),
        parent_pidfd: link.parent(),
        control_stdin: link.control_stdin(),
        socket_file: link.socket_file().cloned(),
        listener: link.listener(),
        startup_pipe: None,
        limits: enforced.told.clone(),
        end_pipe: enforced.end_pipe.as_ref().map(AsRawFd::as_raw_fd),
        python: match &runtime {
            Runtime::Python(python) => {
                Some(PythonConfig { executable: python.executable.clone(), startup: options.startup })
            }
            Runtime::R(_) => None,
        },
        r: match &runtime {
            Runtime::R(installation) => Some(RConfig { home: installation.home.clone(), args: Vec::new() }),
            Runtime::Python(_) => None,
        },
        plot: options.plot,
    };
    match runtime {
        Runtime::Python(python) => match python.route {
            Route::Library(library) => {
                dlopen::load_runtime(&library)?;
                call(engine, file, &config)
            }
            Route::Exec => Err(exec::run(&python.executable, file, config, link)),
        },
        Runtime::R(installation) => {
            dlopen::load_runtime(&installation.library)?;
            call(engine, file, &config)
        }
    }
}

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

/// Executes the launcher once more, for a dynamic linker that reads the new environment.
fn run_anew(options: &Options, invocation: &Invocation, link: &Link) -> StartError {
    sys::set_env(PREPARED, &invocation.folder);
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    match &options.transport {
        Transport::Accepted(Accepted { socket, listener, .. }) => {
            let listener = listener.map(|fd| format!(",{fd}")).unwrap_or_default();
            arguments.extend(["--accepted".into(), format!("{socket}{listener}").into()]);
            if let Err(error) = link.keep_given() {
                return error.into();
            }
        }
        // The variables that said so are gone from the environment.
        Transport::Fds(read, write) if options.by_environment => {
            let fds = format!("{read},{write}");
            arguments.extend(["--ipc-fd".into(), fds.into(), "--dialect".into(), "mcp-repl".into()]);
        }
        _ => {}
    }
    let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
    // By its path, which keeps its name in lists of processes; by the link when the file was replaced or removed.
    let program = std::env::current_exe().unwrap_or_default();
    let error = match sys::exec(program.as_os_str(), &arguments) {
        error if error.kind() == io::ErrorKind::NotFound => sys::exec("/proc/self/exe".as_ref(), &arguments),
        error => error,
    };
    StartError::Exec { program, error }
}

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
    sys::set_env("TMPDIR", &folder);
    Ok(folder)
}

/// Loads the engine from the shared file, or from memory where that cannot be mapped, and calls it.
///
/// The process ends with it, and so does a child that user code forks: what the launcher owns belongs to the engine by
/// then and must not be given back twice.
fn call(engine: Engine, file: EngineFile, config: &Config) -> Result<Infallible, StartError> {
    let json = serde_json::to_vec(config).map_err(io::Error::from)?;
    let EngineFile { path, memory } = file;
    let loaded = match dlopen::load_engine(&path) {
        Err(_) if memory.is_none() => dlopen::load_engine(&engine.in_memory()?.path),
        loaded => loaded,
    };
    drop(memory);
    std::process::exit(loaded.map_err(StartError::Engine)?.call(&json) & 0xff)
}
