"""Top-level await: one event loop that lasts for the session."""

import asyncio
import sys
# Without the wrappers of `signal`, in whose frames an interrupt would be raised.
from _signal import SIGINT, default_int_handler, getsignal, signal

_loop = None
_eval = eval


def run_cell(codes, namespace, renew):
    """Runs a cell's code objects, with the loop running; gives the last one's value. `renew` has an interrupt come again."""
    return run(_steps(codes, namespace), renew)


async def _steps(codes, namespace):
    value = None
    for code in codes:
        value = _eval(code, namespace)
        if code.co_flags & 0x80:
            value = await value
    return value


def ensure_loop():
    """Makes the loop if there is none. Called with signals held: half a loop would leave its descriptors behind."""
    global _loop
    if _loop is None or _loop.is_closed():
        _loop = asyncio.new_event_loop()


def run(coroutine, renew):
    """Runs a cell's coroutine to its end on the session's loop; an interrupt stops it."""
    asyncio.set_event_loop(_loop)
    struck = None
    with _Interrupts(renew) as interrupts:
        interrupts.task = task = _loop.create_task(coroutine)
        if interrupts.has_cancelled:
            task.cancel()
        while True:
            try:
                value = _loop.run_until_complete(task)
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


class _Interrupts:
    """What an interrupt does while the loop runs. In the user's code it is raised. The loop's own code would forget what it
    was about to do, and some task would never be woken: there it cancels the cell's task, and if the user's code has called
    the loop's, it is put off until that has returned. A handler of the user's own stays."""

    def __init__(self, renew):
        self.renew, self.task, self.has_cancelled, self.is_over = renew, None, False, False
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
        if self.is_over or not _is_of_loop(frame):
            raise KeyboardInterrupt
        while frame and frame.f_code is not run.__code__:
            if not _is_of_loop(frame):
                self.renew()
                return
            frame = frame.f_back
        self.cancel()

    def cancel(self):
        self.has_cancelled = True
        if self.task:
            self.task.cancel()
            # Ends the loop's wait.
            _loop.call_soon_threadsafe(int)


def _is_of_loop(frame):
    module = frame.f_globals.get("__name__")
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
