//! O4: `print` is CPython's own to whoever looks, whatever it is given.

use crate::support::pythons::for_each_python;

/// Everything that `print` may be given, and everything that may become of `sys.stdout`.
const BATTERY: &str = r#"
import contextlib, inspect, io, pickle, sys
print(print, print.__name__, print.__qualname__, print.__module__, print.__self__, type(print), print.__doc__)
print(getattr(print, '__text_signature__', None), pickle.loads(pickle.dumps(print)) is print)
try: print(inspect.signature(print))
except ValueError as e: print(e)
class Loud:
    def __init__(self, text): self.text = text
    def __str__(self):
        print('<loud>', end='')
        return self.text
class Bad:
    def __str__(self): raise ValueError('bad')
class Text(str):
    def __str__(self): return 'as text'
class Number(int):
    def __str__(self): return 'as number'
def tried(*args, **kwargs):
    try: print(*args, **kwargs)
    except BaseException as e:
        print('|', type(e).__name__, e)
print(); print(''); print('', ''); print(end=''); print(sep='x'); print(end=None, sep=None, file=None)
print(1, 2.5, True, None, 'x', [1, 'a'], {}, (), b'b', Text('t'), Number(5), 10**50, -0.0, 1j)
print(1, 2, 3, sep=''); print(1, 2, 3, sep=', ', end='!\n'); print('a', 'b', sep='\n', end='')
print(Loud('one')); print('before', Loud('two'), 'after', Loud('three')); print(Loud('x'), end='', flush=True); print()
tried('before', Bad(), 'after'); tried(Bad()); tried(1, 2, sep='-', end=7); tried(1, sep=3); tried(1, wrong=3); tried(1, end=Text('!\n'))
tried(1, 2, **{Text('end'): '\n'}); tried('flushed', flush=[1]); tried('not', flush=[]); tried('odd', flush=Bad())
tried('x' * 10, 10**5000); tried('é→𝄞', 'x' * 5000 == 'x', 'y' * 4096, 'z' * 4097, 'w' * 9000)
for length in (4094, 4095, 4096, 4097): print('a' * length, 'b', 'c' * length)
out = io.StringIO()
print('to a file', file=out); print(repr(out.getvalue()))
with contextlib.redirect_stdout(out): print('redirected')
print(repr(out.getvalue()))
class Tee:
    def __init__(self, to): self.to = to
    def write(self, text): self.to.write(repr(text)); return len(text)
    def flush(self): self.to.write('[flush]')
old = sys.stdout; sys.stdout = Tee(old); print('tee', 1); print('tee', flush=True); sys.stdout = old; print()
write = sys.stdout.write; sys.stdout.write = lambda text: write(text.upper()); print('shouted', 'x'); del sys.stdout.write; print('quiet')
sys.stdout = None; print('nowhere'); sys.stdout = old
del sys.stdout
try: print('nowhere')
except RuntimeError as e: sys.stdout = old; print(e)
print('to itself', file=sys.stdout); print(*range(5)); print(*'abc', sep=''); print(*[])
import builtins
keep = builtins.print; builtins.print = lambda *a: keep('mine', *a); print(1); builtins.print = keep; print(2)
"#;

#[test]
fn o4_print_is_pythons_own_to_whoever_looks() {
    for_each_python(|s, python| {
        let wanted = python.prints(BATTERY);
        assert!(wanted.ends_with("mine 1\n2\n"), "{wanted}");
        s.says(BATTERY, &wanted);
        s.says("print('\\ud800', 'x', '\\udce9'.encode('utf-8', 'surrogateescape'))", "\\ud800 x b'\\xe9'\n");
        let odd =
            "sys.stdout.reconfigure(encoding='latin-1'); print('\u{e9}'); sys.stdout.reconfigure(encoding='utf-8')";
        assert_eq!(s.run(odd).ok().texts[0].data_b64.as_deref(), Some("6Qo="), "{}", python.path.display());
    });
}
