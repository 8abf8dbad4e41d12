"""Shows what a supervisor sees of a Python and of an R session; `examples/demo.sh` runs it.

    python3 examples/demo.py WORKER [PYTHON]

Plots are saved to `target/demo`. The exit status says whether everything came as it should.
"""

import base64
import os
import sys
import time

from worker_client import Worker, text_of

PYTHON = {
    "name": "Python",
    "cells": [
        ("1 + 1", "ok"),
        ("for word in ['out', 'put']:\n    print(word)", "ok"),
        ("name = input('Your name? ')\nprint('Hello,', name)", "ok"),
        ("def half(x):\n    return x / 0\n\nhalf(3)", "error"),
        ("while True: pass  # until the interrupt", "interrupted"),
        ("import matplotlib.pyplot as plt\nplt.plot([3, 1, 2])\nplt.title('from Python')\nNone", "ok"),
    ],
    "bye": "import atexit\n_ = atexit.register(print, 'Good-bye from atexit.')",
}
R = {
    "name": "R",
    "cells": [
        ("1 + 1", "ok"),
        ("for (word in c('out', 'put')) cat(word, '\\n')", "ok"),
        ("name <- readline('Your name? ')\ncat('Hello,', name, '\\n')", "ok"),
        ("half <- function(x) stop('no half of ', x)\nhalf(3)", "error"),
        ("repeat {}  # until the interrupt", "interrupted"),
        ("plot(c(3, 1, 2), type = 'l', main = 'from R')", "ok"),
    ],
    "bye": "invisible(reg.finalizer(globalenv(), function(e) cat('Good-bye from a finalizer.\\n'), onexit = TRUE))",
}
FOLDER = os.path.join("target", "demo")


def indented(text, mark):
    return "".join("%s %s\n" % (mark, line) for line in text.splitlines())


def show(event):
    """Prints an event as a notebook might."""
    if event["type"] == "output_text":
        mark = {"result": "  =", "traceback": "  !"}.get(event.get("role"), "  |")
        print(indented(text_of(event), mark), end="")
    elif event["type"] == "output_image":
        path = os.path.join(FOLDER, "%s-%s.png" % (event.get("id"), int(time.time() * 1000)))
        with open(path, "wb") as file:
            file.write(base64.b64decode(event["data_b64"]))
        print("  [a plot of %s x %s pixels: %s]" % (event.get("width"), event.get("height"), path))


def run(worker, id, code, wanted):
    """Runs one cell; answers what it asks, and stops what would not end."""
    print("\n" + indented(code, ">"), end="")
    worker.cell(code, id=id)
    plots = 0
    if wanted == "interrupted":
        time.sleep(0.3)
        print("  (interrupting)")
        worker.interrupt()
    for event in worker:
        show(event)
        if event["type"] == "output_image":
            plots += 1
        elif event["type"] == "input_wait":
            print("  ? %sAda" % event["prompt"])
            worker.stdin("Ada", reader=event["reader"])
        elif event["type"] == "ready" and event.get("id") == id:
            print("  -> %s after %.1f ms" % (event["outcome"], event["elapsed_ms"]))
            return event["outcome"] == wanted and (plots == 1 or "plot" not in code)


def session(demo, **options):
    print("\n===== %s =====" % demo["name"])
    with Worker(**options) as worker:
        fine = [run(worker, "cell-%d" % n, *cell) for n, cell in enumerate(demo["cells"], 1)]
        fine.append(run(worker, "bye", demo["bye"], "ok"))
        print("\n(shutting down)")
        worker.send(type="shutdown")
        for event in worker:
            show(event)
        ending = worker.wait(10)
        print("ended:", ending)
        return all(fine) and ending.reason == "shutdown"


def main(binary, python=None):
    os.makedirs(FOLDER, exist_ok=True)
    arguments = ["--python", python] if python else []
    ok = session(PYTHON, lang="python", program=binary, args=arguments)
    ok = session(R, lang="r", program=binary) and ok
    print("\nEverything came as it should." if ok else "\nSomething did NOT come as it should: see above.")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
