"""Pictures: the matplotlib backend of a session, which gives figures to the supervisor."""

import gc
import io
import itertools
import sys
import threading
from time import perf_counter

import matplotlib
from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

_bridge = None
_serials = itertools.count(1)
# When the last collection ended, and what it cost.
_collected = (0.0, 0.0)


def backend(bridge):
    """What the backend's module holds."""
    global _bridge
    _bridge = bridge
    for kind in (FigureManager, FigureCanvas):
        kind.__module__ = "_worker_figures"
    return {"FigureCanvas": FigureCanvas, "FigureManager": FigureManager, "show": FigureManager.pyplot_show}


class FigureManager(FigureManagerBase):
    """Knows of one figure of pyplot's which cell made it, which have changed it, and what was shown of it."""

    def __init__(self, canvas, num):
        super().__init__(canvas, num)
        self._serial = next(_serials)
        self._made_in = _bridge.cell()
        self._changed_in = set()
        self._was_tried = False
        self._has_failed = False
        # What was shown last.
        self._digest = None
        # The thread in which we draw.
        self._drawn_by = None
        # For figure_refs.py: parts that somebody holds, and how often they were referred to.
        self._held_parts = self._held_counts = ()

    def show(self):
        """Shows the figure if it has changed since it was shown."""
        if not self._was_tried or self._changed_in or not self._is_watched():
            self._draw()

    @classmethod
    def pyplot_show(cls, *, block=None):
        """Shows every open figure. One that blocks closes, as if by the user, those of this cell that nobody holds."""
        for manager in _managers():
            manager.show()
        manager = None
        if not matplotlib.is_interactive() if block is None else block:
            cell = _bridge.cell()
            _close_unheld([num for num, manager in list(Gcf.figs.items()) if _is_ours(manager) and manager._made_in == cell])

    def _belongs_to(self, cell):
        """Whether the cell has something new to show of it."""
        if not self._was_tried:
            return self._made_in == cell or cell in self._changed_in
        return cell in self._changed_in or (not self._is_watched() and self.canvas.figure.stale)

    def _draw(self):
        was_shown = self._digest is not None
        self._was_tried = self._has_failed = True
        self._changed_in.clear()
        self._watch()
        self._drawn_by = threading.get_ident()
        try:
            target = io.BytesIO()
            self.canvas.print_png(target)
        finally:
            self._drawn_by = None
        self._has_failed = False
        png = target.getvalue()
        # A figure that was drawn for another reason, such as savefig, may count as changed and look the same.
        digest = hash(png)
        if digest != self._digest:
            self._digest = digest
            # The size stands at the head of every PNG.
            size = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
            _bridge.image(png, f"figure-{self._serial}", was_shown, size)

    def _is_watched(self):
        return isinstance(self.canvas.figure.stale_callback, _Watch)

    def _watch(self):
        """Notes from now on which cell changes the figure. pyplot sets a callback of its own after it has made one."""
        if not self._is_watched():
            figure = self.canvas.figure
            figure.stale_callback = _Watch(self, figure.stale_callback)


class FigureCanvas(FigureCanvasAgg):
    """Draws as Agg does. What a window would draw once it is idle is drawn at the end of the cell."""

    manager_class = FigureManager

    def draw_idle(self, *args, **kwargs):
        pass


class _Watch:
    """What a figure calls when something of it has changed."""

    __slots__ = ("manager", "original")

    def __init__(self, manager, original):
        self.manager = manager
        self.original = original

    def __call__(self, figure, is_stale):
        if is_stale and self.manager._drawn_by != threading.get_ident():
            self.manager._changed_in.add(_bridge.cell())
        if self.original is not None:
            self.original(figure, is_stale)


def _is_ours(manager):
    return type(manager) is FigureManager


def _managers():
    """Our open figures, in the order in which they were made."""
    return sorted(filter(_is_ours, list(Gcf.figs.values())), key=lambda manager: manager._serial)


def finish_cell(cell):
    """Shows what the cell has drawn or changed, and closes what nobody holds. Raises the first error at the end."""
    error = None
    try:
        for manager in _managers():
            if manager._belongs_to(cell):
                try:
                    manager._draw()
                except Exception as failure:
                    failure.__traceback__ = failure.__traceback__.tb_next
                    if error is None:
                        error = failure
                    else:
                        sys.excepthook(type(failure), failure, failure.__traceback__)
            manager._watch()
    except BaseException:
        # Interrupted: what is not drawn by now never will be.
        for manager in _managers():
            if manager._belongs_to(cell):
                manager._was_tried = manager._has_failed = True
        raise
    finally:
        manager = None
        _close_unheld([num for num, manager in list(Gcf.figs.items()) if _is_ours(manager)])
    if error is not None:
        raise error


def _close_unheld(numbers):
    """Closes the figures of these numbers that were shown and that nobody holds."""
    has_closed = False
    for number in numbers:
        manager = Gcf.figs.get(number)
        if not _is_ours(manager) or not manager._was_tried:
            continue
        if manager._has_failed:
            # The error's own frames have it, so only a name tells.
            is_wanted = is_in_main(manager)
        else:
            manager = None
            is_wanted = is_held(number)
        if not is_wanted:
            manager = Gcf.figs[number]
            Gcf.destroy(manager)
            # The pixels go at once; the rest is a cycle, for the collector.
            vars(manager.canvas).pop("renderer", None)
            manager.canvas._lastKey = None
            has_closed = True
        manager = None
    if has_closed:
        _collect_within_reason()


def _collect_within_reason():
    """Frees what was closed, with the data that it shows, in at most a tenth of the time."""
    global _collected
    start = perf_counter()
    ended, cost = _collected
    if gc.isenabled() and start - ended >= 9 * cost:
        gc.collect()
        ended = perf_counter()
        _collected = (ended, ended - start)
