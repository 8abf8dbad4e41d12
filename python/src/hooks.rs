//! Small hooks into CPython: modules that are looked after when they are imported, and functions that the session must see.

use crate::figures::backend;
use crate::runtime::embedded::Part;
use crate::runtime::globals;
use crate::runtime::patched_function::Original;
use crate::runtime::session::session;
use crate::runtime::signals::set_flag;
use crate::runtime::wait::flush_session;
use crate::stdio::read;
use crate::{fork, interpreters, sources, system};
use pyo3::exceptions::{PyImportError, PyKeyboardInterrupt};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use worker::{child, crash, interrupt};

/// What is done to `getpass`, `select` and `matplotlib` when they are imported.
static PATCHES: Part = Part::new("<worker patches>", include_str!("patches.py"), &[]);
/// Modules that something is done to once they are imported.
const WATCHED: [&str; 6] =
    ["getpass", "select", "linecache", "matplotlib", interpreters::MODULES[0], interpreters::MODULES[1]];

/// Installs all hooks.
pub(crate) fn install(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    sys.getattr("meta_path")?.call_method1("insert", (0, Bound::new(py, Finder)?))?;
    let modules = sys.getattr("modules")?;
    for name in WATCHED {
        if modules.contains(name)? {
            look_after(py, name, &modules.get_item(name)?)?;
        }
    }
    hook_threads(py, &modules)?;
    hook_signal(py)?;
    hook_unraisable(py, sys)?;
    fork::hook(py)?;
    system::hook(py)?;
    hook_exit(py)
}

/// What a module of [`WATCHED`] needs.
fn look_after(py: Python<'_>, name: &str, module: &Bound<'_, PyAny>) -> PyResult<()> {
    match name {
        "linecache" => sources::fill(py, module),
        name if interpreters::MODULES.contains(&name) => interpreters::hook(module),
        name => {
            let patch = PATCHES.get(py, &format!("patch_{name}"))?;
            patch.call1((module, Bound::new(py, Bridge)?)).map(drop)
        }
    }
}

/// The first entry of `sys.meta_path`: finds what the others find, and sees to it that watched modules are looked after.
#[pyclass(frozen, name = "Finder", module = "_worker")]
struct Finder;

#[pymethods]
impl Finder {
    #[pyo3(signature = (name, path=None, target=None))]
    fn find_spec<'py>(
        slf: &Bound<'py, Self>,
        name: &str,
        path: Option<Bound<'py, PyAny>>,
        target: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        if name == backend::MODULE {
            return backend::spec(py).map(Some);
        }
        if !WATCHED.contains(&name) {
            return Ok(None);
        }
        for finder in py.import("sys")?.getattr("meta_path")?.try_iter()? {
            let finder = finder?;
            if finder.is(slf) || !finder.hasattr("find_spec")? {
                continue;
            }
            let spec = finder.call_method1("find_spec", (name, &path, &target))?;
            if spec.is_none() {
                continue;
            }
            let loader = spec.getattr("loader")?;
            if !loader.is_none() {
                spec.setattr("loader", Bound::new(py, Loader { loader: loader.unbind(), name: name.to_owned() })?)?;
            }
            return Ok(Some(spec));
        }
        Ok(None)
    }
}

/// Loads a watched module as its own loader does, then looks after it.
#[pyclass(frozen, name = "Loader", module = "_worker")]
struct Loader {
    loader: Py<PyAny>,
    name: String,
}

#[pymethods]
impl Loader {
    fn create_module<'py>(&self, spec: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.loader.bind(spec.py()).call_method1("create_module", (spec,))
    }

    fn exec_module(&self, module: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = module.py();
        let loader = self.loader.bind(py);
        // From here on the module is as if its own loader had been asked.
        module.setattr("__loader__", loader)?;
        module.getattr("__spec__")?.setattr("loader", loader)?;
        loader.call_method1("exec_module", (module,))?;
        // An interrupt comes before this or after it: in the middle it would fail the user's import, the module half done.
        py.check_signals()?;
        let _held = interrupt::is_main_thread().then(interrupt::hold);
        look_after(py, &self.name, module).map_err(|error| PyImportError::new_err(format!("{}: {error}", self.name)))
    }
}

/// What the Python parts may ask of the session.
#[pyclass(frozen, module = "_worker")]
struct Bridge;

#[pymethods]
impl Bridge {
    fn owns_stdin(&self) -> bool {
        read::owns_stdin()
    }

    /// Puts these functions in the places of C functions of the module `select`.
    fn replace_select(&self, module: &Bound<'_, PyAny>, select: Py<PyAny>, poll: Py<PyAny>) -> PyResult<()> {
        let py = module.py();
        SELECT.replace(module, "select", &wrap_pyfunction!(self::select, py)?)?;
        POLL.replace(module, "poll", &wrap_pyfunction!(self::poll, py)?)?;
        let _ = (PATCHED_SELECT.set(py, select), PATCHED_POLL.set(py, poll));
        Ok(())
    }

    /// The same in a forked child, where nobody answers.
    fn keeps_stdin(&self) -> bool {
        read::is_sessions()
    }

    fn read_hidden(&self, py: Python<'_>, prompt: &str) -> PyResult<Option<String>> {
        read::read_hidden(py, prompt)
    }

    fn wait_readable(&self, py: Python<'_>, timeout: Option<f64>, fds: Vec<(i32, i16)>) -> PyResult<bool> {
        let mut fds: Vec<_> = fds.into_iter().map(|(fd, events)| libc::pollfd { fd, events, revents: 0 }).collect();
        read::wait_readable(py, timeout, &mut fds)
    }
}

static START_THREAD: Original = Original::new();
static START_NEW: Original = Original::new();
static START_JOINABLE: Original = Original::new();

/// A thread belongs to the cell that started it: what it reads is said to be that cell's.
fn hook_threads(py: Python<'_>, modules: &Bound<'_, PyAny>) -> PyResult<()> {
    let thread = py.import("_thread")?;
    let threading = if modules.contains("threading")? { Some(modules.get_item("threading")?) } else { None };
    for (name, original, ours) in [
        ("start_new_thread", &START_THREAD, wrap_pyfunction!(start_new_thread, py)?),
        ("start_new", &START_NEW, wrap_pyfunction!(start_new, py)?),
        ("start_joinable_thread", &START_JOINABLE, wrap_pyfunction!(start_joinable_thread, py)?),
    ] {
        // Python has the last one since 3.13.
        if !thread.hasattr(name)? {
            continue;
        }
        let hooked = original.replace(&thread, name, &ours)?;
        // `threading` keeps a name of its own for it.
        let own = format!("_{name}");
        if let Some(threading) = &threading
            && threading.hasattr(own.as_str())?
        {
            threading.setattr(own.as_str(), &hooked)?;
        }
    }
    Ok(())
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn start_new_thread<'py>(
    args: &Bound<'py, PyTuple>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    start_thread(&START_THREAD, args, options)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn start_new<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    start_thread(&START_NEW, args, options)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn start_joinable_thread<'py>(
    args: &Bound<'py, PyTuple>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    start_thread(&START_JOINABLE, args, options)
}

fn start_thread<'py>(
    original: &'static Original,
    args: &Bound<'py, PyTuple>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = args.py();
    let Ok(function) = args.get_item(0) else { return original.call(args, options) };
    if !function.is_callable() {
        return original.call(args, options);
    }
    let started = Started { function: function.unbind(), cell: child_cell() };
    let mut all = vec![Bound::new(py, started)?.into_any()];
    all.extend(args.iter().skip(1));
    original.call(&PyTuple::new(py, all)?, options)
}

fn child_cell() -> Option<std::sync::Arc<worker::CellRef>> {
    if child::in_child() { None } else { session().current_cell() }
}

/// What a new thread runs: notes its cell, then calls what it was started with.
#[pyclass(frozen, module = "_thread")]
struct Started {
    function: Py<PyAny>,
    cell: Option<std::sync::Arc<worker::CellRef>>,
}

#[pymethods]
impl Started {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__(&self, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
        worker::reader::adopt_cell(self.cell.clone());
        Ok(self.function.bind(args.py()).call(args, kwargs)?.unbind())
    }
}

/// Whoever sets a handler of SIGINT takes our filter away: it is put in front of the new one.
fn hook_signal(py: Python<'_>) -> PyResult<()> {
    let module = py.import("_signal")?;
    let original = module.getattr("signal")?;
    // What Python found at its start were our handlers; a user who asks is to see the default, and may set it back.
    for signal in [libc::SIGTERM, libc::SIGHUP].into_iter().chain(crash::handled()) {
        original.call1((signal, module.getattr("SIG_DFL")?))?;
    }
    interrupt::install_end_handlers();
    crash::install_handlers();
    SIGNAL.replace(&module, "signal", &wrap_pyfunction!(set_handler, py)?).map(drop)
}

static SIGNAL: Original = Original::new();

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn set_handler<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let result = SIGNAL.call(args, options)?;
    if !child::in_child() {
        interrupt::install_before_current(set_flag);
        // The default that is set back is what the session does by default.
        interrupt::install_default_end_handlers();
        crash::install_handlers();
    }
    Ok(result)
}

static UNRAISABLE: Original = Original::new();

/// An interrupt that strikes in a destructor or in a weak reference's callback is dropped by CPython, and the cell would go
/// on: it is raised again where it can be. In a handler at the runtime's exit it has done its work: the next one runs.
fn hook_unraisable(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    let hooked = UNRAISABLE.replace(sys, "__unraisablehook__", &wrap_pyfunction!(unraisable, py)?)?;
    sys.setattr("unraisablehook", hooked)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn unraisable<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let py = args.py();
    let is_interrupt =
        || args.get_item(0)?.getattr("exc_type").map(|kind| kind.is(py.get_type::<PyKeyboardInterrupt>()));
    let is_for_cell = interrupt::is_main_thread() && globals::is_running() && !child::in_child();
    if is_for_cell && interrupt::has_delivered() && is_interrupt().unwrap_or(false) {
        set_flag();
        return Ok(py.None().into_bound(py));
    }
    UNRAISABLE.call(args, options)
}

static EXIT: Original = Original::new();
static EXECV: Original = Original::new();
static EXECVE: Original = Original::new();

/// These end or replace the process at once; what was printed before is not to be lost with it.
fn hook_exit(py: Python<'_>) -> PyResult<()> {
    let posix = py.import("posix")?;
    let os = py.import("os")?;
    os.setattr("_exit", EXIT.replace(&posix, "_exit", &wrap_pyfunction!(exit, py)?)?)?;
    os.setattr("execv", EXECV.replace(&posix, "execv", &wrap_pyfunction!(execv, py)?)?)?;
    os.setattr("execve", EXECVE.replace(&posix, "execve", &wrap_pyfunction!(execve, py)?)?)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn exit<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let py = args.py();
    flush_session(py)?;
    let status = match (args.get_item(0), options) {
        (Ok(status), None) => Some(status),
        (_, options) => options.and_then(|options| options.get_item("status").ok().flatten()),
    };
    // With anything else CPython's own says what is wrong, and the process goes on.
    if status.is_some_and(|status| status.extract::<i32>().is_ok()) {
        py.detach(|| session().leave());
    }
    EXIT.call(args, options)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn execv<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    flush_session(args.py())?;
    EXECV.call(args, options)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn execve<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    flush_session(args.py())?;
    EXECVE.call(args, options)
}

static SELECT: Original = Original::new();
static POLL: Original = Original::new();
/// What `patches.py` has for them.
static PATCHED_SELECT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static PATCHED_POLL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn select<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    patched(&SELECT, &PATCHED_SELECT, args, options)
}

#[pyfunction]
#[pyo3(signature = (*args, **options))]
fn poll<'py>(args: &Bound<'py, PyTuple>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    patched(&POLL, &PATCHED_POLL, args, options)
}

fn patched<'py>(
    original: &'static Original,
    patch: &PyOnceLock<Py<PyAny>>,
    args: &Bound<'py, PyTuple>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    match patch.get(args.py()) {
        Some(patch) => patch.bind(args.py()).call(args, options),
        None => original.call(args, options),
    }
}
