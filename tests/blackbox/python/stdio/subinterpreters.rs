//! P19: what a sub-interpreter prints comes when it is printed, as on the prompt's terminal.

use crate::support::pythons::{Python, for_each_python};

/// The module that makes them.
fn module(python: &Python) -> &'static str {
    if python.minor < 13 { "_xxsubinterpreters" } else { "_interpreters" }
}

#[test]
fn p19_what_a_subinterpreter_prints_comes_in_order() {
    for_each_python(|s, python| {
        s.says(&format!("import {} as module\none = module.create()", module(python)), "");
        let code = "print('before')\n_ = module.run_string(one, 'print(\"within\"); print(\"kept\", end=\"\")')\n\
                    print('after')\nmodule.destroy(one)\nprint(' at the end')";
        s.says(code, "before\nwithin\nafter\nkept at the end\n");
    });
}

#[test]
fn p19_a_subinterpreter_that_goes_on_has_printed() {
    for_each_python(|s, python| {
        let names = "sorted(name for name in vars() if not name.startswith('__'))";
        let within = format!("print({names})\\nimport os\\nos.read({{read}}, 1)");
        let code = format!(
            "import os, threading, {} as module\nread, write = os.pipe()\none = module.create()\n\
             thread = threading.Thread(target=module.run_string, args=(one, f\"{within}\"))\nthread.start()\n\
             _ = input('printed? '), os.write(write, b'x'), thread.join(), module.destroy(one)",
            module(python)
        );
        let id = s.begin(&code);
        let wait = s.wait_for("printed? ");
        s.until_printed(&id, "[]\n");
        s.answer(&wait, "yes");
        s.finish(&id).ok();
    });
}

#[test]
fn p19_so_it_does_by_the_ways_of_the_library() {
    for_each_python(|s, python| {
        if python.minor < 14 {
            return;
        }
        let code = "from concurrent import interpreters\none = interpreters.create()\n\
                    one.exec('print(\"within\")'); print('after'); one.close()";
        s.says(code, "within\nafter\n");
        let code = "from concurrent.futures import InterpreterPoolExecutor\nwith InterpreterPoolExecutor(1) as pool:\n    \
                    pool.submit(print, 'pooled').result()\n    print('after')";
        s.says(code, "pooled\nafter\n");
    });
}
