"""A host that runs many processes: what an interrupt and an end cost that must find the session's own among them."""

import contextlib
import statistics
import subprocess
import sys
import time

from compare import OURS, Line

# So many sleep beside the session, and the most that each thing may take, whatever the number. CPython looks once whether
# the interrupted child is gone, and sleeps for a millisecond if it is not: that is most of what the interrupt may take.
CROWDS = (0, 1000, 2000)
INTERRUPT_MS = 2
END_MS = 8

CELL = "import subprocess; print('gone', flush=True); subprocess.run(['sleep', '100'])"


@contextlib.contextmanager
def crowd(size):
    """So many processes that sleep, none of them of a session: children of a program of their own."""
    code = f"import subprocess, sys\nall = [subprocess.Popen(['sleep', '1000']) for _ in range({size})]\nprint(flush=True)\n" \
        "sys.stdin.read()\nfor one in all: one.kill()"
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    parent.stdout.readline()
    try:
        yield
    finally:
        parent.communicate()


def interrupts(start, rounds):
    session = start()
    try:
        for _ in range(rounds):
            session.begin(CELL, b"gone")
            time.sleep(0.03)  # Until the child runs its program.
            yield session.interrupt()
    finally:
        session.close()


def ends(start, rounds):
    for _ in range(rounds):
        session = start()
        begun = time.perf_counter()
        session.socket.sendall(b'{"type":"shutdown"}\n')
        session.process.wait()
        yield time.perf_counter() - begun
        session.close()


def crowded(bench):
    """An interrupt of a cell that waits for a child, and an idle shutdown until the process is gone."""
    if bench.lang != "python":
        return
    start = bench.starts[OURS]
    alone = {}
    for size in CROWDS:
        with crowd(size):
            for what, measure, most in (("interrupt of a child", interrupts, INTERRUPT_MS), ("idle shutdown", ends, END_MS)):
                took = statistics.median(measure(start, bench.times(30, 10))) * 1e3
                few = alone.setdefault(what, took)
                yield Line(f"{what}, {size} others", "ms", "no others", took, few, f"<= {most}", took <= most)
