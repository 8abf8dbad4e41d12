"""Top-level await: one event loop that lasts for the session."""

import asyncio
import contextvars
import sys
# Without the wrappers of `signal`, in whose frames an interrupt would be raised.
from _signal import SIGINT, default_int_handler, getsignal, signal

_loop = None
# The last run did not come to its end, and may have left something in the loop that would stop the next one.
_is_torn = False
# What the cell's task has left in its context variables.
_context = None
_eval = eval
# What the loop's code is built on: as long as these run for it, it has not done yet what it was about to do (a task that is
# scheduled and not in its set of tasks, say).
_HELPERS = frozenset((
    "_weakrefset", "collections", "concurrent.futures._base", "concurrent.futures.thread", "contextlib", "enum", "functools",
    "heapq", "inspect", "linecache", "logging", "reprlib", "signal", "socket", "ssl", "threading", "traceback", "types",
    "warnings", "weakref",
))


def begin(codes, namespace):
    """A task that runs a cell's code objects, on the session's loop, and gives the last one's value. Called with signals
    held: half a loop would leave its descriptors behind, and half a task would run in a later cell."""
    global _loop
    if _loop is None or _loop.is_closed() or _loop.is_running():
        _loop = asyncio.new_event_loop()
    if asyncio._get_running_loop() is not None:
        asyncio._set_running_loop(None)
    asyncio.set_event_loop(_loop)
    return _loop.create_task(_steps(codes, namespace))


async def _steps(codes, namespace):
    global _context
    value = None
    try:
        for code in codes:
            value = _eval(code, namespace)
            if code.co_flags & 0x80:
                value = await value
        return value
    finally:
        _context = contextvars.copy_context()


def _keep_context():
    """A task has a context of its own; what a cell has set (numpy's and decimal's settings, say) is to hold in the next."""
    global _context
    context, _context = _context, None
    for variable in context or ():
        if variable.get(_loop) is not context[variable]:
            variable.set(context[variable])


def run(task, renew):
    """Runs a cell's task to its end; an interrupt stops it. `renew` has an interrupt come again."""
    try:
        return _run(task, renew)
    finally:
        _keep_context()


def _run(task, renew):
    struck = None
    with _Interrupts(task, renew) as interrupts:
        while True:
            try:
                value = _finish(task)
            except KeyboardInterrupt as error:
                if task.done():
                    raise
                # It struck another task, or a callback.
                struck = error
                interrupts.cancel()
                continue
            except asyncio.CancelledError as cancelled:
                if not interrupts.has_cancelled:
                    raise
                # Where it was is what the user wants to see, and not how it was told. Python 3.10 tells it with another error.
                where = cancelled.__context__ if sys.version_info < (3, 11) else None
                raise struck or KeyboardInterrupt().with_traceback((where or cancelled).__traceback__) from None
            if struck:
                raise struck
            return value


def _finish(task):
    global _is_torn
    if _is_torn:
        _loop.call_soon(_loop.stop)
        _loop.run_forever()
    _is_torn = True
    value = _loop.run_until_complete(task)
    _is_torn = False
    return value


class _Interrupts:
    """What an interrupt does while the loop runs. In the user's code it is raised. The loop's own code would forget what it
    was about to do, and some task would never be woken: there it cancels the cell's task, and if the user's code has called
    the loop's, it is put off until that has returned. A handler of the user's own stays."""

    def __init__(self, task, renew):
        self.task, self.renew, self.has_cancelled, self.is_over = task, renew, False, False
        self.handler = self._handle

    def __enter__(self):
        if getsignal(SIGINT) is default_int_handler:
            signal(SIGINT, self.handler)
        return self

    def __exit__(self, *error):
        if getsignal(SIGINT) is self.handler:
            signal(SIGINT, default_int_handler)
        self.is_over = True

    def _handle(self, number, frame):
        if self.is_over:
            raise KeyboardInterrupt
        callers = [module for module in _modules(frame) if module not in _HELPERS]
        if all(_is_of_loop(module) or module == "nest_asyncio" for module in callers):
            self.cancel()
        elif _is_of_loop(callers[0]):
            self.renew()
        else:
            raise KeyboardInterrupt

    def cancel(self):
        self.has_cancelled = True
        self.task.cancel()
        # Ends the loop's wait.
        _loop.call_soon_threadsafe(int)


def _modules(frame):
    """The modules of the code that runs and of its callers, down to the run of the cell's task."""
    while frame and frame.f_code is not _run.__code__:
        yield frame.f_globals.get("__name__")
        frame = frame.f_back


def _is_of_loop(module):
    return isinstance(module, str) and (module.startswith(("asyncio.", "<worker ")) or module == "selectors")


def close():
    """Cancels what is left and closes the loop, at the end of the session."""
    if _loop is None or _loop.is_closed() or _loop.is_running():
        return
    tasks = asyncio.all_tasks(_loop)
    for task in tasks:
        task.cancel()
    if tasks:
        _loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    _loop.run_until_complete(_loop.shutdown_asyncgens())
    _loop.close()
