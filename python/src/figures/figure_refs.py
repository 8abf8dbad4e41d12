"""Who holds a figure: whether anything but matplotlib itself still refers to a part of it.

A figure and its parts refer to each other, so no single reference count tells. What can be reached from the figure is
counted together: an object with more references than these objects make, and that leads to the figure, is held from
outside. Three holders do not count, since nobody meant to keep a figure by them: pyplot's list, `_`, and frames that an
error has left.
"""

import gc
import sys
import types
from collections import Counter

from matplotlib._pylab_helpers import Gcf
from matplotlib.artist import Artist

# Of more objects than this no account is taken.
_MOST_OBJECTS = 200_000
# The flags of the code of generators and coroutines.
_SUSPENDABLE = 0x20 | 0x80 | 0x200
_LEAVES = (type, types.ModuleType, types.CodeType, types.FrameType)


def is_held(number):
    """Whether the user still has something of the figure of this number. The caller has no reference to it."""
    manager = Gcf.figs[number]
    if is_in_main(manager):
        return True
    parts = manager._held_parts
    if parts and not manager._changed_in:
        # A figure that has not changed is held as long as what held it does.
        if any(now >= then for now, then in zip(_reference_counts(parts), manager._held_counts)):
            return True
    known = set(map(id, parts))
    manager._held_parts = manager._held_counts = ()
    parts = manager = None
    for generation in (None, 1, 2):
        # Garbage that is not collected yet looks like a holder, and so do the frames of errors.
        if generation is not None:
            # What the last look found would be found to be held by this very name.
            holders = None
            gc.collect(generation)
        holders = _holders(number, generation is not None)
        if not holders:
            return False
        if not known.isdisjoint(map(id, holders)):
            break
    manager = Gcf.figs[number]
    manager._held_parts = [part for part in holders if isinstance(part, Artist)]
    holders = None
    manager._held_counts = _reference_counts(manager._held_parts)
    return True


def _reference_counts(items):
    """How often each is referred to, the list and the call included."""
    return list(map(sys.getrefcount, items))


def is_in_main(manager):
    """The usual case, told quickly: a name in __main__ is the figure or one of its axes."""
    figure = manager.canvas.figure
    wanted = {id(figure), id(figure.canvas), id(manager), id(manager.canvas), *map(id, figure.axes)}
    main = sys.modules.get("__main__")
    return main is not None and any(id(value) in wanted for name, value in list(vars(main).items()) if name != "_")


def _holders(number, looks_at_frames):
    """Parts of a figure that are held from outside; empty if there are none."""
    manager = Gcf.figs[number]
    main = vars(sys.modules.get("__main__", sys))
    lasts = [vars(sys.modules["builtins"]).get("_"), main.get("_")]
    roots = _finished_frames() if looks_at_frames else []
    roots += [manager, *filter(_is_node, lasts)]
    graph = _graph(roots)
    roots = None
    if graph is None:
        graph = _graph([manager])
        if graph is None:
            return []
    items, counts = graph
    graph = None
    # pyplot's list and the name here; `_` itself and the list here.
    counts[id(manager)] += 2
    for last in lasts:
        counts[id(last)] += 2
        for array in (last, *(last if type(last) in (list, tuple) and len(last) < 1000 else ())):
            # Arrays do not tell the collector what they refer to.
            if type(array).__name__ == "ndarray" and array.dtype == object and array.size < 1000:
                counts.update(map(id, array.ravel().tolist()))
    last = array = None
    held = [
        item
        for item, count in zip(items, _reference_counts(items))
        # One reference is the list's, one the call's.
        if count - 2 > counts[id(item)] and type(item) is not types.FrameType
    ]
    items = None
    graph = _graph(held)
    if graph is None or all(item is not manager for item in graph[0]):
        return []
    return held


def _graph(roots):
    """What can be reached from the roots, and how often each object is referred to; None if it is too much."""
    seen = {id(root): root for root in roots}
    counts = Counter()
    batch = list(roots)
    while batch:
        referents = gc.get_referents(*batch)
        counts.update(map(id, referents))
        batch = []
        for item in referents:
            if id(item) not in seen and _is_node(item):
                seen[id(item)] = item
                batch.append(item)
        if len(seen) > _MOST_OBJECTS:
            return None
    return list(seen.values()), counts


def _is_node(item):
    if not gc.is_tracked(item) or isinstance(item, _LEAVES):
        return False
    kind = type(item)
    if kind is dict and "__name__" in item and "__spec__" in item:
        # The names of a module.
        return False
    if kind in (list, tuple, dict, set) and len(item) > 10_000:
        # Data, unless it is a great many parts.
        return len(item) < _MOST_OBJECTS and gc.is_tracked(next(iter(item)))
    return True


def _finished_frames():
    """Frames that run no more and are kept by a traceback, such as that of the last error, or one in a parser's cache."""
    running = set()
    for frame in sys._current_frames().values():
        while frame is not None:
            running.add(id(frame))
            frame = frame.f_back
    return [
        item
        for item in gc.get_objects()
        if type(item) is types.FrameType and id(item) not in running and not item.f_code.co_flags & _SUSPENDABLE
    ]
