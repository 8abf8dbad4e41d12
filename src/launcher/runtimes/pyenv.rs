//! Which interpreter a pyenv shim stands for, found as pyenv finds it but without running its shell scripts.

use crate::launcher::runtimes::python_error::PythonError;
use crate::launcher::runtimes::search::Search;
use std::fs;
use std::path::{Path, PathBuf};

/// pyenv's root, if the script is one of its shims.
pub fn root_of_shim(script: &Path, search: &Search<'_>) -> Option<PathBuf> {
    let shims = script.parent()?;
    if shims.file_name()? != "shims" {
        return None;
    }
    let root = shims.parent()?;
    let given = search.variable("PYENV_ROOT").map(PathBuf::from);
    let text = fs::read_to_string(script).ok()?;
    (text.contains("pyenv") && root.join("versions").is_dir()).then(|| match given {
        Some(given) if given.join("versions").is_dir() => given,
        _ => root.to_path_buf(),
    })
}

/// The interpreter of this name that pyenv would run here.
pub fn resolve(root: &Path, name: &str, search: &Search<'_>) -> Result<PathBuf, PythonError> {
    let (versions, origin) = chosen_versions(root, search);
    for version in &versions {
        let found = if version == "system" {
            search.on_path(name, Some(&root.join("shims")))
        } else {
            installed(root, version).map(|folder| folder.join("bin").join(name)).filter(|path| path.exists())
        };
        if let Some(found) = found {
            return Ok(found);
        }
    }
    Err(PythonError::Pyenv { name: name.to_owned(), versions: versions.join(":"), origin })
}

/// The versions that are in force, in order, and what set them.
fn chosen_versions(root: &Path, search: &Search<'_>) -> (Vec<String>, String) {
    if let Some(value) = search.variable("PYENV_VERSION") {
        return (words(&value.to_string_lossy()), "PYENV_VERSION".to_owned());
    }
    let start = search.variable("PYENV_DIR").map(PathBuf::from).unwrap_or_else(|| search.cwd.to_path_buf());
    let local = start.ancestors().map(|folder| folder.join(".python-version"));
    for file in local.chain([root.join("version")]) {
        let versions = fs::read_to_string(&file).map(|text| words(&text)).unwrap_or_default();
        if !versions.is_empty() {
            return (versions, file.display().to_string());
        }
    }
    (vec!["system".to_owned()], "pyenv's default".to_owned())
}

fn words(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(|line| line.split([':', ' ', '\t', '\r']))
        .filter(|word| !word.is_empty() && !word.contains('/'))
        .map(str::to_owned)
        .collect()
}

/// The folder of a version: of this very name, or the newest that it is a prefix of (`3.12` means `3.12.1`).
fn installed(root: &Path, version: &str) -> Option<PathBuf> {
    let versions = root.join("versions");
    let plain = version.strip_prefix("python-").unwrap_or(version);
    if let Some(exact) = [version, plain].into_iter().map(|name| versions.join(name)).find(|path| path.is_dir()) {
        return Some(exact);
    }
    let key = |name: &str| -> Option<Vec<u64>> { name.split('.').map(|part| part.parse().ok()).collect() };
    let prefix = format!("{plain}.");
    fs::read_dir(&versions)
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(&prefix))
        .filter_map(|name| Some((key(&name)?, name)))
        .max()
        .map(|(_, name)| versions.join(name))
}
