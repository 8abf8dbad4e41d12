//! Chooses the Python to host: the one that `--python` names, or else the one that the user would get.

use crate::launcher::runtimes::python::{Interpreter, environment, inspect};
use crate::launcher::runtimes::python_error::PythonError;
use crate::launcher::runtimes::search::Search;
use crate::launcher::runtimes::version;
use std::path::{Path, PathBuf};

/// Finds the Python that `--python` names, or else the one that the user would get.
pub fn find(asked: Option<&Path>, search: &Search<'_>) -> Result<Interpreter, PythonError> {
    if let Some(request) = asked.and_then(Path::to_str).and_then(version::parse) {
        return version::find(&request, search);
    }
    let (path, origin) = choose(asked, search)?;
    inspect(path, origin, search)
}

/// The path of an interpreter, and what named it.
fn choose(asked: Option<&Path>, search: &Search<'_>) -> Result<(PathBuf, &'static str), PythonError> {
    if let Some(asked) = asked {
        let origin = "--python";
        let path = search.from.join(asked);
        if !asked.as_os_str().as_encoded_bytes().contains(&b'/') {
            // As a shell would take a name, but for the folder of an environment.
            let found = environment(&path).or_else(|| search.on_path(&asked.to_string_lossy(), None));
            if let Some(found) = found {
                return Ok((found, origin));
            }
            if !path.exists() {
                return Err(PythonError::NotOnPath(asked.to_path_buf()));
            }
        }
        if path.is_dir() {
            return Ok((environment(&path).ok_or(PythonError::EmptyEnvironment { folder: path, origin })?, origin));
        }
        return Ok((path, origin));
    }
    if let Some(folder) = search.variable("VIRTUAL_ENV").map(|folder| search.cwd.join(folder)) {
        let origin = "$VIRTUAL_ENV";
        return Ok((environment(&folder).ok_or(PythonError::EmptyEnvironment { folder, origin })?, origin));
    }
    // A conda environment without a Python, one for R say, is a usual thing.
    if let Some(path) = search.variable("CONDA_PREFIX").and_then(|folder| environment(&search.cwd.join(folder))) {
        return Ok((path, "$CONDA_PREFIX"));
    }
    let nearest =
        search.cwd.ancestors().map(|folder| folder.join(".venv")).find(|venv| venv.join("pyvenv.cfg").exists());
    if let Some(folder) = nearest {
        let origin = "the nearest .venv";
        return Ok((environment(&folder).ok_or(PythonError::EmptyEnvironment { folder, origin })?, origin));
    }
    let found = ["python3", "python"].iter().find_map(|name| search.on_path(name, None));
    found.map(|path| (path, "on PATH")).ok_or_else(|| PythonError::Nowhere(search.cwd.to_path_buf()))
}

#[cfg(test)]
#[path = "python_tests.rs"]
mod tests;
