"""Measuring in turn, and comparing by medians: what every row of the table is made of."""

import statistics
from dataclasses import dataclass, field


@dataclass
class Line:
    """One line of the table."""

    metric: str
    unit: str
    peer: str
    ours: float
    theirs: float | None
    aim: str = ""
    ok: bool | None = None
    is_wrong: bool = False
    """Not slow but wrong: something was lost."""


@dataclass
class Bench:
    """What the rows need: how to start each subject, and how long to measure."""

    lang: str
    quick: bool
    starts: dict
    """Name of a subject to a function that starts it; ours is first."""
    interpreter: str
    writers: dict = field(default_factory=dict)
    """The same for those that are of interest for their output alone."""

    def times(self, full, quick):
        return quick if self.quick else full

    def open(self, names=None):
        """Starts the subjects, or those of the names that there are."""
        return {name: start() for name, start in self.starts.items() if names is None or name in names}


OURS = "worker"
KERNELS = ("ipykernel", "xeus-python", "IRkernel")


def close(sessions):
    for session in sessions.values():
        session.close()


def alternate(rounds, subjects):
    """Calls each subject's function in turn, so many times; gives for each the list of its lists of samples."""
    samples = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, measure in subjects.items():
            got = measure()
            samples[name].append(got if isinstance(got, list) else [got])
    return samples


def compare(metric, unit, scale, samples, aims, is_rate=False):
    """A line for each peer. The ratio is that of the medians, of one and the same run."""
    medians = {name: statistics.median(sum(rounds, [])) * scale for name, rounds in samples.items() if rounds}
    ours = medians.pop(OURS)
    for peer, theirs in medians.items():
        line = Line(metric, unit, peer, ours, theirs)
        if peer in aims:
            limit = aims[peer]
            line.aim = f"{'>=' if is_rate else '<='} {limit:g} x"
            line.ok = ours >= limit * theirs if is_rate else ours <= limit * theirs
        yield line


def is_kernel(name):
    return name in KERNELS
