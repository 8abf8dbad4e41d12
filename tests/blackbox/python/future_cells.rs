//! P4 and P8: `__future__` imports and the event loop outlive their cell.

use crate::support::harness::Session;
use crate::support::pythons::for_each_python;

/// Fails where annotations are evaluated: by the definition, or since Python 3.14 when they are asked for.
const EAGER: &str = "def before(x: no_such_name): pass\nbefore.__annotations__";

#[test]
fn p4_a_future_import_holds_in_later_cells() {
    for_each_python(|s, _| {
        s.run(EAGER).failed("NameError");
        s.says("from __future__ import annotations", "");
        s.says("def after(x: no_such_name): pass\nprint(after.__annotations__)", "{'x': 'no_such_name'}\n");
        s.says("class A:\n    y: nor_this\nprint(A.__annotations__)", "{'y': 'nor_this'}\n");
        s.says("exec('z: 1 = 3')", "");
    });
}

#[test]
fn p4_a_future_import_of_a_cell_that_does_not_compile_does_not_hold() {
    for_each_python(|s, _| {
        s.run("from __future__ import annotations\n)").failed("SyntaxError");
        s.run(EAGER).failed("NameError");
    });
}

#[test]
fn p8_await_at_top_level_runs_on_one_loop() {
    for_each_python(|s, _| {
        s.says("import asyncio\nasync def loop(): return asyncio.get_running_loop()", "");
        s.says("first = await loop()", "");
        s.says("(await loop()) is first", "True\n");
        s.says("await asyncio.sleep(0, 'value')", "'value'\n");
        s.says("async def set_later(future): future.set_result('later')\nfuture = first.create_future()", "");
        s.says("task = asyncio.ensure_future(set_later(future), loop=first)\nawait asyncio.sleep(0)", "");
        s.says("await future", "'later'\n");
        s.says("async def three():\n    for i in range(3): yield i\nasync for i in three(): print(i)", "0\n1\n2\n");
        s.says("[i async for i in three()]", "[0, 1, 2]\n");
        s.says("async with asyncio.Lock() as lock:\n    print('locked')", "locked\n");
        s.run("await asyncio.sleep(0); 1/0").failed("ZeroDivisionError");
        s.says("print(await asyncio.sleep(0, 1)) # and no traceback of ours before it", "1\n");
    });
}

#[test]
fn p8_a_task_goes_on_in_a_later_cell() {
    let mut s = Session::python();
    s.says("import asyncio\nevent = asyncio.Event()", "");
    s.says("async def work():\n    await event.wait()\n    return 'done'\ntask = asyncio.create_task(work()); await asyncio.sleep(0)", "");
    s.says("task.done()", "False\n");
    s.says("event.set()\nawait task", "'done'\n");
}

#[test]
fn p8_a_cell_that_awaits_runs_on_the_loop_as_a_whole() {
    for_each_python(|s, _| {
        s.says("import asyncio\nasync def f(x): return x", "");
        s.says("loop = asyncio.get_running_loop()\nawait f(1)", "1\n");
        s.says("await f(1)\nasyncio.get_running_loop() is loop", "True\n");
        s.says("a, b = await asyncio.gather(f(1), f(2))\na + b", "3\n");
        s.says("x = await f(5)", "");
        s.says("async def g():\n    return [i async for i in h()]\nasync def h():\n    yield x\nawait g()", "[5]\n");
        s.run("asyncio.get_running_loop()").failed("RuntimeError");
        let id = s.begin("await asyncio.sleep(0)\nprint('go', flush=True)\nwhile True: pass");
        s.until_printed(&id, "go\n");
        s.interrupt();
        s.finish(&id).interrupted();
        s.says("await f('on')", "'on'\n");
        let id = s.begin("x = input('p ')\nawait f(x)");
        let wait = s.wait_for("p ");
        s.answer(&wait, "asked");
        assert_eq!(s.finish(&id).ok().stdout, "'asked'\n");
    });
}

#[test]
fn p8_a_cell_that_awaits_can_exit() {
    for_each_python(|_, python| {
        let mut s = Session::on(python);
        s.begin("import asyncio, atexit\natexit.register(print, 'at exit')\nawait asyncio.sleep(0)\nexit(4)");
        let end = s.ended();
        assert_eq!(end.ending.reason, worker_client::Reason::Exit(4), "{end:?}");
        assert_eq!((end.stdout.as_str(), end.stderr.as_str()), ("at exit\n", ""));
    });
}

#[test]
fn p8_asyncio_run_works_before_and_after_await() {
    for_each_python(|s, _| {
        s.says("import asyncio\nasync def f(): return 5", "");
        s.says("asyncio.run(f())", "5\n");
        s.says("await f()", "5\n");
        s.says("asyncio.run(f())", "5\n");
        s.says("await f()", "5\n");
        s.says("1 + 1", "2\n");
    });
}

#[test]
fn p8_a_traceback_of_an_awaited_cell_shows_the_users_frames() {
    let mut s = Session::python();
    let cell = s.run("import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    1/0\nawait f()");
    let shown = crate::support::said::without_carets(&cell.failed("ZeroDivisionError").stderr);
    let wanted = "Traceback (most recent call last):\n  File \"<cell 1>\", line 5, in <module>\n    await f()\n  \
                  File \"<cell 1>\", line 4, in f\n    1/0\nZeroDivisionError: division by zero\n";
    assert_eq!(shown, wanted);
}

#[test]
fn p8_a_second_interrupt_leaves_nothing_in_the_loop() {
    for_each_python(|s, _| {
        // The first one cancels the task; the second strikes before the loop has taken note of its end.
        let id = s.begin(
            "import asyncio\ndef spin():\n    print('spinning', flush=True)\n    while True: pass\n\
             loop = asyncio.get_running_loop(); _ = loop.call_soon(print, 'go')\n\
             try: await asyncio.sleep(600)\nfinally: _ = loop.call_soon(spin)",
        );
        s.until_printed(&id, "go\n");
        s.interrupt();
        s.until_printed(&id, "spinning\n");
        s.interrupt();
        s.finish(&id).interrupted();
        s.says("await asyncio.sleep(0.01, 'next')", "'next'\n");
    });
}

/// The shape of `nest_asyncio`: the loop's methods are replaced by plain Python that can be entered again.
const NESTING: &str = "import asyncio, sys, types
nest_asyncio = types.ModuleType('nest_asyncio')
exec('''
import asyncio
def run_until_complete(self, future):
    task = asyncio.ensure_future(future, loop=self)
    asyncio._set_running_loop(self)
    while not task.done():
        run_once(self)
    asyncio._set_running_loop(None)
    return task.result()
def run_once(self):
    late = self._scheduled[0]._when - self.time() if self._scheduled else None
    self._process_events(self._selector.select(0 if self._ready else late))
    while self._scheduled and self._scheduled[0]._when <= self.time():
        self._ready.append(self._scheduled.pop(0))
    for _ in range(len(self._ready)):
        handle = self._ready.popleft()
        if not handle._cancelled:
            handle._run()
asyncio.BaseEventLoop.run_until_complete = run_until_complete
''', vars(nest_asyncio))";

#[test]
fn p8_an_awaited_cell_is_interrupted_where_the_loop_can_be_nested() {
    for_each_python(|s, _| {
        s.says(NESTING, "");
        s.says("await asyncio.sleep(0.01, 'slept')", "'slept'\n");
        for _ in 0..3 {
            let id = s.begin("print('go', flush=True)\nawait asyncio.sleep(60)");
            s.until_printed(&id, "go\n");
            s.until_asleep();
            s.interrupt();
            s.finish(&id).interrupted();
            s.says("1 + 1", "2\n");
        }
    });
}

#[test]
fn p8_what_an_awaited_cell_sets_in_its_context_holds_in_the_next() {
    for_each_python(|s, _| {
        s.says("import asyncio, contextvars, decimal\nv = contextvars.ContextVar('v', default=0)", "");
        s.says("v.set(1); await asyncio.sleep(0)", "");
        s.says("v.get()", "1\n");
        s.says("decimal.setcontext(decimal.Context(prec=5)); await asyncio.sleep(0)", "");
        s.says("decimal.Decimal(1) / 3", "Decimal('0.33333')\n");
        s.run("v.set(2); await asyncio.sleep(0); 1/0").failed("ZeroDivisionError");
        s.says("await asyncio.sleep(0, v.get())", "2\n");
        s.says("async def child(): v.set(3)\nawait asyncio.create_task(child())\nv.get()", "2\n");
        s.says("v.get()", "2\n");
    });
}
