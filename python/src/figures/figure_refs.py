"""References to a figure: whether anything but matplotlib itself still refers to a part of it.

A figure and its parts refer to each other, so one reference count is not enough. All objects that can be reached from the
figure are counted together: an object that has more references than these objects make, and from which the figure can be
reached, is referenced from outside. Three references do not count, since nobody meant to keep a figure by them: pyplot's
list of figures, the name `_`, and the frames of a traceback.

The functions compare reference counts, so each name for an object in them matters: names are deleted or set to None before
a count.
"""

import gc
import sys
import types
from collections import Counter

from matplotlib._pylab_helpers import Gcf
from matplotlib.artist import Artist

# A search that finds more objects than this is given up.
_MOST_OBJECTS = 200_000
# CO_GENERATOR, CO_COROUTINE and CO_ASYNC_GENERATOR: frames of such code may not run and still be in use.
_SUSPENDABLE = 0x20 | 0x80 | 0x200
_LEAVES = (type, types.ModuleType, types.CodeType, types.FrameType)


def is_referenced(number):
    """Whether the user's code can still reach the figure of this number. The caller keeps no reference to a part of it."""
    manager = Gcf.figs[number]
    if is_in_main(manager):
        return True
    parts = manager._referenced_parts
    # A figure that has not changed is referenced as long as the references that were found last time exist.
    if (
        parts
        and not manager._changed_in
        and any(now >= then for now, then in zip(_reference_counts(parts), manager._part_counts, strict=True))
    ):
        return True
    known = set(map(id, parts))
    manager._referenced_parts = manager._part_counts = ()
    parts = manager = None
    for generation in (None, 1, 2):
        # The first search does not tell a reference of the user's from one of uncollected garbage or of a traceback's frame.
        if generation is not None:
            # This name is a reference too: the next search would count it.
            referenced = None
            gc.collect(generation)
        referenced = _externally_referenced(number, generation is not None)
        if not referenced:
            return False
        if not known.isdisjoint(map(id, referenced)):
            break
    manager = Gcf.figs[number]
    manager._referenced_parts = [part for part in referenced if isinstance(part, Artist)]
    referenced = None
    manager._part_counts = _reference_counts(manager._referenced_parts)
    return True


def _reference_counts(items):
    """The reference count of each item, with those of the list and of the call of `getrefcount`."""
    return list(map(sys.getrefcount, items))


def is_in_main(manager):
    """The usual case, which is found without a search: a name in `__main__` is the figure or one of its axes."""
    figure = manager.canvas.figure
    wanted = {id(figure), id(figure.canvas), id(manager), id(manager.canvas), *map(id, figure.axes)}
    main = sys.modules.get("__main__")
    return main is not None and any(id(value) in wanted for name, value in list(vars(main).items()) if name != "_")


def _externally_referenced(number, includes_frames):
    """The objects with references from outside, from which the figure can be reached; empty if there are none.

    `includes_frames`: the frames of tracebacks belong to what may refer to the figure. Finding them takes longer.
    """
    manager = Gcf.figs[number]
    main = vars(sys.modules.get("__main__", sys))
    lasts = [vars(sys.modules["builtins"]).get("_"), main.get("_")]
    roots = _finished_frames() if includes_frames else []
    roots += [manager, *filter(_is_node, lasts)]
    graph = _graph(roots)
    roots = None
    if graph is None:
        graph = _graph([manager])
        if graph is None:
            return []
    items, counts = graph
    graph = None
    # pyplot's list and the name `manager`; `_` itself and the list `lasts`.
    counts[id(manager)] += 2
    for last in lasts:
        counts[id(last)] += 2
        for array in (last, *(last if type(last) in (list, tuple) and len(last) < 1000 else ())):
            # Arrays do not support the garbage collector: it does not know what they refer to.
            if type(array).__name__ == "ndarray" and array.dtype == object and array.size < 1000:
                counts.update(map(id, array.ravel().tolist()))
    last = array = None
    referenced = [
        item
        for item, count in zip(items, _reference_counts(items), strict=True)
        # One reference is the list's, one that of the call of `getrefcount`.
        if count - 2 > counts[id(item)] and type(item) is not types.FrameType
    ]
    items = None
    graph = _graph(referenced)
    if graph is None or all(item is not manager for item in graph[0]):
        return []
    return referenced


def _graph(roots):
    """The objects that can be reached from the roots, and the number of references that they have from each other by `id`;
    None if there are more than `_MOST_OBJECTS`."""
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
    """Whether the search follows this object's references. It leaves out types, modules, code, frames and large data."""
    if not gc.is_tracked(item) or isinstance(item, _LEAVES):
        return False
    kind = type(item)
    if kind is dict and "__name__" in item and "__spec__" in item:
        # The namespace of a module.
        return False
    if kind in (list, tuple, dict, set) and len(item) > 10_000:
        # Data, unless its first item may refer to parts of a figure.
        return len(item) < _MOST_OBJECTS and gc.is_tracked(next(iter(item)))
    return True


def _finished_frames():
    """The frames that have ended and that only a traceback refers to, such as that of the last error."""
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
