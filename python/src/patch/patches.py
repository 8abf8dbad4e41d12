"""Changes to modules at their import: `getpass` and `select`, which read standard input without Python's files, and matplotlib.

Each `patch_NAME` takes the module and the session's side, the class `Bridge` of `bridge.rs`.
"""

from operator import index


def patch_getpass(module, bridge):
    """Has `getpass` read from the session. CPython's own opens /dev/tty first, which would be a developer's own terminal."""

    original = module.getpass

    def getpass(prompt="Password: ", stream=None, **options):
        if not bridge.keeps_stdin():
            return original(prompt, stream, **options)
        line = bridge.read_hidden(str(prompt))
        if line is None:
            raise EOFError
        return line

    _copy_names(getpass, original)
    getpass.__defaults__, getpass.__wrapped__ = original.__defaults__, original
    # `original` is also `unix_getpass` or `fallback_getpass` of the module, whichever fits the terminal.
    for name in ("getpass", original.__name__):
        setattr(module, name, getpass)


def _copy_names(ours, original):
    """Gives a function or class the module, names and documentation of the one that it replaces."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        if hasattr(original, name):
            setattr(ours, name, getattr(original, name))


def patch_matplotlib(module, bridge):
    """Makes the session's backend the default, unless the user has chosen one."""

    try:
        settings = module.rcParams
        # `settings["backend"]` would make pyplot choose a backend.
        chosen = dict.__getitem__(settings, "backend")
        if chosen is not module.rcsetup._auto_backend_sentinel:
            if "MPLBACKEND" in module.os.environ or not module.matplotlib_fname().startswith("/etc/"):
                return
            # A backend with windows in a file of the distribution is its default. Another one was set by an administrator.
            if chosen.lower() not in ("tkagg", "qtagg", "qt5agg", "gtk3agg", "gtk4agg", "wxagg", "macosx"):
                return
        settings["backend"] = "module://_worker_figures"
    except Exception:
        # A version of matplotlib without one of these names keeps the backend that it has.
        return


def _is_stdin(file):
    try:
        return (file if isinstance(file, int) else file.fileno()) == 0
    except (AttributeError, ValueError, OSError):
        return False


def patch_select(module, bridge):
    """Has `select`, `poll` and `epoll` ask the session whether fd 0 is readable."""

    original_select, original_poll = module.select, module.poll

    def select(*args, **options):
        if options or len(args) not in (3, 4) or not bridge.owns_stdin():
            return original_select(*args, **options)
        try:
            rlist, wlist, xlist = map(list, args[:3])
        except TypeError:
            return original_select(*args)
        timeout = args[3] if len(args) == 4 else None
        mine = [file for file in rlist if _is_stdin(file)]
        if not mine:
            return original_select(rlist, wlist, xlist, timeout)
        if timeout is not None and not isinstance(timeout, float):
            try:
                timeout = float(index(timeout))
            except TypeError:
                # CPython's own raises the error.
                return original_select((), (), (), timeout)
        if timeout is not None and not timeout >= 0:
            return original_select((), (), (), timeout)
        others = [file for file in rlist if not _is_stdin(file)]
        ready = original_select(others, wlist, xlist, 0)
        if any(ready):
            has_input = bridge.wait_readable(0, [])
        else:
            fds = [(_fileno(file), 1) for file in others]
            fds += [(_fileno(file), 4) for file in wlist] + [(_fileno(file), 2) for file in xlist]
            has_input = bridge.wait_readable(timeout, fds)
            ready = original_select(others, wlist, xlist, 0)
        readable = [file for file in rlist if (has_input and file in mine) or file in ready[0]]
        return readable, ready[1], ready[2]

    made = _wrap_poll(module, original_poll, "poll", bridge)

    def poll(*args, **options):
        return made(original_poll(*args, **options))

    bridge.replace_select(module, select, poll)
    if hasattr(module, "epoll"):
        module.epoll = _wrap_poll(module, module.epoll, "epoll", bridge)


def _fileno(file):
    return file if isinstance(file, int) else file.fileno()


def _wrap_poll(module, original, kind, bridge):
    """The class whose objects poll as those of `original` do, but with fd 0 of the session. `kind`: "poll" or "epoll"."""
    readable = module.POLLIN if kind == "poll" else module.EPOLLIN
    scale = 1000.0 if kind == "poll" else 1.0

    class Poll:
        def __init__(self, sizehint=-1, flags=0):
            self._poll = sizehint if kind == "poll" else original(sizehint, flags)
            self._stdin = None

        def register(self, fd, eventmask=None):
            args = () if eventmask is None else (eventmask,)
            if _is_stdin(fd) and bridge.owns_stdin():
                if kind == "epoll" and self._stdin is not None:
                    raise FileExistsError(17, "File exists")
                self._stdin = readable if eventmask is None else eventmask
                return None
            return self._poll.register(fd, *args)

        def modify(self, fd, eventmask):
            if _is_stdin(fd) and self._stdin is not None:
                self._stdin = eventmask
                return None
            return self._poll.modify(fd, eventmask)

        def unregister(self, fd):
            if _is_stdin(fd) and self._stdin is not None:
                self._stdin = None
                return None
            return self._poll.unregister(fd)

        def poll(self, timeout=None, *rest):
            if self._stdin is None or not self._stdin & readable:
                return self._poll.poll(timeout, *rest)
            ready = self._poll.poll(0, *rest)
            if ready:
                has_input = bridge.wait_readable(0, [])
            else:
                seconds = None if timeout is None or timeout < 0 else timeout / scale
                fds = [(self._poll.fileno(), 1)] if kind == "epoll" else self._fds
                has_input = bridge.wait_readable(seconds, fds)
                ready = self._poll.poll(0, *rest)
            return ([(0, readable)] if has_input else []) + ready

        # A `poll` object has no method that lists what is registered with it: (fd, events) each.
        _fds = ()

        def __getattr__(self, name):
            return getattr(self._poll, name)

        def __enter__(self):
            self._poll.__enter__()
            return self

        def __exit__(self, *args):
            return self._poll.__exit__(*args)

    if kind == "poll":
        register, modify, unregister = Poll.register, Poll.modify, Poll.unregister

        def note(self, fd, *eventmask):
            self._fds = tuple(pair for pair in self._fds if pair[0] != _fileno(fd))
            if eventmask and not (_is_stdin(fd) and self._stdin is not None):
                self._fds += ((_fileno(fd), *eventmask),)

        def register_poll(self, fd, eventmask=module.POLLIN | module.POLLPRI | module.POLLOUT):
            register(self, fd, eventmask)
            note(self, fd, eventmask)

        def modify_poll(self, fd, eventmask):
            modify(self, fd, eventmask)
            note(self, fd, eventmask)

        def unregister_poll(self, fd):
            unregister(self, fd)
            note(self, fd)

        Poll.register, Poll.modify, Poll.unregister = register_poll, modify_poll, unregister_poll
    else:
        Poll.fromfd = original.fromfd
    theirs = type(original()) if kind == "poll" else original
    _copy_names(Poll, theirs)
    for name, method in vars(Poll).items():
        if type(method) is type(_copy_names) and hasattr(theirs, name):
            _copy_names(method, getattr(theirs, name))
            method.__module__ = "select"
    return Poll
