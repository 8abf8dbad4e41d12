//! P7: pickling, source inspection and multiprocessing from a session.

use crate::support::pythons::for_each_python;

#[test]
fn p7_classes_of_a_cell_can_be_pickled_and_functions_inspected() {
    for_each_python(|s, _| {
        s.says("class A:\n    x = 3", "");
        s.says(
            "import pickle\nprint(pickle.loads(pickle.dumps(A())).x, pickle.loads(pickle.dumps(A)) is A)",
            "3 True\n",
        );
        s.says("def f(x):\n    # A comment.\n    return x + 1\n", "");
        s.says(
            "import inspect\nprint(inspect.getsource(f), end='')",
            "def f(x):\n    # A comment.\n    return x + 1\n",
        );
        s.says("g = lambda: 1 # of cell five\nprint(inspect.getsource(g), end='')", "g = lambda: 1 # of cell five\n");
        s.says("import linecache\nlinecache.checkcache()\nprint(inspect.getsource(f).count('\\n'))", "3\n");
    });
}

#[test]
fn p7_multiprocessing_with_fork_works() {
    for_each_python(|s, _| {
        s.says("import multiprocessing as mp\ndef square(x): return x * x\nfork = mp.get_context('fork')", "");
        s.says("with fork.Pool(2) as pool: print(pool.map(square, range(5)))", "[0, 1, 4, 9, 16]\n");
        s.says("q = fork.Queue()\np = fork.Process(target=lambda: q.put('from child'))\np.start(); print(q.get()); p.join(); print(p.exitcode)", "from child\n0\n");
        s.says(
            "p = fork.Process(target=print, args=('printed in a child',))\np.start(); p.join()",
            "printed in a child\n",
        );
    });
}

#[test]
fn p7_multiprocessing_with_spawn_and_forkserver_runs_importable_functions() {
    for_each_python(|s, _| {
        s.says("import multiprocessing as mp, math", "");
        s.says("with mp.get_context('spawn').Pool(1) as pool: print(pool.map(math.factorial, [3, 4]))", "[6, 24]\n");
        s.says(
            "with mp.get_context('forkserver').Pool(1) as pool: print(pool.map(math.factorial, [3, 4]))",
            "[6, 24]\n",
        );
        s.says("import concurrent.futures as cf", "");
        s.says(
            "with cf.ProcessPoolExecutor(1, mp.get_context('spawn')) as e: print(e.submit(math.factorial, 5).result())",
            "120\n",
        );
    });
}
