"""Top-level await: one event loop that lasts for the session."""

import asyncio

_loop = None
# The last run did not come to its end, and may have left something in the loop that would stop the next one.
_is_torn = False
_eval = eval


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
    value = None
    for code in codes:
        value = _eval(code, namespace)
        if code.co_flags & 0x80:
            value = await value
    return value


def run(task):
    """Runs a cell's task to its end; an interrupt cancels it."""
    try:
        return _finish(task)
    except KeyboardInterrupt:
        if not task.done():
            task.cancel()
            try:
                _finish(task)
            except asyncio.CancelledError:
                pass
        raise


def _finish(task):
    global _is_torn
    if _is_torn:
        _loop.call_soon(_loop.stop)
        _loop.run_forever()
    _is_torn = True
    result = _loop.run_until_complete(task)
    _is_torn = False
    return result


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
