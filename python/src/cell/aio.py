"""Top-level await: one event loop that lasts for the session.

All functions run on the main thread. What a cell's code raises passes through them unchanged.
"""

import asyncio
import contextvars
import sys

# From `_signal`, and not from `signal`: KeyboardInterrupt could be raised in the frames of its Python wrappers.
from _signal import SIGINT, default_int_handler, getsignal, signal

_loop = None
# The last `run_until_complete` was interrupted. It may have left a callback in the loop that would stop the next run.
_was_interrupted = False
# A copy of the context in which the cell's task ended.
_context = None
_eval = eval
# Modules that asyncio's own code calls. While one of them runs for asyncio, asyncio is in the middle of a change: a task may
# be scheduled, for example, and not yet be in the set of all tasks.
_HELPERS = frozenset((
    "_weakrefset", "collections", "concurrent.futures._base", "concurrent.futures.thread", "contextlib", "enum", "functools",
    "heapq", "inspect", "linecache", "logging", "reprlib", "signal", "socket", "ssl", "threading", "traceback", "types",
    "warnings", "weakref",
))


def begin(codes, namespace):
    """Makes the task that runs a cell's code objects on the session's loop; its result is the last one's value.

    Called with SIGINT blocked: an interrupted construction of the loop would leave its descriptors open, and one of the task
    would leave it to run in a later cell.
    """
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
    """Copies the task's context variables (numpy's and decimal's settings, for example) to the main thread's context, so that
    later cells see them: a task has a context of its own."""
    global _context
    context, _context = _context, None
    for variable in context or ():
        if variable.get(_loop) is not context[variable]:
            variable.set(context[variable])


def run(task, redeliver):
    """Runs the loop until the cell's task is done and gives its result; an interrupt cancels the task.

    `redeliver()` has the session send SIGINT again shortly after. Raises KeyboardInterrupt after an interrupt.
    """
    try:
        return _run(task, redeliver)
    finally:
        _keep_context()


def _run(task, redeliver):
    interrupt = None
    with _Interrupts(task, redeliver) as interrupts:
        while True:
            try:
                value = _finish(task)
            except KeyboardInterrupt as error:
                if task.done():
                    raise
                # It was raised in another task or in a callback, and has left the loop.
                interrupt = error
                interrupts.cancel()
                continue
            except asyncio.CancelledError as cancelled:
                if not interrupts.has_cancelled:
                    raise
                # The user is to see a KeyboardInterrupt with the traceback of the `await` that was cancelled. In Python 3.10
                # the CancelledError that holds this traceback is the context of the one that was raised.
                context = cancelled.__context__ if sys.version_info < (3, 11) else None
                raise interrupt or KeyboardInterrupt().with_traceback((context or cancelled).__traceback__) from None
            if interrupt:
                raise interrupt
            return value


def _finish(task):
    global _was_interrupted
    if _was_interrupted:
        # One round of the loop takes the callbacks that would stop the run below at once.
        _loop.call_soon(_loop.stop)
        _loop.run_forever()
    _was_interrupted = True
    value = _loop.run_until_complete(task)
    _was_interrupted = False
    return value


class _Interrupts:
    """The handler of SIGINT while the loop runs, unless the user has set one.

    In the user's code it raises KeyboardInterrupt. In the middle of asyncio's own code an exception could leave a task that is
    never woken. If the loop itself called that code, the handler cancels the cell's task; if the user's code called it, the
    handler asks for the interrupt to be redelivered, until the call has returned.
    """

    def __init__(self, task, redeliver):
        self.task, self.redeliver, self.has_cancelled, self.is_over = task, redeliver, False, False
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
            self.redeliver()
        else:
            raise KeyboardInterrupt

    def cancel(self):
        """Cancels the cell's task and wakes the loop."""
        self.has_cancelled = True
        self.task.cancel()
        # Ends the selector's wait.
        _loop.call_soon_threadsafe(int)


def _modules(frame):
    """The names of the modules of this frame and its callers, innermost first, up to the frame of `_run`."""
    while frame and frame.f_code is not _run.__code__:
        yield frame.f_globals.get("__name__")
        frame = frame.f_back


def _is_of_loop(module):
    return isinstance(module, str) and (module.startswith(("asyncio.", "<worker ")) or module == "selectors")


def close():
    """Cancels the tasks that are left and closes the loop, at the end of the session. SIGINT is unblocked meanwhile."""
    if _loop is None or _loop.is_closed() or _loop.is_running():
        return
    tasks = asyncio.all_tasks(_loop)
    for task in tasks:
        task.cancel()
    if tasks:
        _loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    _loop.run_until_complete(_loop.shutdown_asyncgens())
    _loop.close()
