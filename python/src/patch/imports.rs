//! Modules that are patched at their import, by an entry of `sys.meta_path`.

use super::bridge::Bridge;
use super::interpreters;
use crate::cell::sources;
use crate::figures::backend;
use crate::runtime::embedded::Part;
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use worker_core::signals::interrupt;

/// The patches of `getpass`, `select` and `matplotlib`.
static PATCHES: Part = Part::new("<worker patches>", include_str!("patches.py"), &[]);
/// The modules that are patched.
const WATCHED: [&str; 6] =
    ["getpass", "select", "linecache", "matplotlib", interpreters::MODULES[0], interpreters::MODULES[1]];

/// Patches the modules that are imported already, and from now on each at its import. Raises what a patch raises.
pub(super) fn hook(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    sys.getattr("meta_path")?.call_method1("insert", (0, Bound::new(py, Finder)?))?;
    let modules = sys.getattr("modules")?;
    for name in WATCHED {
        if modules.contains(name)? {
            patch(py, name, &modules.get_item(name)?)?;
        }
    }
    Ok(())
}

/// Patches a module of [`WATCHED`], which has run already.
fn patch(py: Python<'_>, name: &str, module: &Bound<'_, PyAny>) -> PyResult<()> {
    match name {
        "linecache" => sources::fill(py, module),
        name if interpreters::MODULES.contains(&name) => interpreters::hook(module),
        name => {
            let function = PATCHES.get(py, &format!("patch_{name}"))?;
            function.call1((module, Bound::new(py, Bridge)?)).map(drop)
        }
    }
}

/// The first entry of `sys.meta_path`: for a module to be patched it gives the spec that the others find, with
/// [`Loader`]. It also finds the matplotlib backend.
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

/// Loads a module by its own loader, then patches it.
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
        // The module is to show its own loader and not this one.
        module.setattr("__loader__", loader)?;
        module.getattr("__spec__")?.setattr("loader", loader)?;
        loader.call_method1("exec_module", (module,))?;
        // An interrupt is raised here or after the patch: in its middle it would leave a module that is patched in
        // part.
        py.check_signals()?;
        let _blocked = interrupt::is_main_thread().then(interrupt::block_sigint);
        patch(py, &self.name, module).map_err(|error| PyImportError::new_err(format!("{}: {error}", self.name)))
    }
}
