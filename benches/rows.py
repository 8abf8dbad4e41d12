"""What is measured: each row runs our worker and its peers in turn and yields one line of the table for each peer."""

import os
import subprocess
import tempfile
import time

from compare import OURS, Line, alternate, close, compare, is_kernel
from cpu import cpu_of, cpu_of_command
from crowd import crowded
from sessions import Echo, Ended, Zeros, seconds_of

MIB = 1 << 20


# Start and round trips


def spawn(bench):
    """From the start of the process to the first `ready`, against the whole life of an interpreter that does nothing."""
    nothing = PASS[bench.lang]

    def startup(start):
        session = start()
        session.close()
        return session.startup

    subjects = {name: lambda start=start: startup(start) for name, start in bench.starts.items() if not is_kernel(name)}
    subjects[" ".join(nothing)] = lambda: seconds_of([bench.interpreter, *nothing])
    samples = alternate(bench.times(25, 8), subjects)
    kernels = {name: start for name, start in bench.starts.items() if is_kernel(name)}
    samples |= alternate(bench.times(5, 1), {name: lambda start=start: startup(start) for name, start in kernels.items()})
    aims = {" ".join(nothing): 1.15 if bench.lang == "python" else 1.1}
    yield from compare("spawn to ready", "ms", 1e3, samples, aims)


PASS = {"python": ["-c", "pass"], "r": ["--vanilla", "-s", "-e", "invisible()"]}


def bare_spawn(bench):
    """The same in an environment without packages, whose start-up files would hide the difference."""
    if bench.lang != "python":
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([bench.interpreter, "-m", "venv", "--without-pip", folder], check=True)
        python = os.path.join(folder, "bin", "python3")
        start = bench.starts[OURS]

        def startup():
            session = start(python)
            session.close()
            return session.startup

        nothing = "-c pass"
        subjects = {OURS: startup, nothing: lambda: seconds_of([python, "-c", "pass"])}
        samples = alternate(bench.times(40, 12), subjects)
    yield from compare("spawn to ready, bare venv", "ms", 1e3, samples, {nothing: 1.15})


def start_cpu(bench):
    """The processor time to the first `ready`, also of the system's own Python, which has its library within and is executed."""
    if bench.lang != "python":
        return
    system = "/usr/bin/python3"
    pythons = [bench.interpreter]
    if os.path.exists(system) and os.path.realpath(system) != os.path.realpath(bench.interpreter):
        pythons.append(system)
    start = bench.starts[OURS]
    for python in pythons:

        def startup(python=python):
            session = start(python)
            seconds = cpu_of(session.process.pid)
            session.close()
            return seconds

        nothing = "-c pass"
        subjects = {OURS: startup, nothing: lambda python=python: cpu_of_command([python, "-c", "pass"])}
        samples = alternate(bench.times(100, 20), subjects)
        metric = "CPU to ready" + (", system's Python" if python == system else "")
        yield from compare(metric, "ms", 1e3, samples, {nothing: 1.1})


def placed(bench, ours, theirs, names):
    """Starts the subjects on the processors `theirs` and runs the client on `ours`; gives what puts all back as well."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, theirs)
    sessions = bench.open(names)
    floor = "echo process"
    if bench.lang == "python":
        sessions[floor] = Echo(bench.interpreter)
    os.sched_setaffinity(0, ours)

    def back():
        os.sched_setaffinity(0, before)
        close(sessions)

    return sessions, back


def trips(bench, metric, action, aims):
    """Round trips with client and session on a processor each, on one together, and for kernels as they come."""
    processors = sorted(os.sched_getaffinity(0))
    rounds, count = bench.times(12, 4), bench.times(300, 150)
    prompts = [name for name in bench.starts if not is_kernel(name)]
    places = [("a CPU each", processors[:1], processors[1:2]), ("one CPU", processors[:1], processors[:1])]
    for place, ours, theirs in places:
        if not theirs:
            continue
        sessions, back = placed(bench, ours, theirs, prompts)
        try:
            subjects = {name: lambda s=session: action(s, count) for name, session in sessions.items()}
            alternate(1, subjects)
            samples = alternate(rounds, subjects)
        finally:
            back()
        yield from compare(f"{metric}, {place}", "us", 1e6, samples, aims)
    kernels = [name for name in bench.starts if is_kernel(name)]
    if kernels:
        sessions = bench.open([OURS, *kernels])
        try:
            subjects = {name: lambda s=session: action(s, 10) for name, session in sessions.items()}
            samples = alternate(bench.times(6, 2), subjects)
        finally:
            close(sessions)
        yield from compare(f"{metric}, any CPU", "us", 1e6, samples, {})


def round_trip(bench):
    aims = {"python3 -i -u": 1.2} if bench.lang == "python" else {}
    yield from trips(bench, "1+1", lambda s, count: [s.run("1+1") for _ in range(count)], aims)


def input_trip(bench):
    code = {
        "python": "for _ in range({}): input('p> ')",
        "r": "for (i in 1:{}) readline('p> ')",
    }[bench.lang]
    aims = {"python3 -i -u": 1.2} if bench.lang == "python" else {}
    name = {"python": "input()", "r": "readline()"}[bench.lang]
    yield from trips(bench, name, lambda s, count: s.answers(code.format(count), count), aims)


def limited(line, most):
    """The line with a limit in milliseconds of its own, told once, beside the plain interpreter."""
    if not is_kernel(line.peer):
        line.aim, line.ok = f"<= {most:g} ms", line.ours <= most
    return line


def first_output(bench):
    """How soon a line is seen that is followed by a long sleep."""
    code = {
        "python": "import time; print('fir' + 'st'); time.sleep(20)",
        "r": "{cat('fir', 'st', sep=''); cat('\\n'); Sys.sleep(20)}",
    }[bench.lang]
    sessions = bench.open()

    def measure(session):
        seconds = session.begin(code, b"first")
        session.interrupt()
        return seconds

    names = [name for name in sessions if name not in SLOW]
    try:
        samples = alternate(bench.times(12, 4), {name: lambda s=sessions[name]: measure(s) for name in names})
    finally:
        close(sessions)
    for line in compare("first output before a sleep", "ms", 1e3, samples, {}):
        yield limited(line, 5)


# Output


LINE = "x" * 79


def setup(session, lang, size):
    if lang == "python":
        session.run(f"import sys; s = 'x' * 79; big = (s + chr(10)) * ({size} // 80)")
    else:
        session.run(f"{{s <- strrep('x', 79); big <- strrep(paste0(s, '\\n'), {size} %/% 80); invisible()}}")


def throughput(bench, metric, code, expected, aims, sizes):
    """`code` is a format of the size in bytes; `expected` gives what it prints."""
    sessions = bench.open() | {name: start() for name, start in bench.writers.items()}
    lost = {}
    # Nobody waits minutes for a slow peer: it gets less to do, and speed is compared.
    size_of = {name: (sizes[1] if is_kernel(name) else sizes[0]) // (10 if name in SLOW else 1) for name in sessions}

    def measure(name, session):
        size = size_of[name]
        want = expected(size)
        seconds = session.run(code.format(size=size))
        got = session.received()
        lost[name] = max(lost.get(name, 0), 1 - got / len(want))
        if name == OURS and session.output() != want:
            lost[name] = max(lost[name], 1e-9)
        return max(got, 1) / seconds

    try:
        for name, session in sessions.items():
            setup(session, bench.lang, size_of[name])
        prompts = {name: lambda n=name, s=session: measure(n, s) for name, session in sessions.items() if not is_kernel(name)}
        kernels = {name: lambda n=name, s=session: measure(n, s) for name, session in sessions.items() if is_kernel(name)}
        samples = alternate(bench.times(5, 3), prompts)
        samples |= alternate(bench.times(2, 1), kernels)
        if bench.lang == "python" and "one write" in metric:
            samples["head -c, a pipe"] = [[sizes[0] / Zeros().run(sizes[0])] for _ in range(3)]
    finally:
        close(sessions)
    for line in compare(metric, "MiB/s", 1 / MIB, samples, aims, is_rate=True):
        if lost.get(line.peer, 0) > 0.0005:
            line.peer += f" (loses {lost[line.peer]:.1%})"
        yield line
    if lost[OURS] > 0:
        yield Line(f"{metric}: lost or changed", "%", "", lost[OURS] * 100, None, "0", False, is_wrong=True)


# An interrupt ends the first, and the second says nothing before the end of a cell.
SLOW = ("xeus-python", "IRkernel")


def lines_of(size):
    return (LINE + "\n").encode() * (size // 80)


def small_prints(bench):
    sizes = (64 * MIB, 16 * MIB) if not bench.quick else (16 * MIB, 2 * MIB)
    code = {
        "python": "for i in range({size} // 80): print(s)",
        # A loop over `cat` spends its time in `cat`, which is R's own; the row of numbers has that.
        "r": "writeLines(rep(s, {size} %/% 80))",
    }[bench.lang]
    aims = {"python3 -i -u": 2, "ipykernel": 4, "R on a terminal": 2}
    yield from throughput(bench, f"{sizes[0] // MIB} MiB in 80-byte lines", code, lines_of, aims, sizes)


def one_write(bench):
    sizes = (64 * MIB, 64 * MIB) if not bench.quick else (64 * MIB, 16 * MIB)
    code = {"python": "_ = sys.stdout.write(big)", "r": "cat(big)"}[bench.lang]
    aims = {"python3 -i -u": 0.9, "python3 -i": 0.9}
    yield from throughput(bench, f"{sizes[0] // MIB} MiB in one write", code, lines_of, aims, sizes)


def print_numbers(bench):
    count, few = bench.times((200_000, 100_000), (50_000, 10_000))
    code = {
        "python": "for i in range({size}): print(i)",
        "r": "for (i in 0:({size} - 1)) cat(i, '\\n')",
    }[bench.lang]
    end = {"python": "\n", "r": " \n"}[bench.lang]

    def expected(size):
        return "".join(f"{i}{end}" for i in range(size)).encode()

    name = {"python": "print(i)", "r": "cat(i, '\\n')"}[bench.lang]
    aims = {"python3 -i -u": 1.9, "python3 -i": 1.9, "R on a terminal": 2}
    yield from throughput(bench, f"{count:,} {name}", code, expected, aims, (count, few))


# Interrupts, memory, a client that stalls


def interrupts(bench):
    cells = {
        "python": {
            "a busy loop": "import time; print('gone'); exec('while True: pass')",
            "a sleep": "import time; print('gone'); time.sleep(20)",
        },
        "r": {
            "a busy loop": "{cat('gone\\n'); repeat {}}",
            "a sleep": "{cat('gone\\n'); Sys.sleep(20)}",
        },
    }[bench.lang]
    names = [name for name in bench.starts if name not in SLOW]
    for what, code in cells.items():
        sessions = bench.open(names)

        def measure(session, code=code):
            session.begin(code, b"gone")
            time.sleep(0.02)  # Well into the loop or the sleep, and past the flush of what was printed.
            return session.interrupt()

        try:
            subjects = {name: lambda s=session: measure(s) for name, session in sessions.items()}
            samples = alternate(bench.times(15, 5), subjects)
        finally:
            close(sessions)
        for line in compare(f"interrupt of {what}", "ms", 1e3, samples, {}):
            yield limited(line, 0.5)


def memory(bench):
    """Idle, and after 64 MiB of output; the limits are differences to the plain interpreter, so they hold on every machine."""
    sessions = bench.open()
    try:
        for session in sessions.values():
            session.run("1+1")
        time.sleep(0.3)
        idle = {name: session.memory() for name, session in sessions.items()}
        code = {"python": "for i in range(64 * 13107): print('x' * 79)", "r": "for (i in 1:838860) cat('" + LINE + "\\n')"}
        for name, session in sessions.items():
            if name not in SLOW:
                session.run(code[bench.lang])
        time.sleep(0.3)
        after = {name: session.memory() for name, session in sessions.items()}
    finally:
        close(sessions)
    ours, threads = idle[OURS]
    plain = {"python": "python3 -i -u", "r": "R on a terminal"}[bench.lang]
    for name, (theirs, their_threads) in idle.items():
        if name != OURS:
            limit = "<= plain + 4" if name == plain and bench.lang == "python" else ""
            yield Line("memory idle", "MiB", name, ours, theirs, limit, ours <= theirs + 4 if limit else None)
            limit = "<= 5" if name == plain else ""
            yield Line("threads", "", name, threads, their_threads, limit, threads <= 5 if limit else None)
    # What the runtime itself keeps for later, it keeps with us too.
    limit = ours + 4 + max(0, after[plain][0] - idle[plain][0])
    grown = after[OURS][0]
    yield Line("memory after 64 MiB of output", "MiB", "itself idle", grown, ours, "<= plain's + 4", grown <= limit)
    for name, (theirs, _) in after.items():
        if name != OURS and name not in SLOW:
            yield Line("memory after 64 MiB of output", "MiB", name, grown, theirs)


def stalled_client(bench):
    """The client reads nothing for a while amid output: everything arrives all the same, and little is held meanwhile."""
    seconds = bench.times(8, 2)
    size = bench.times(64, 16) * MIB
    want = lines_of(size)
    code = {
        "python": f"for i in range({size // 80}): print('x' * 79)",
        "r": f"for (i in 1:{size // 80}) cat('{LINE}\\n')",
    }[bench.lang]
    sessions = bench.open([OURS])
    session = sessions[OURS]
    try:
        session.run("1+1")
        before, _ = session.memory()
        held = session.stall(code, seconds)
        is_whole = session.output() == want
        lost = len(want) - session.received()
    finally:
        close(sessions)
    yield Line(f"client stalls {seconds} s: bytes lost", "", "", lost, None, "0", is_whole, is_wrong=not is_whole)
    yield Line(f"client stalls {seconds} s: memory", "MiB", "itself idle", held, before, "<= idle + 16", held <= before + 16)
    for name, start in bench.starts.items():
        if not is_kernel(name) or name in SLOW:
            continue
        peer = start()
        try:
            got = peer.stall(code, seconds)
        except Ended:
            continue
        finally:
            peer.close()
        yield Line(f"client stalls {seconds} s: bytes lost", "", name, lost, len(want) - got)


ROWS = {
    "spawn": spawn,
    "bare-spawn": bare_spawn,
    "start-cpu": start_cpu,
    "round-trip": round_trip,
    "input": input_trip,
    "first-output": first_output,
    "prints": small_prints,
    "one-write": one_write,
    "numbers": print_numbers,
    "interrupt": interrupts,
    "crowd": crowded,
    "memory": memory,
    "stall": stalled_client,
}
