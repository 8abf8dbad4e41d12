//! P2 and P10: the standard library's doctests are transcripts of the prompt; as cells they print the same.

use crate::support::pythons::for_each_python;
use serde::Deserialize;

/// Modules whose examples need nothing but themselves.
const MODULES: &str = "bisect collections datetime difflib enum fractions heapq json json.encoder pickletools random \
                       secrets statistics typing uuid";

/// Lists the examples: one array for each docstring. One whose examples this Python's own library does not pass is left out:
/// since 3.14 `fractions` has no `Decimal`, which its docstring uses.
const LIST: &str = "import doctest, importlib, json, sys
found = []
for name in sys.argv[1].split():
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name)):
        quiet = doctest.DocTest(test.examples, dict(test.globs), test.name, test.filename, test.lineno, test.docstring)
        if doctest.DocTestRunner().run(quiet, out=lambda text: None).failed:
            continue
        examples = [dict(source=e.source, want=e.want, error=e.exc_msg) for e in test.examples if not e.options]
        if len(examples) == len(test.examples) > 0:
            found.append(dict(module=name, name=test.name, examples=examples))
print(json.dumps(found))";

#[derive(Deserialize)]
struct Docstring {
    module: String,
    name: String,
    examples: Vec<Example>,
}

#[derive(Deserialize)]
struct Example {
    source: String,
    want: String,
    /// The last line of the error that it ends in.
    error: Option<String>,
}

#[test]
fn p2_examples_of_the_standard_library_print_what_they_print_at_the_prompt() {
    for_each_python(|s, python| {
        let list = format!("import sys; sys.argv = ['', {MODULES:?}]\n{LIST}");
        let found: Vec<Docstring> = serde_json::from_str(&python.prints(&list)).expect("JSON");
        assert!(found.len() > 50, "{} docstrings", found.len());
        for Docstring { module, name, examples } in found {
            s.says(&in_a_fresh_namespace(&module), "");
            for Example { source, want, error } in examples {
                let cell = s.run(&source);
                let what = format!("{source:?} of {name}");
                match error {
                    None => assert_eq!((cell.ok().stdout, &what), (want, &what)),
                    Some(error) => assert!(cell.traceback.ends_with(&error), "{what}: {:?}", cell.traceback),
                }
            }
        }
    });
}

/// What a docstring's examples see: the names of their module, and none that an earlier one has left.
fn in_a_fresh_namespace(module: &str) -> String {
    format!(
        "for name in list(globals()):\n    if not name.startswith('__'): del globals()[name]\n\
         import importlib\nglobals().update({{name: value for name, value in vars(importlib.import_module({module:?})).items() if not name.startswith('__')}})"
    )
}
