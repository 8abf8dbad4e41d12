//! What `complete`, `inspect` and `variables` answer in Python, and that they run none of the user's code.

use crate::support::harness::Session;
use crate::support::pythons::for_each_python;
use serde_json::{Value, json};

/// A class whose every special method says that it was called.
const NOISY: &str = "class Noisy:\n    'A noisy one.'\n    def __repr__(self, *args): print('CALLED'); raise SystemExit\n    \
                     __str__ = __dir__ = __getattr__ = __len__ = __iter__ = __eq__ = __hash__ = __bool__ = __repr__\n    \
                     @property\n    def prop(self): print('CALLED'); raise SystemExit\n    \
                     def meth(self, alpha, beta=2, *, gamma: int = 3): 'Doc of meth.'\n\
                     noisy = Noisy(); noisy.field = 1";

/// The code without its `|`, and where that stood, in code points.
fn at_bar(code: &str) -> Value {
    let cursor = code.chars().position(|c| c == '|').expect("a bar");
    json!({"code": code.replacen('|', "", 1), "cursor": cursor})
}

/// The texts that complete the code at its `|`, and the code points that they replace.
#[track_caller]
fn completions(s: &mut Session, code: &str) -> (Vec<String>, u64, u64) {
    let answer = s.call("complete", at_bar(code)).unwrap();
    let texts = answer["matches"].as_array().unwrap().iter();
    for found in texts.clone() {
        assert!(found["type"].is_string(), "{found}");
    }
    let texts = texts.map(|found| found["text"].as_str().unwrap().to_owned()).collect();
    (texts, answer["start"].as_u64().unwrap(), answer["end"].as_u64().unwrap())
}

/// The code at its `|` becomes exactly these.
#[track_caller]
fn completes(s: &mut Session, code: &str, wanted: &[&str]) {
    assert_eq!(completions(s, code).0, wanted, "{code:?}");
}

/// The description of what is at the `|`.
#[track_caller]
fn described(s: &mut Session, code: &str) -> Option<String> {
    let answer = s.call("inspect", at_bar(code)).unwrap();
    assert_eq!(answer["found"].as_bool().unwrap(), answer["data"]["text/plain"].is_string(), "{answer}");
    answer["data"]["text/plain"].as_str().map(str::to_owned)
}

/// Name, type and summary of every variable.
#[track_caller]
fn variables(s: &mut Session) -> Vec<(String, String, String)> {
    let answer = s.call("variables", json!({})).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = answer["variables"].as_array().unwrap().iter();
    found.map(|one| (text(&one["name"]), text(&one["type"]), text(&one["summary"]))).collect()
}

#[test]
fn complete_knows_attributes_keys_arguments_and_names() {
    for_each_python(|s, _| {
        s.says(NOISY, "");
        s.says("import os, collections\nd = {'alpha': 1, 'beta': {'deep': 'x'}}\nl = [noisy, 's']", "");
        s.says("def func(first, /, second=2, *args, third=3, **rest): 'Does.'", "");
        completes(s, "os.path.joi|", &["join"]);
        completes(s, "noisy.|", &["field", "meth", "prop"]);
        completes(s, "x = l[0].f|", &["field"]);
        completes(s, "'abc'.startsw|", &["startswith"]);
        completes(s, "{}.key|", &["keys"]);
        completes(s, "d['|", &["alpha", "beta"]);
        completes(s, "d['beta'][\"|", &["deep"]);
        completes(s, "d['beta']['deep'].uppe|", &["upper"]);
        completes(s, "func(1, sec|", &["second="]);
        completes(s, "func(\n    1,\n    thir|", &["third="]);
        completes(s, "noisy.meth(1, gam|", &["gamma="]);
        completes(s, "func(1, d['a|", &["alpha"]);
        completes(s, "f'{os.path.joi|", &["join"]);
        completes(s, "nois|", &["noisy"]);
        completes(s, "not_run_yet = 1\nprint(not_r|", &["not_run_yet"]);
        completes(s, "whil|", &["while"]);
        completes(s, "isinst|", &["isinstance"]);
        completes(s, "# nois|", &[]);
        completes(s, "1|", &[]);
        completes(s, "os.path.joi|n", &["join"]);
        assert_eq!(completions(s, "é𝄞 = os.path.joi|"), (vec!["join".to_owned()], 13, 16));
        s.says("print('x')", "x\n");
    });
}

#[test]
fn complete_knows_modules_and_paths_without_importing_anything() {
    for_each_python(|s, _| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(folder.path().join("sub/file é.txt"), "").unwrap();
        std::fs::create_dir(folder.path().join("my_package")).unwrap();
        for name in ["my_package/__init__.py", "my_package/inner.py", "my_module.py"] {
            std::fs::write(folder.path().join(name), "print('IMPORTED')").unwrap();
        }
        let path = folder.path().to_str().unwrap();
        s.says(&format!("import sys; sys.path.insert(0, {path:?})"), "");
        completes(s, "import my_|", &["my_module", "my_package"]);
        completes(s, "import json, my_p|", &["my_package"]);
        completes(s, "import my_package.|", &["inner"]);
        completes(s, "from my_package import inn|", &["inner"]);
        completes(s, "from xml.et|", &["etree"]);
        completes(s, "from collections import OrderedD|", &["OrderedDict"]);
        completes(s, &format!("open('{path}/su|"), &["sub/"]);
        completes(s, &format!("open('{path}/sub/|"), &["file é.txt"]);
        completes(s, "open('/no/such/folder/|", &[]);
        s.says("[name for name in sys.modules if name.startswith('my_')]", "[]\n");
    });
}

#[test]
fn inspect_tells_signature_and_documentation() {
    for_each_python(|s, python| {
        s.says(NOISY, "");
        s.says("d = {'a': 1}", "");
        let len = described(s, "le|n([])").unwrap();
        assert!(len.contains("len(obj, /)") && len.contains("number of items"), "{len}");
        let method = described(s, "noisy.meth|").unwrap();
        assert!(
            method.contains("meth(alpha, beta=2, *, gamma: int = 3)") && method.contains("Doc of meth."),
            "{method}"
        );
        assert_eq!(described(s, "noisy.meth(1, |"), Some(method));
        if python.minor >= 14 {
            // Nobody has asked for these annotations so far, and nobody does now.
            s.says("def late(a: list[Noisy], *b: noisy.prop, c: 'Noisy' = 1) -> nowhere: pass", "");
            let late = described(s, "late|").unwrap();
            assert!(late.contains("late(a: list[Noisy], *b: noisy.prop, c: Noisy = 1)"), "{late}");
        }
        let instance = described(s, "noisy|").unwrap();
        assert!(instance.contains("Noisy") && instance.contains("A noisy one."), "{instance}");
        assert!(described(s, "d|").unwrap().contains("{'a': 1}"));
        for unknown in ["nope|", "'len|'", "# len|", "1|", "|", "noisy.prop.x|"] {
            assert_eq!(described(s, unknown), None, "{unknown:?}");
        }
    });
}

#[test]
fn variables_are_told_in_bounded_time_and_length() {
    for_each_python(|s, _| {
        assert_eq!(variables(s), []);
        s.says(NOISY, "");
        s.says("x = 1\nnested = [[[[1]]]]\nbig = [0] * 10**7\ntext = 'é' * 10**6\nnumber = 10**10000", "");
        s.says("strange = [noisy, {'k': noisy}]\ncycle = []; cycle.append(cycle)\nbad = '\\ud800'", "");
        let found = variables(s);
        let of = |name: &str| found.iter().find(|one| one.0 == name).unwrap_or_else(|| panic!("{name}: {found:?}"));
        assert_eq!(of("x"), &("x".into(), "int".into(), "1".into()));
        assert_eq!((of("noisy").1.as_str(), of("noisy").2.as_str()), ("Noisy", "<Noisy object>"));
        assert!(of("big").2.contains("10000000"), "{:?}", of("big"));
        assert!(found.iter().all(|one| one.2.chars().count() <= 260), "{found:?}");
        assert!(found.iter().all(|one| !one.0.starts_with("__")), "{found:?}");
        s.says("for i in range(5000): globals()[f'v{i}'] = [noisy] * 10", "");
        let many = variables(s);
        assert!((100..=5000).contains(&many.len()), "{}", many.len());
        s.says("None", "");
    });
}

#[test]
fn a_waiting_debuggers_names_are_those_of_its_frame() {
    for_each_python(|s, _| {
        s.says("outer = 1\ndef f(inner):\n    import pdb; pdb.set_trace()\n    return inner\n", "");
        let id = s.begin("f(7)");
        let wait = s.wait_for("(Pdb) ");
        completes(s, "inne|", &["inner"]);
        completes(s, "oute|", &["outer"]);
        assert!(variables(s).contains(&("inner".into(), "int".into(), "7".into())));
        // Asking does not undo what the debugger assigns.
        s.answer(&wait, "inner = 8");
        let wait = s.wait_for("(Pdb) ");
        assert!(variables(s).contains(&("inner".into(), "int".into(), "8".into())));
        s.answer(&wait, "c");
        assert!(s.finish(&id).ok().stdout.ends_with("8\n"));
        let id = s.begin("def g(inner): return input('p ')\ng(1)");
        let wait = s.wait_for("p ");
        completes(s, "inne|", &[]);
        completes(s, "oute|", &["outer"]);
        s.answer(&wait, "x");
        s.finish(&id).ok();
    });
}

#[test]
fn requests_leave_no_trace() {
    for_each_python(|s, _| {
        s.says("import sys\n40 + 2", "42\n");
        let before = s.run("sorted(vars(sys)), sorted(globals()), sys.getrecursionlimit(), sys.gettrace()").ok().stdout;
        s.says("40 + 2", "42\n");
        for code in
            ["sys.modu|", "1 +* |", "(((|", "'''|", "x[|", "f'{|", "\\|", "\n\n)|", "lambda: |", "@|", "\u{feff}|"]
        {
            s.call("complete", at_bar(code)).unwrap();
            s.call("inspect", at_bar(code)).unwrap();
        }
        variables(s);
        s.says("_", "42\n");
        let after = s.run("sorted(vars(sys)), sorted(globals()), sys.getrecursionlimit(), sys.gettrace()").ok().stdout;
        assert_eq!(before, after);
    });
}

#[test]
fn bad_parameters_are_refused() {
    let mut s = Session::python();
    for params in [
        json!({}),
        json!([]),
        json!(["x", 1]),
        json!({"cursor": 0}),
        json!({"code": 1, "cursor": 0}),
        json!({"code": "x", "cursor": -1}),
        json!({"code": "x", "cursor": 2}),
        json!({"code": "é", "cursor": 2}),
        json!({"code": "x", "cursor": 0.5}),
        json!({"code": "x", "cursor": "0"}),
        json!({"code": "x", "cursor": null}),
        json!({"code": "x", "cursor": u64::MAX}),
    ] {
        for method in ["complete", "inspect"] {
            assert_eq!(s.call(method, params.clone()).unwrap_err().code, -32602, "{method} {params}");
        }
    }
    assert_eq!(s.call("variables", json!([1])).unwrap_err().code, -32602);
    assert_eq!(s.call("no_such_method", json!({})).unwrap_err().code, -32601);
    for method in ["is_complete", "complete", "inspect", "variables"] {
        assert!(s.hello.capabilities.requests.iter().any(|known| known == method), "{method}");
    }
}

#[test]
fn a_long_source_is_answered_too() {
    let mut s = Session::python();
    let long = format!("{}\nimport os\nos.path.joi|", "f(x, [1, 2,\n  {'a': (3)}])\n".repeat(50_000));
    completes(&mut s, &long, &["join"]);
    let open = format!("{}isinst|", "f(\n".repeat(100_000));
    completes(&mut s, &open, &["isinstance"]);
    assert_eq!(described(&mut s, &format!("{}|", "(".repeat(100_000))), None);
    completes(&mut s, &format!("{}'x'{}.uppe|", "(".repeat(10_000), ")".repeat(10_000)), &[]);
    completes(&mut s, "(('x')).uppe|", &["upper"]);
}

#[test]
fn complete_runs_no_code_where_it_has_to_guess() {
    // Where jedi is installed it is asked for these, and would ask the values.
    for_each_python(|s, _| {
        s.says(NOISY, "");
        s.says("held = [noisy]; table = {'key': noisy}", "");
        for code in [
            "noisy.prop.|",
            "noisy.prop.x.|",
            "noisy().|",
            "noisy[0].|",
            "for item in held:\n    item.x.|",
            "table.get('key').|",
        ] {
            s.call("complete", at_bar(code)).unwrap();
        }
        s.says("'quiet'", "'quiet'\n");
        assert!(s.take(None).texts.is_empty(), "a request ran the user's code");
    });
}

#[test]
fn complete_and_inspect_see_attributes_that_are_kept_in_other_ways() {
    for_each_python(|s, _| {
        s.says(NOISY, "");
        s.says(
            "import collections, threading, types\nns = types.SimpleNamespace(alpha=1, beta={'key': noisy}); ns.self = ns\n\
             loc = threading.local(); loc.alpha = ns\n\
             class Local(threading.local): shared = 1\n\
             class Made(threading.local):\n    def __init__(self): print('CALLED')\n\
             sub = Local(); sub.alpha = 5\nthread = threading.Thread(target=lambda: globals().update(made=Made())); thread.start(); thread.join()\n\
             nt = collections.namedtuple('NT', 'alpha beta')(7, ns)\n\
             class Space(types.SimpleNamespace): __getattr__ = __getattribute__ = Noisy.__repr__\nspace = Space(field=1)\n\
             class Odd: __dict__ = types.SimpleNamespace.__dict__['__dict__']; __getattr__ = Noisy.__repr__\nodd = Odd()",
            "CALLED\n",
        );
        completes(s, "ns.|", &["alpha", "beta", "self"]);
        completes(s, "ns.self.alpha.bit_l|", &["bit_length"]);
        completes(s, "ns.beta['|", &["key"]);
        completes(s, "loc.alpha.b|", &["beta"]);
        completes(s, "sub.|", &["alpha", "shared"]);
        completes(s, "sub.alpha.bit_l|", &["bit_length"]);
        completes(s, "nt.alpha.bit_l|", &["bit_length"]);
        completes(s, "nt.beta.alpha.bit_l|", &["bit_length"]);
        completes(s, "space.f|", &["field"]);
        completes(s, "made.x|", &[]);
        completes(s, "odd.x|", &[]);
        for code in ["ns.alph|a", "loc.alpha.alpha|", "nt.alpha|", "space.field|"] {
            assert!(described(s, code).is_some_and(|text| text.contains("Type: int")), "{code}");
        }
        assert_eq!(described(s, "made.x|"), None);
        s.says("None", "");
    });
}
