//! Texts that are made of other texts.

/// Why CPython could not be initialised, and what the user can do. `stderr`: what it has written there.
pub(crate) fn startup_failure(stderr: &str) -> String {
    let why = match stderr.trim() {
        "" => "Python ended while it started, without a message".to_owned(),
        message => format!("Python did not start: {message}"),
    };
    let hint = "check PYTHONHOME, PYTHONPATH and the virtual environment, or name another interpreter with --python";
    format!("{why} ({hint})")
}

/// The `ml_doc` of a C function: the text from which CPython takes its signature and its documentation. None without
/// either.
pub(crate) fn function_doc(name: &str, signature: Option<&str>, doc: Option<&str>) -> Option<String> {
    match (signature, doc) {
        (Some(signature), doc) => Some(format!("{name}{signature}\n--\n\n{}", doc.unwrap_or_default())),
        (None, doc) => doc.map(str::to_owned),
    }
}

/// The exit status of a process that ends with this number: its lowest eight bits.
pub(crate) fn exit_status(code: i64) -> i32 {
    code.rem_euclid(256) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_start_gives_the_reason_and_a_hint() {
        let message = startup_failure(" Fatal Python error: no encodings\n");
        assert!(message.starts_with("Python did not start: Fatal Python error: no encodings (check "), "{message}");
        let message = startup_failure("\n");
        assert!(message.starts_with("Python ended while it started, without a message (check "), "{message}");
    }

    #[test]
    fn a_functions_doc_has_the_form_that_cpython_parses() {
        let doc = function_doc("fork", Some("($module, /)"), Some("Fork."));
        assert_eq!(doc.as_deref(), Some("fork($module, /)\n--\n\nFork."));
        assert_eq!(function_doc("fork", Some("()"), None).as_deref(), Some("fork()\n--\n\n"));
        assert_eq!(function_doc("fork", None, Some("Fork.")).as_deref(), Some("Fork."));
        assert_eq!(function_doc("fork", None, None), None);
    }

    #[test]
    fn an_exit_status_has_eight_bits() {
        assert_eq!([0, 1, 255, 256, 257, -1, i64::MIN].map(exit_status), [0, 1, 255, 0, 1, 255, 0]);
    }
}
