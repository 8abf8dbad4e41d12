//! R's `etc/ldpaths`: the script that computes `LD_LIBRARY_PATH`, read without a shell where it is R's own template.

use crate::launcher::runtimes::search::Search;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// `LD_LIBRARY_PATH` as `etc/ldpaths` computes it; None if that file holds more than R's template does.
pub fn library_path(script: &str, home: &Path, search: &Search<'_>) -> Option<OsString> {
    let mut known: Vec<(String, String)> = vec![("R_HOME".into(), home.to_str()?.into())];
    // For each open `if`: whether its branch is taken.
    let mut taken: Vec<bool> = Vec::new();
    let value = |known: &[(String, String)], name: &str| -> Option<String> {
        match known.iter().rev().find(|(key, _)| key == name) {
            Some((_, value)) => Some(value.clone()),
            None => (search.env)(name)?.into_string().ok(),
        }
    };
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(test) = line.strip_prefix("if test ") {
            let (wanted, text) = test.split_once(' ')?;
            let text = text.strip_suffix("; then")?.trim().trim_matches('"');
            let is_empty = expand(text, &|name| value(&known, name))?.is_empty();
            taken.push(match wanted {
                "-n" => !is_empty,
                "-z" => is_empty,
                _ => return None,
            });
        } else if line == "else" {
            let last = taken.last_mut()?;
            *last = !*last;
        } else if line == "fi" {
            taken.pop()?;
        } else if line.starts_with("export ") {
            continue;
        } else if taken.iter().all(|taken| *taken) {
            let (name, text) = match line.strip_prefix(": ${") {
                Some(default) => {
                    let (name, text) = default.strip_suffix('}')?.split_once('=')?;
                    if value(&known, name).is_some() {
                        continue;
                    }
                    (name, text)
                }
                None => line.split_once('=')?,
            };
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return None;
            }
            let text = expand(text.trim_matches('"'), &|name| value(&known, name))?;
            known.push((name.to_owned(), text));
        }
    }
    known.iter().rev().find(|(name, _)| name == "LD_LIBRARY_PATH").map(|(_, path)| path.into())
}

/// Puts in the values of `${NAME}`; None for any other feature of the shell.
fn expand(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let (name, after) = rest[at + 1..].strip_prefix('{')?.split_once('}')?;
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        expanded.push_str(&value(name).unwrap_or_default());
        rest = after;
    }
    expanded.push_str(rest);
    (!expanded.contains(['`', '"', '\'', '\\'])).then_some(expanded)
}

/// The same by running the script.
pub fn ask_for_library_path(ldpaths: &Path, home: &Path) -> Option<OsString> {
    let answer = Command::new("/bin/sh")
        .args(["-c", ". \"$1\"; printf %s \"$LD_LIBRARY_PATH\"", "sh"])
        .arg(ldpaths)
        .env("R_HOME", home)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    (answer.status.success() && !text.is_empty()).then(|| text.into())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// As R's template makes it.
    pub const LDPATHS: &str = r#"
: ${JAVA_HOME=/java}
: ${R_JAVA_LD_LIBRARY_PATH=${JAVA_HOME}/lib/server}
if test -n "/usr/lib/multi"; then
: ${R_LD_LIBRARY_PATH=${R_HOME}/lib:/usr/lib/multi}
else
: ${R_LD_LIBRARY_PATH=${R_HOME}/lib}
fi
if test -n "${R_JAVA_LD_LIBRARY_PATH}"; then
  R_LD_LIBRARY_PATH="${R_LD_LIBRARY_PATH}:${R_JAVA_LD_LIBRARY_PATH}"
fi
## A comment.
if test -z "${LD_LIBRARY_PATH}"; then
  LD_LIBRARY_PATH="${R_LD_LIBRARY_PATH}"
else
  LD_LIBRARY_PATH="${R_LD_LIBRARY_PATH}:${LD_LIBRARY_PATH}"
fi
export LD_LIBRARY_PATH
"#;

    fn paths(text: &str, pairs: &[(&str, &str)]) -> Option<String> {
        let env = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        let search = Search { env: &env, cwd: Path::new("/"), from: Path::new("/"), cache: None };
        library_path(text, Path::new("/r"), &search).map(|path| path.into_string().unwrap())
    }

    #[test]
    fn ldpaths_are_computed_as_the_shell_would() {
        assert_eq!(paths(LDPATHS, &[]).unwrap(), "/r/lib:/usr/lib/multi:/java/lib/server");
        assert_eq!(
            paths(LDPATHS, &[("LD_LIBRARY_PATH", "/mine"), ("JAVA_HOME", "/j")]).unwrap(),
            "/r/lib:/usr/lib/multi:/j/lib/server:/mine"
        );
        assert_eq!(paths(LDPATHS, &[("R_JAVA_LD_LIBRARY_PATH", "")]).unwrap(), "/r/lib:/usr/lib/multi");
        assert_eq!(paths("LD_LIBRARY_PATH=`uname`\n", &[]), None, "more than the template is left to a shell");
        assert_eq!(paths("case x in\n", &[]), None);
    }
}
