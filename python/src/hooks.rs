//! Small hooks into CPython: modules that are looked after when they are imported, and functions that the session must see.

use crate::bring_up::set_flag;
use crate::{cells, figures, fork, input, library, print, session, sources, system};
use pyo3::exceptions::{PyImportError, PyKeyboardInterrupt};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use worker::{child, crash, interrupt};

/// Modules that something is done to once they are imported.
const WATCHED: [&str; 4] = ["getpass", "select", "linecache", "matplotlib"];

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
    print::hook(py)?;
    hook_exit(py)
}

/// What a module of [`WATCHED`] needs.
fn look_after(py: Python<'_>, name: &str, module: &Bound<'_, PyAny>) -> PyResult<()> {
    match name {
        "linecache" => sources::fill(py, module),
        name => {
            let patch = library::PATCHES.get(py, &format!("patch_{name}"))?;
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
        if name == figures::MODULE {
            return figures::spec(py).map(Some);
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
        input::owns_stdin(session())
    }

    fn read_hidden(&self, py: Python<'_>, prompt: &str) -> PyResult<Option<String>> {
        input::read_hidden(py, prompt)
    }

    fn wait_readable(&self, py: Python<'_>, timeout: Option<f64>, fds: Vec<(i32, i16)>) -> PyResult<bool> {
        let mut fds: Vec<_> = fds.into_iter().map(|(fd, events)| libc::pollfd { fd, events, revents: 0 }).collect();
        input::wait_readable(py, timeout, &mut fds)
    }
}

fn closure<'py, F>(py: Python<'py>, name: &'static std::ffi::CStr, body: F) -> PyResult<Bound<'py, PyCFunction>>
where
    F: Fn(&Bound<'_, PyTuple>, Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> + Send + Sync + 'static,
{
    PyCFunction::new_closure(
        py,
        Some(name),
        None,
        move |args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>| body(args, kwargs),
    )
}

/// A thread belongs to the cell that started it: what it reads is said to be that cell's.
fn hook_threads(py: Python<'_>, modules: &Bound<'_, PyAny>) -> PyResult<()> {
    let thread = py.import("_thread")?;
    for name in [c"start_new_thread", c"start_new", c"start_joinable_thread"] {
        let text = name.to_str().unwrap_or_default();
        let Ok(original) = thread.getattr(text) else { continue };
        let original = original.unbind();
        let hooked = closure(py, name, move |args, kwargs| {
            let py = args.py();
            let original = original.bind(py);
            let Ok(function) = args.get_item(0) else { return Ok(original.call(args, kwargs)?.unbind()) };
            let started = Started { function: function.unbind(), cell: child_cell() };
            let rest = args.get_slice(1, args.len());
            let mut all = vec![Bound::new(py, started)?.into_any()];
            all.extend(rest.iter());
            Ok(original.call(PyTuple::new(py, all)?, kwargs)?.unbind())
        })?;
        thread.setattr(text, &hooked)?;
        // `threading` keeps a name of its own for it.
        if modules.contains("threading")? {
            let threading = modules.get_item("threading")?;
            let own = format!("_{text}");
            if threading.hasattr(own.as_str())? {
                threading.setattr(own.as_str(), &hooked)?;
            }
        }
    }
    Ok(())
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
    let original = module.getattr("signal")?.unbind();
    // What Python found at its start were our handlers; a user who asks is to see the default, and may set it back.
    for signal in [libc::SIGTERM, libc::SIGHUP].into_iter().chain(crash::handled()) {
        original.bind(py).call1((signal, module.getattr("SIG_DFL")?))?;
    }
    interrupt::install_end_handlers();
    crash::install_handlers();
    let hooked = closure(py, c"signal", move |args, kwargs| {
        let result = original.bind(args.py()).call(args, kwargs)?;
        if !child::in_child() {
            interrupt::install_before_current(set_flag);
        }
        Ok(result.unbind())
    })?;
    module.setattr("signal", hooked)
}

/// An interrupt that strikes in a destructor or in a weak reference's callback is dropped by CPython, and the cell would go
/// on: it is raised again where it can be. In a handler at the runtime's exit it has done its work: the next one runs.
fn hook_unraisable(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    let original = sys.getattr("__unraisablehook__")?.unbind();
    let hooked = closure(py, c"unraisablehook", move |args, kwargs| {
        let py = args.py();
        let is_interrupt =
            || args.get_item(0)?.getattr("exc_type").map(|kind| kind.is(py.get_type::<PyKeyboardInterrupt>()));
        let is_for_cell = interrupt::is_main_thread() && cells::is_running() && !child::in_child();
        if is_for_cell && interrupt::has_delivered() && is_interrupt().unwrap_or(false) {
            set_flag();
            return Ok(py.None());
        }
        Ok(original.bind(py).call(args, kwargs)?.unbind())
    })?;
    sys.setattr("unraisablehook", &hooked)?;
    sys.setattr("__unraisablehook__", hooked)
}

/// These end or replace the process at once; what was printed before is not to be lost with it.
fn hook_exit(py: Python<'_>) -> PyResult<()> {
    let posix = py.import("posix")?;
    let os = py.import("os")?;
    for name in [c"_exit", c"execv", c"execve"] {
        let text = name.to_str().unwrap_or_default();
        let original = posix.getattr(text)?.unbind();
        let hooked = closure(py, name, move |args, kwargs| {
            let py = args.py();
            crate::output::flush_session(py)?;
            if name == c"_exit" {
                py.detach(|| session().leave());
            }
            Ok(original.bind(py).call(args, kwargs)?.unbind())
        })?;
        posix.setattr(text, &hooked)?;
        os.setattr(text, &hooked)?;
    }
    Ok(())
}
