"""A supervisor's side of `worker` in one file: standard library only, Python 3.8 and newer.

    from worker_client import Worker, text_of

    with Worker(lang="python") as worker:
        worker.cell("print('hello', input('who? '))", id="greet")
        for event in worker:
            if event["type"] == "output_text":
                print(text_of(event), end="")
            elif event["type"] == "input_wait":
                worker.stdin("Ada", reader=event["reader"])
            elif event["type"] == "ready" and event.get("id") == "greet":
                break
        print(worker.shutdown())

Events are the protocol's messages as dictionaries, in the order in which the worker said them. A thread reads
them, so none is lost while the program does something else; beyond `backlog` of them the worker waits.
"""

import base64
import collections
import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import threading
import time

CLOSED = object()


class Refused(Exception):
    """The worker answered a request with an error; `code` is the protocol's."""

    def __init__(self, error):
        super().__init__("%s (%s)" % (error.get("message"), error.get("code")))
        self.code, self.data = error.get("code"), error.get("data")


class Ending(collections.namedtuple("Ending", "reason detail last returncode")):
    """How a session ended.

    `reason` is one of "shutdown" (detail: "forced" if it was), "exit" (detail: the code that the user's code asked
    for), "vanished" (the process ended without a word; detail: its status), "signal" (detail: the signal's name),
    "startup_failed" (detail: why), "out_of_memory", "killed" (by this supervisor; detail: the signal's name) or
    "protocol_error". `last` is the `session_end` event or None.
    """

    def __str__(self):
        return self.reason if self.detail is None else "%s: %s" % (self.reason, self.detail)


def text_of(event):
    """The text of an `output_text`; bytes that are not UTF-8 come with replacement characters."""
    if "text" in event:
        return event["text"]
    return base64.b64decode(event.get("data_b64", "")).decode("utf-8", "replace")


class Worker:
    """A running worker. Leaving its `with` block ends it, by force if need be."""

    def __init__(self, lang="python", args=(), program=None, transport="socket", backlog=1024, **popen):
        """Starts `program` (else $WORKER, else `worker` on PATH) with further `args`.

        `transport` is "socket", "pipes" or "stdio"; what `popen` says goes to subprocess.Popen (env, cwd, stderr).
        """
        program = program or os.environ.get("WORKER") or shutil.which("worker") or "worker"
        command = [program, "--lang", lang, *args]
        # A session of its own: a kill takes the children too, and Ctrl-C in our terminal does not reach it.
        popen = dict(popen, start_new_session=True)
        self._events = queue.Queue(backlog)
        self._stash = collections.deque()
        self._lock = threading.Lock()
        self._last, self._started, self._sent, self._requests, self._socket = None, False, None, 0, None
        if transport == "stdio":
            popen.update(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.process = subprocess.Popen([*command, "--ipc", "stdio"], **popen)
            self._out, self._in = self.process.stdin, self.process.stdout
        else:
            popen = dict({"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}, **popen)
            if transport == "socket":
                self._socket, theirs = socket.socketpair()
                their_fds = [theirs.detach()]
                self._out, self._in = self._socket.makefile("wb"), self._socket.makefile("rb")
            else:
                requests, to_worker = os.pipe()
                from_worker, events = os.pipe()
                their_fds = [requests, events]
                self._out, self._in = os.fdopen(to_worker, "wb"), os.fdopen(from_worker, "rb")
            fds = ",".join(map(str, their_fds))
            try:
                self.process = subprocess.Popen([*command, "--ipc-fd", fds], pass_fds=their_fds, **popen)
            finally:
                for fd in their_fds:
                    os.close(fd)
        self._oom_file, self._oom_before = _watch_memory(self.process.pid)
        threading.Thread(target=self._read, name="worker-events", daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.shutdown(0 if error[0] else 2000)

    def _read(self):
        try:
            for line in self._in:
                if line.strip():
                    self._events.put(json.loads(line))
        except ConnectionResetError:
            pass  # It ended before it had read all that was sent; what it said has come.
        self._events.put(CLOSED)

    # What a supervisor sends.

    def send(self, **message):
        """Sends one message of the protocol; fields that are None are left out."""
        line = json.dumps({key: value for key, value in message.items() if value is not None}) + "\n"
        with self._lock:
            self._out.write(line.encode())
            self._out.flush()

    def cell(self, code, id=None, timeout_ms=None):
        """Runs one complete cell, after those that are queued."""
        self.send(type="input_batch", to="cell", input=code, id=id, timeout_ms=timeout_ms)

    def stdin(self, text, reader=None, id=None, eof=None):
        """Gives standard input: to a wait (`reader`), to a cell (`id`), else to the oldest wait."""
        self.send(type="input_batch", to="stdin", input=text, reader=reader, id=id, eof=eof)

    def input(self, text):
        """Gives text that the session's state routes: the answer of the running cell's wait, else a cell."""
        self.send(type="input_batch", input=text)

    def interrupt(self, id=None):
        """Stops what runs and discards the queue; with `id`, stops that cell alone."""
        self.send(type="interrupt", id=id)

    def close_requests(self):
        """Ends the request side: the worker finishes what is queued within its grace, and ends."""
        with self._lock:
            if self._socket:
                self._socket.shutdown(socket.SHUT_WR)
            else:
                self._out.close()

    def call(self, method, params=None, timeout=60):
        """Asks and returns the result; raises Refused for an error. Events that come meanwhile are kept."""
        self._requests += 1
        id = "call-%d" % self._requests
        self.send(jsonrpc="2.0", id=id, method=method, params=params or {})
        deadline = time.monotonic() + timeout
        while True:
            event = self._pull(deadline)
            if event is CLOSED:
                raise EOFError("the worker ended before it answered")
            if "jsonrpc" in event and event.get("id") == id:
                if "error" in event:
                    raise Refused(event["error"])
                return event.get("result")
            self._stash.append(event)

    # What a worker says.

    def recv(self, timeout=None):
        """The next event, or None when the worker has said its last; raises TimeoutError."""
        if self._stash:
            return self._stash.popleft()
        event = self._pull(None if timeout is None else time.monotonic() + timeout)
        return None if event is CLOSED else event

    def __iter__(self):
        return iter(self.recv, None)

    def _pull(self, deadline):
        try:
            event = self._events.get(timeout=None if deadline is None else max(0, deadline - time.monotonic()))
        except queue.Empty:
            raise TimeoutError("no event came in time") from None
        if event is CLOSED:
            self._events.put(CLOSED)  # Whoever asks again is told again.
            return event
        kind = event.setdefault("type", "response")
        self._started |= kind == "ready"
        if kind == "session_end":
            self._last = event
        return event

    # The end.

    def shutdown(self, grace_ms=2000):
        """Asks for the end; after twice the grace sends SIGTERM, then SIGKILL to the process group; tells how it
        ended. Events that come meanwhile stay to be received."""
        # On an error it has hung up already, or the request side is closed.
        with contextlib.suppress(OSError, ValueError):
            self.send(type="shutdown", grace_ms=grace_ms)
        ending = self.wait(grace_ms / 500 + 1)
        if not ending:
            self._sent = signal.SIGTERM
            os.kill(self.process.pid, signal.SIGTERM)
            ending = self.wait(1)
        return ending or self.kill()

    def kill(self):
        """Kills the process group at once and tells how it ended."""
        if self.process.poll() is None:
            self._sent = signal.SIGKILL
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.wait(5)

    def wait(self, timeout=None):
        """Waits for the end; an Ending, or None if it has not come in time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while True:
                event = self._pull(deadline)
                if event is CLOSED:
                    break
                self._stash.append(event)
            code = self.process.wait(None if deadline is None else max(0, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            return None
        reason, detail = self._reason(code)
        return Ending(reason, detail, self._last, code)

    def _reason(self, code):
        said = (self._last or {}).get("reason")
        message = (self._last or {}).get("message")
        if code < 0:
            name = signal.Signals(-code).name
            if self._sent == -code:
                return "killed", name
            starved = code == -signal.SIGKILL and _oom_kills(self._oom_file) > self._oom_before
            return ("out_of_memory", None) if starved else ("signal", name)
        if said == "runtime_exit":
            return "exit", self._last.get("exit_code", code)
        if said == "shutdown":
            return said, message if message == "forced" else None
        if said in ("startup_failed", "protocol_error"):
            return said, message
        return ("vanished", code) if self._started else ("startup_failed", "status %d, see its stderr" % code)


def _watch_memory(pid):
    """The file that counts kills for want of memory, of the worker's control group or the machine, and its count."""
    path = "/proc/vmstat"
    try:
        with open("/proc/%d/cgroup" % pid) as file:
            group = next(line[3:].strip().lstrip("/") for line in file if line.startswith("0::"))
        events = os.path.join("/sys/fs/cgroup", group, "memory.events")
        path = events if os.path.exists(events) else path
    except (OSError, StopIteration):
        pass
    return path, _oom_kills(path)


def _oom_kills(path):
    try:
        with open(path) as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    except OSError:
        return 0
