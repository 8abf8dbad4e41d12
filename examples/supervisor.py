"""A complete supervisor in Python: a cell, its output, an answer to its question, an interrupt, the end.

Run it as `python3 examples/supervisor.py [python|r]`, with `worker` on PATH or in the variable WORKER.
"""

import sys

from worker_client import Worker, text_of

CELLS = {
    "python": ("name = input('who? ')\nprint('hello', name)", "print('spinning')\nwhile True: pass"),
    "r": ("name <- readline('who? ')\ncat('hello', name, '\\n')", "cat('spinning\\n')\nrepeat {}"),
}
lang = sys.argv[1] if len(sys.argv) > 1 else "python"
greet, spin = CELLS[lang]

with Worker(lang) as worker:
    worker.cell(greet, id="greet")
    worker.cell(spin, id="spin")
    for event in worker:
        if event["type"] == "output_text":
            text = text_of(event)
            print(text, end="")
            if "spinning" in text:  # It would spin for ever.
                worker.interrupt()
        elif event["type"] == "input_wait":
            print("asked %r, answering Ada" % event["prompt"])
            worker.stdin("Ada", reader=event["reader"])
        elif event["type"] == "ready" and "outcome" in event:
            print("%s: %s" % (event["id"], event["outcome"]))
            if event["id"] == "spin":
                break
    print("ended:", worker.shutdown())
