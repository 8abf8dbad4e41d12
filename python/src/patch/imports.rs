//! Modules that are looked after when they are imported, whoever imports them.

use super::bridge::Bridge;
use super::interpreters;
use crate::cell::sources;
use crate::figures::backend;
use crate::runtime::embedded::Part;
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use worker_core::signals::interrupt;

/// What is done to `getpass`, `select` and `matplotlib` when they are imported.
static PATCHES: Part = Part::new("<worker patches>", include_str!("patches.py"), &[]);
/// Modules that something is done to once they are imported.
const WATCHED: [&str; 6] =
    ["getpass", "select", "linecache", "matplotlib", interpreters::MODULES[0], interpreters::MODULES[1]];

/// Looks after what is imported already, and from now on after what will be.
pub(super) fn hook(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    sys.getattr("meta_path")?.call_method1("insert", (0, Bound::new(py, Finder)?))?;
    let modules = sys.getattr("modules")?;
    for name in WATCHED {
        if modules.contains(name)? {
            look_after(py, name, &modules.get_item(name)?)?;
        }
    }
    Ok(())
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
