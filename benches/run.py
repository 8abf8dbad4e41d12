"""Measures the worker against what users would pick instead, in one run, and prints a table of ratios.

    python3 benches/run.py [--quick] [--only NAME]

Subjects are measured in turn (A B A B …) and compared by their medians: absolute figures move from machine to machine,
and on a busy machine from minute to minute. Needs nothing but the standard library; peers are used where they are found.
"""

import argparse
import gc
import os
import shutil
import signal
import subprocess
import sys
import time

from compare import OURS, Bench
from rows import ROWS
from sessions import Ended, Kernel, PythonPrompt, RPrompt, Worker

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROW_LIMIT = 240


def arguments():
    parser = argparse.ArgumentParser(description="benchmarks of worker against its peers, as ratios")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller measurements, about a minute")
    parser.add_argument("--only", action="append", metavar="NAME", help="this row only, may be repeated: " + ", ".join(ROWS))
    parser.add_argument("--lang", choices=["python", "r", "all"], default="all")
    parser.add_argument("--worker", metavar="PATH", help="the binary (default: a release build of this tree)")
    parser.add_argument("--before", metavar="PATH", help="an earlier binary of worker, as one more peer")
    parser.add_argument("--python", metavar="PATH", default=sys.executable, help="the interpreter that both host")
    peers_venv = os.path.join(ROOT, ".venv-bench")
    parser.add_argument("--peers-venv", metavar="PATH", default=peers_venv, help="where Jupyter's kernels are")
    parser.add_argument("--install-peers", action="store_true", help="make that environment with pip first")
    parser.add_argument("--no-kernels", action="store_true", help="leave Jupyter's kernels out")
    options = parser.parse_args()
    for name in options.only or ():
        if name not in ROWS:
            parser.error(f"no row is called {name!r}: there are {', '.join(ROWS)}")
    return options


def build():
    """A release build of this tree; does nothing where it is up to date."""
    command = ["cargo", "build", "--release", "--manifest-path", os.path.join(ROOT, "Cargo.toml")]
    if subprocess.run(command).returncode != 0:
        sys.exit("the release build failed; --worker PATH measures a binary that is there")
    folder = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    return os.path.join(folder, "release", "worker")


def install_peers(folder):
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    packages = ["jupyter_client", "ipykernel", "xeus-python"]
    subprocess.run([os.path.join(folder, "bin", "pip"), "install", "--quiet", *packages], check=True)


def has_module(python, name):
    probe = [python, "-c", f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is None)"]
    return subprocess.run(probe, stderr=subprocess.DEVNULL).returncode == 0


def kernels(options, r):
    """Name to (Jupyter's name, language) of the kernels that are installed."""
    python = os.path.join(options.peers_venv, "bin", "python")
    if options.no_kernels:
        return {}
    if not os.path.exists(python) or not has_module(python, "jupyter_client"):
        print(f"no jupyter_client in {options.peers_venv}: kernels are left out (--install-peers makes it)")
        return {}
    found = {}
    for name, module, kernel in (("ipykernel", "ipykernel", "python3"), ("xeus-python", "xpython_launcher", "xpython")):
        if has_module(python, module):
            found[name] = (kernel, "python")
        else:
            print(f"no {name} in {options.peers_venv}: left out")
    if r:
        probe = [r, "--vanilla", "-s", "-e", "quit(status = !requireNamespace('IRkernel', quietly = TRUE))"]
        if subprocess.run(probe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
            found["IRkernel"] = ("ir", "r")
        else:
            print("no IRkernel in R: left out (Debian has it as r-cran-irkernel)")
    return found


def benches(options, worker, r):
    """One for each language that can be measured."""
    found = kernels(options, r)
    venv_python = os.path.join(options.peers_venv, "bin", "python")

    def start_kernel(name):
        return lambda: Kernel(venv_python, found[name][0], r or "")

    def kernels_of(lang):
        return {name: start_kernel(name) for name, (_, kernel_lang) in found.items() if kernel_lang == lang}

    if options.lang != "r":
        starts = {
            OURS: lambda python=options.python: Worker([worker, "--python", python]),
            "python3 -i -u": lambda: PythonPrompt(options.python, "-u"),
        }
        if options.before:
            starts["before"] = lambda: Worker([options.before, "--python", options.python])
        writers = {"python3 -i": lambda: PythonPrompt(options.python)}
        yield Bench("python", options.quick, starts | kernels_of("python"), options.python, writers)
    if options.lang != "python":
        if not r:
            print("no R: its rows are left out")
            return
        starts = {OURS: lambda: Worker([worker, "--lang", "r"]), "R on a terminal": lambda: RPrompt(r)}
        if options.before:
            starts["before"] = lambda: Worker([options.before, "--lang", "r"])
        try:
            starts[OURS]().close()
        except Ended as ended:
            print(f"this worker does not host R: its rows are left out ({ended})")
            return
        yield Bench("r", options.quick, starts | kernels_of("r"), r)


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if value % 1 else f"{value:.0f}"


WIDTHS = (34, 6, 9, 30, 9, 7, 14)


def show(*cells):
    row = [str(cell) for cell in cells]
    print("  ".join(cell.ljust(width) for cell, width in zip(row, WIDTHS, strict=False)) + "  " + row[-1], flush=True)


def show_line(line):
    ratio = f"{line.ours / line.theirs:.2f}" if line.theirs else "-"
    word = {True: "ok", False: "MISSED", None: ""}[line.ok]
    if line.is_wrong:
        word = "WRONG"
    peer = number(line.theirs) if line.theirs is not None else "-"
    show(line.metric, line.unit, number(line.ours), line.peer, peer, ratio, line.aim, word)


def too_long(_signal, _frame):
    raise TimeoutError(f"not done after {ROW_LIMIT} s")


def measure(bench, names):
    """Prints the rows; gives the number of those in which our worker did something wrong."""
    print(f"\n{bench.lang}: {bench.interpreter}")
    show("metric", "unit", "worker", "peer", "peer's", "ratio", "aim", "")
    wrong = 0
    for name in names:
        signal.alarm(ROW_LIMIT)
        try:
            for line in ROWS[name](bench):
                show_line(line)
                wrong += line.is_wrong
        except (Ended, OSError, TimeoutError) as error:
            print(f"{name}: failed: {type(error).__name__}: {error}", flush=True)
            wrong += 1
        finally:
            signal.alarm(0)
    return wrong


def main():
    options = arguments()
    if options.install_peers:
        install_peers(options.peers_venv)
    worker = os.path.abspath(options.worker) if options.worker else build()
    begun = time.monotonic()
    # All start from the same: what CPython does by default.
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]
    gc.disable()
    signal.signal(signal.SIGALRM, too_long)
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} CPUs, load {load:.1f}" + (": a busy machine, believe the ratios less" if load > 0.7 else ""))
    wrong = sum(measure(bench, options.only or list(ROWS)) for bench in benches(options, worker, shutil.which("R")))
    print(f"\n{time.monotonic() - begun:.0f} s, load {os.getloadavg()[0]:.1f}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
