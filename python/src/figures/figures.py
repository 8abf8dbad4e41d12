"""Pictures: the matplotlib backend of a session, which sends figures to the supervisor as PNG."""

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
# When the last collection ended, and how long it took, in seconds.
_collected = (0.0, 0.0)


def backend(bridge):
    """The names of the backend's module. `bridge`: the session's side, the class `Pictures` of `backend.rs`."""
    global _bridge
    _bridge = bridge
    for kind in (FigureManager, FigureCanvas):
        kind.__module__ = "_worker_figures"
    return {"FigureCanvas": FigureCanvas, "FigureManager": FigureManager, "show": FigureManager.pyplot_show}


class FigureManager(FigureManagerBase):
    """Records for one figure of pyplot's which cell made it, which cells have changed it, and what was shown of it."""

    def __init__(self, canvas, num):
        super().__init__(canvas, num)
        self._serial = next(_serials)
        self._made_in = _bridge.cell()
        self._changed_in = set()
        self._was_tried = False
        self._has_failed = False
        # The hash of the PNG that was shown last.
        self._digest = None
        # The thread that draws the figure for the session at the moment.
        self._drawn_by = None
        # For figure_refs.py: the parts that had references from outside at the last search, and their reference counts.
        self._referenced_parts = self._part_counts = ()

    def show(self):
        """Shows the figure if it has changed since it was shown."""
        if not self._was_tried or self._changed_in or not self._is_watched():
            self._draw()

    @classmethod
    def pyplot_show(cls, *, block=None):
        """Shows every open figure. A call that blocks in other backends closes the figures of this cell that nothing refers to,
        as a user who closes the windows would."""
        for manager in _managers():
            manager.show()
        manager = None
        if not matplotlib.is_interactive() if block is None else block:
            cell = _bridge.cell()
            _close_unreferenced(
                [num for num, manager in list(Gcf.figs.items()) if _is_ours(manager) and manager._made_in == cell]
            )

    def _belongs_to(self, cell):
        """Whether the cell of this number made or changed the figure since it was shown."""
        if not self._was_tried:
            return self._made_in == cell or cell in self._changed_in
        return cell in self._changed_in or (not self._is_watched() and self.canvas.figure.stale)

    def _draw(self):
        """Draws the figure and sends it if it differs from what was shown last. Raises what matplotlib raises."""
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
        # `savefig`, for example, makes the figure stale and may leave the picture as it was.
        digest = hash(png)
        if digest != self._digest:
            self._digest = digest
            # Width and height, from the header of the PNG.
            size = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
            _bridge.image(png, f"figure-{self._serial}", was_shown, size)

    def _is_watched(self):
        return isinstance(self.canvas.figure.stale_callback, _Watch)

    def _watch(self):
        """Records from now on which cell changes the figure. pyplot sets a callback of its own after it has made a figure."""
        if not self._is_watched():
            figure = self.canvas.figure
            figure.stale_callback = _Watch(self, figure.stale_callback)


class FigureCanvas(FigureCanvasAgg):
    """Draws as Agg does. `draw_idle` does nothing: the figure is drawn at the end of the cell."""

    manager_class = FigureManager

    def draw_idle(self, *args, **kwargs):
        pass


class _Watch:
    """The `stale_callback` of a figure: matplotlib calls it when a part of the figure has changed."""

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
    """Shows the figures that the cell made or changed, and closes those that nothing refers to.

    The first error of matplotlib's is raised at the end; later ones go to `sys.excepthook`.
    """
    first_error = None
    try:
        for manager in _managers():
            if manager._belongs_to(cell):
                try:
                    manager._draw()
                except Exception as error:
                    error.__traceback__ = error.__traceback__.tb_next
                    if first_error is None:
                        first_error = error
                    else:
                        sys.excepthook(type(error), error, error.__traceback__)
            manager._watch()
    except BaseException:
        # Interrupted: the cell's figures that are not drawn by now are not shown.
        for manager in _managers():
            if manager._belongs_to(cell):
                manager._was_tried = manager._has_failed = True
        raise
    finally:
        manager = None
        _close_unreferenced([num for num, manager in list(Gcf.figs.items()) if _is_ours(manager)])
    if first_error is not None:
        raise first_error


def _close_unreferenced(numbers):
    """Closes the figures of these numbers that were shown and that nothing refers to. The caller keeps no reference to them."""
    has_closed = False
    for number in numbers:
        manager = Gcf.figs.get(number)
        if not _is_ours(manager) or not manager._was_tried:
            continue
        if manager._has_failed:
            # The frames of the error's traceback refer to it, so a search would always find a reference.
            is_in_use = is_in_main(manager)
        else:
            manager = None
            is_in_use = is_referenced(number)
        if not is_in_use:
            manager = Gcf.figs[number]
            Gcf.destroy(manager)
            # The pixels are freed at once; the rest is a cycle, for the collector.
            vars(manager.canvas).pop("renderer", None)
            manager.canvas._lastKey = None
            has_closed = True
        manager = None
    if has_closed:
        _collect_in_a_tenth()


def _collect_in_a_tenth():
    """Runs the collector, which frees closed figures and their data, if that takes at most a tenth of the session's time."""
    global _collected
    start = perf_counter()
    ended, cost = _collected
    if gc.isenabled() and start - ended >= 9 * cost:
        gc.collect()
        ended = perf_counter()
        _collected = (ended, ended - start)
