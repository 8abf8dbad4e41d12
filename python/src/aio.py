"""Top-level await: one event loop that lasts for the session."""

import asyncio

_loop = None
_eval = eval


def run_cell(codes, namespace):
    """Runs a cell's code objects, with the loop running; gives the last one's value."""
    return run(_steps(codes, namespace))


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


def run(coroutine):
    """Runs a cell's coroutine to its end on the session's loop; an interrupt cancels it."""
    asyncio.set_event_loop(_loop)
    task = _loop.create_task(coroutine)
    try:
        return _loop.run_until_complete(task)
    except KeyboardInterrupt:
        if not task.done():
            task.cancel()
            try:
                _loop.run_until_complete(task)
            except asyncio.CancelledError:
                pass
        raise


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
