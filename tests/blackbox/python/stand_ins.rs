//! P7: the functions of CPython's that a session replaces are CPython's own to whoever looks.

use crate::support::pythons::for_each_python;

/// What every replaced function shows of itself, may be asked, and is as a pickle.
const BATTERY: &str = r#"
import builtins, io, _io, os, posix, sys, _thread, threading, signal, _signal, select, getpass, inspect, pickle, re
def told(what):
    try: return re.sub(' at 0x[0-9a-f]+', '', repr(what()))
    except Exception as e: return re.sub(' at 0x[0-9a-f]+', '', f'{type(e).__name__}: {e}')
FUNCTIONS = '''builtins.print builtins.input builtins.open io.open _io.open os.read posix.read os.fork os.forkpty os.system posix.system
os._exit os.execv os.execve os.execvp posix._exit os.dup2 os.close signal.signal _signal.signal select.select select.poll select.epoll getpass.getpass
getpass.unix_getpass _thread.start_new_thread _thread.start_new sys.unraisablehook
sys.__unraisablehook__'''.split()
FUNCTIONS += ['_thread.start_joinable_thread', 'threading._start_joinable_thread'] if sys.version_info >= (3, 13) else ['threading._start_new_thread']
for name in FUNCTIONS:
    module, _, attribute = name.partition('.')
    f = getattr(sys.modules[module], attribute)
    print(name, told(lambda: f), told(lambda: type(f)), told(lambda: pickle.loads(pickle.dumps(f)) is f))
    for what in '__name__ __qualname__ __module__ __self__ __doc__ __text_signature__'.split(): print('   ', told(lambda: getattr(f, what, None)))
    if name != 'select.epoll': print('   ', told(lambda: inspect.signature(f)))
print(os._exit is posix._exit, open is io.open is _io.open, os.read is posix.read, getpass.getpass is getpass.unix_getpass)
for call in (lambda: os.fork(1), lambda: os.forkpty(x=1), lambda: os.system(), lambda: os.system(1, 2), lambda: os.system(x=1), lambda: os.system(5),
             lambda: input(1, 2), lambda: input(prompt=''), lambda: os.read(1), lambda: os.read('a', 1), lambda: open(), lambda: open(0, 'q'),
             lambda: os._exit(), lambda: os._exit('x'), lambda: os._exit(x=1), lambda: os.execv('x'), lambda: os.execve(1, [], {}),
             lambda: _thread.start_new_thread(), lambda: _thread.start_new_thread(5, ()), lambda: _thread.start_new_thread(print, 5),
             lambda: signal.signal(), lambda: _signal.signal(1), lambda: signal.signal(2, 'x'), lambda: select.select(), lambda: select.select(1, 2, 3),
             lambda: select.select([], [], [], 'x'), lambda: select.select([0], [], [], 'x'), lambda: select.select([0], [], [], -1),
             lambda: select.select([-1], [], [], 0), lambda: select.select(rlist=[]), lambda: select.poll(1), lambda: select.epoll('x'),
             lambda: select.poll().modify(1000, 1), lambda: select.poll().unregister(1000)):
    print(re.sub(r'patch_\w+\.<locals>\.', '', told(call)))
for made in select.poll(), select.epoll():
    print(type(made).__name__, type(made).__qualname__, type(made).__module__, type(made).__doc__, made.register.__doc__, made.poll.__name__)
    print(made.register.__qualname__, made.modify.__doc__, made.unregister.__name__)
"#;

#[test]
fn p7_a_replaced_function_is_pythons_own_to_whoever_looks() {
    for_each_python(|s, python| {
        let wanted = python.prints(BATTERY);
        let ours = s.run(BATTERY).ok().stdout;
        let first = wanted.lines().zip(ours.lines()).find(|(wanted, ours)| wanted != ours);
        assert!(first.is_none() && wanted.len() == ours.len(), "{}: {first:#?}", python.path.display());
    });
}

#[test]
fn p7_a_replaced_function_can_be_sent_to_a_process() {
    for_each_python(|s, _| {
        s.says(
            "import multiprocessing as mp, os, signal\np = mp.get_context('spawn').Process(target=os._exit, args=(3,)); p.start(); p.join()\np.exitcode",
            "3\n",
        );
        s.says("import concurrent.futures as cf\nwith cf.ProcessPoolExecutor(1, mp.get_context('spawn')) as e: print(e.submit(os.system, 'exit 3').result() >> 8)", "3\n");
    });
}
