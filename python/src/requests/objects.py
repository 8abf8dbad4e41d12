"""Attributes, signatures, documentation and summaries of objects, without running any code of theirs.

No property, `__getattr__`, `__repr__` or `__dir__` of a user's class is ever called. The number of items that are read is
bounded everywhere.
"""

import itertools
import sys
import types
from _collections import _tuplegetter, deque
from _thread import _local

MISSING = object()
_dict_of_type = type.__dict__["__dict__"].__get__
_mro_of_type = type.__dict__["__mro__"].__get__
_name_of_type = type.__dict__["__qualname__"].__get__
_module_of_type = type.__dict__["__module__"].__get__
_flags_of_type = type.__dict__["__flags__"].__get__
_doc_of_type = type.__dict__["__doc__"].__get__
_text_signature_of_type = type.__dict__["__text_signature__"].__get__
_init_of_object = object.__dict__["__init__"]
# Py_TPFLAGS_HEAPTYPE.
_HEAP_TYPE = 1 << 9
# Types, by module and name, whose `repr` is quick and runs no code of the user's.
_PLAIN = {
    ("datetime", "date"), ("datetime", "timedelta"), ("datetime", "timezone"), ("decimal", "Decimal"),
    ("fractions", "Fraction"), ("pathlib", "PosixPath"), ("pathlib._local", "PosixPath"), ("uuid", "UUID"),
}  # fmt: skip
_MOST_SUMMARY = 200
_MOST_DOC = 16 << 10


def shortened(text, most=_MOST_SUMMARY):
    """The text, or its first `most` characters, without lone surrogates."""
    text = text[:most] + "…" if len(text) > most else text
    return text.encode("utf-8", "replace").decode("utf-8")


def is_type(item):
    """Whether it is a class; `isinstance` would get its `__class__`."""
    return issubclass(type(item), type)


def type_name(kind):
    """The qualified name of a class."""
    return shortened(_name_of_type(kind), 100)


def is_from(kind, module, name):
    """Whether it is the class of this name in a loaded module, and not another one of the same name."""
    return module in sys.modules and instance_dict(sys.modules[module]).get(name) is kind


def class_items(kind):
    """The dictionaries of a class and its bases, in method resolution order."""
    return [_dict_of_type(entry) for entry in _mro_of_type(kind)]


def instance_dict(item):
    """The instance's `__dict__`; empty if it has none, or one that only its own code can give."""
    if issubclass(type(item), types.ModuleType):
        return types.ModuleType.__dict__["__dict__"].__get__(item)
    if issubclass(type(item), _local):
        # A `threading.local` has a dictionary for each thread; the first access in a thread calls the class's `__init__`.
        if _of_class(type(item), "__init__") is not _init_of_object:
            return {}
        return _local.__getattribute__(item, "__dict__")
    for names in class_items(type(item)):
        found = names.get("__dict__")
        if found is not None:
            # `__dict__` of `SimpleNamespace` is a MemberDescriptorType.
            if type(found) not in (types.GetSetDescriptorType, types.MemberDescriptorType):
                return {}
            try:
                own = found.__get__(item)
            except Exception:
                return {}
            return own if type(own) is dict else {}
    return {}


def attribute(item, name):
    """The attribute of this name if finding it runs no code, else MISSING."""
    if is_type(item):
        for names in class_items(item):
            if name in names:
                return _bound(names[name], None, item)
        found = _of_class(type(item), name)
        return MISSING if found is MISSING else _bound(found, item, type(item))
    found = _of_class(type(item), name)
    own = instance_dict(item)
    # A data descriptor comes before the instance's own attributes.
    if type(found) in (property, types.MemberDescriptorType, types.GetSetDescriptorType, _tuplegetter):
        return _bound(found, item, type(item))
    if name in own:
        return own[name]
    return MISSING if found is MISSING else _bound(found, item, type(item))


def _of_class(kind, name):
    """What a class or one of its bases has in its dictionary under this name, or MISSING."""
    for names in class_items(kind):
        if name in names:
            return names[name]
    return MISSING


def _bound(found, item, kind):
    """What the attribute `found` of a class gives for an instance (None: for the class itself), or MISSING."""
    made = type(found)
    if made in (staticmethod, classmethod):
        inner = found.__func__
        return types.MethodType(inner, kind) if made is classmethod and callable(inner) else inner
    if made in (types.FunctionType, types.MethodDescriptorType, types.WrapperDescriptorType):
        return found if item is None else found.__get__(item, kind)
    if made in (types.MemberDescriptorType, _tuplegetter) or _is_builtin_getset(found):
        if item is None:
            return found
        try:
            return found.__get__(item, kind)
        except Exception:
            return MISSING
    if made in (property, types.GetSetDescriptorType) or _of_class(made, "__get__") is not MISSING:
        return found if item is None else MISSING
    return found


def _is_builtin_getset(found):
    return type(found) is types.GetSetDescriptorType and _module_of_type(found.__objclass__) == "builtins"


def attribute_names(item):
    """The names of an object's attributes, each with its entry in the dictionary of the object or its class (MISSING for a name
    of `__all__` that has none)."""
    names = {}
    for source in reversed(class_items(item) if is_type(item) else class_items(type(item))):
        names.update(itertools.islice(source.items(), 10_000))
    if not is_type(item):
        own = instance_dict(item)
        names.update(itertools.islice(own.items(), 10_000))
        listed = own.get("__all__") if issubclass(type(item), types.ModuleType) else None
        if type(listed) in (list, tuple):
            for name in listed[:10_000]:
                names.setdefault(name, MISSING)
    return {name: value for name, value in names.items() if type(name) is str and name.isidentifier()}


def kind_of(value):
    """The kind of a completion for this value."""
    kind = type(value)
    if is_type(value):
        return "class"
    if kind in (staticmethod, classmethod) or issubclass(kind, _CALLABLES):
        return "function"
    if issubclass(kind, types.ModuleType):
        return "module"
    if kind in (property, types.GetSetDescriptorType, types.MemberDescriptorType, _tuplegetter):
        return "property"
    return "instance"


_FUNCTIONS = (types.FunctionType, types.MethodType)
_BUILTINS = (
    types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType, types.MethodWrapperType,
    types.ClassMethodDescriptorType,
)  # fmt: skip
_CALLABLES = _FUNCTIONS + _BUILTINS
_BRACKETS = {list: "[]", tuple: "()", dict: "{}", set: "{}", frozenset: "{}", deque: "[]"}


def parameters(item):
    """The parameters of a callable: (name, mark, default, annotation) each; None if not known.

    The mark is "*" for `*args`, "**" for `**kwargs` and "" for any other parameter. The separators "/" and "*" are entries
    with a mark and no name. A missing default or annotation is MISSING.
    """
    if is_type(item):
        for names in class_items(item)[:-1]:
            for name in ("__init__", "__new__"):
                found = names.get(name)
                found = found.__func__ if type(found) is staticmethod else found
                if found is not None:
                    return _of_function(found, True) if type(found) is types.FunctionType else None
        return [] if _flags_of_type(item) & _HEAP_TYPE else None
    if type(item) is types.MethodType:
        return _of_function(item.__func__, True) if type(item.__func__) is types.FunctionType else None
    if type(item) is types.FunctionType:
        return _of_function(item, False)
    call = _of_class(type(item), "__call__")
    return _of_function(call, True) if type(call) is types.FunctionType else None


def _of_function(function, is_bound):
    for _ in range(100):
        inner = function.__dict__.get("__wrapped__")
        if type(inner) is not types.FunctionType:
            break
        function = inner
    code = function.__code__
    names = code.co_varnames
    count, positional = code.co_argcount, code.co_posonlyargcount
    defaults = function.__defaults__ or ()
    given = function.__kwdefaults__ or {}
    annotations = _annotations(function)
    found = []
    for at, name in enumerate(names[:count]):
        later = at - (count - len(defaults))
        found.append((name, "", defaults[later] if later >= 0 else MISSING, annotations.get(name, MISSING)))
        if at == positional - 1:
            found.append(("", "/", MISSING, MISSING))
    at = count + code.co_kwonlyargcount
    if code.co_flags & 0x04:
        found.append((names[at], "*", MISSING, annotations.get(names[at], MISSING)))
        at += 1
    elif code.co_kwonlyargcount:
        found.append(("", "*", MISSING, MISSING))
    for name in names[count : count + code.co_kwonlyargcount]:
        found.append((name, "", given.get(name, MISSING), annotations.get(name, MISSING)))
    if code.co_flags & 0x08:
        found.append((names[at], "**", MISSING, annotations.get(names[at], MISSING)))
    if is_bound and found and found[0][1] == "":
        found = found[1:]
        if found and found[0][:2] == ("", "/"):
            found = found[1:]
    return found


def _annotations(function):
    """The annotations of a function's parameters. Since Python 3.14 as text: evaluating them would run code."""
    if sys.version_info < (3, 14) or function.__annotate__ is None:
        return function.__annotations__
    if type(function.__annotate__) is not types.FunctionType:
        return {}
    import annotationlib

    code = function.__annotate__.__code__
    empty = tuple(types.CellType() for _ in code.co_freevars)
    # The same code with empty namespaces: for the format STRING it runs once, and finds nothing to call.
    without_names = types.FunctionType(code, {"__builtins__": {}}, code.co_name, None, empty)
    try:
        return annotationlib.call_annotate_function(without_names, annotationlib.Format.STRING)
    except Exception:
        return {}


def signature(item):
    """The signature of a callable, such as `(a, b=1)`; None if it is not known."""
    listed = parameters(item)
    if listed is not None:
        return "(" + ", ".join(_shown(*parameter) for parameter in listed[:100]) + ")"
    if is_type(item):
        text = None if _flags_of_type(item) & _HEAP_TYPE else _text_signature_of_type(item)
    else:
        text = item.__text_signature__ if type(item) in _BUILTINS else None
    if type(text) is not str:
        return None
    first, comma, rest = text.partition(", ")
    if first.startswith("($"):
        text = "(" + rest.removeprefix("/, ") if comma else "()"
        text = "()" if text == "(/)" else text
    return text


def _shown(name, mark, default, annotation):
    """The text of one entry of `parameters`."""
    text = mark + name
    if annotation is not MISSING:
        is_text = type(annotation) is str
        text += ": " + (annotation if is_text else type_name(annotation) if is_type(annotation) else summary(annotation, 60))
    if default is not MISSING:
        text += ("=" if annotation is MISSING else " = ") + summary(default, 60)
    return text


def documentation(item):
    """The documentation string without its indentation; empty if there is none."""
    if issubclass(type(item), types.ModuleType):
        text = instance_dict(item).get("__doc__")
    elif type(item) is types.MethodType:
        return documentation(item.__func__)
    elif issubclass(type(item), _CALLABLES):
        text = item.__doc__
    else:
        kind = item if is_type(item) else type(item)
        text = _dict_of_type(kind).get("__doc__")
        if not _flags_of_type(kind) & _HEAP_TYPE:
            text = _doc_of_type(kind)
        if text is None and is_type(item):
            init = _of_class(kind, "__init__")
            text = init.__doc__ if type(init) is types.FunctionType else None
    if type(text) is not str:
        return ""
    lines = text[:_MOST_DOC].expandtabs().splitlines()
    indent = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    return shortened("\n".join(lines[:1] + [line[indent:] for line in lines[1:]]).strip(), _MOST_DOC)


def summary(value, most=_MOST_SUMMARY):
    """A line of at most `most` characters that shows a value, made in bounded time."""
    try:
        return shortened(_summary(value, 2, most), most)
    except Exception:
        # For example, another thread changes a container meanwhile.
        return f"<{type_name(type(value))}>"


def _summary(value, depth, most):
    kind = type(value)
    if value is None or value is Ellipsis or value is NotImplemented or kind in (bool, float, complex, range):
        return repr(value)
    if kind is int:
        return repr(value) if value.bit_length() <= 4 * most else f"<int of {value.bit_length()} bits>"
    if kind in (str, bytes, bytearray):
        return repr(value[:most]) + ("…" if len(value) > most else "")
    base = next((base for base in _BRACKETS if issubclass(kind, base)), None)
    if base is not None:
        return _container(value, base, depth, most)
    if is_type(value):
        return f"<class {type_name(value)}>"
    if issubclass(kind, types.ModuleType):
        return f"<module {instance_dict(value).get('__name__')!s:.100}>"
    if issubclass(kind, _CALLABLES):
        named = value.__func__ if kind is types.MethodType else value
        name = named.__name__ if type(named) in _CALLABLES else "method"
        return f"<function {name}{signature(value) or '(…)'}>"
    module, name = _module_of_type(kind), _name_of_type(kind)
    if (module, name) in _PLAIN and is_from(kind, module, name):
        return repr(value)
    if is_from(kind, "numpy", "ndarray"):
        return f"<{'×'.join(map(str, value.shape)) or 'scalar'} ndarray of {value.dtype}>"
    if is_from(kind, "pandas", name) and name in ("DataFrame", "Series"):
        return f"<{'×'.join(map(str, value.shape))} {name}>"
    fields = _of_class(kind, "__dataclass_fields__")
    own = instance_dict(value)
    if type(fields) is dict and depth:
        shown = (f"{key}={_summary(own[key], depth - 1, most)}" for key in itertools.islice(fields, 8) if key in own)
        return f"{type_name(kind)}({', '.join(shown)})"
    if type(own.get("_name_")) is str and "_value_" in own:
        return f"{type_name(kind)}.{own['_name_']}"
    if issubclass(kind, BaseException):
        return f"{type_name(kind)}{_summary(BaseException.args.__get__(value), depth, most)}"
    return f"<{type_name(kind)} object>"


def _container(value, base, depth, most):
    kind = type(value)
    length = base.__len__(value)
    left, right = _BRACKETS[base]
    if kind not in (list, tuple, dict, set):
        left, right = f"{type_name(kind)}({left}", f"{right})"
    if not length:
        return "set()" if kind is set else left + right
    if not depth:
        return f"{left}…{right}"
    shown, used = [], 0
    for item in itertools.islice(base.items(value) if base is dict else base.__iter__(value), 10):
        if base is dict:
            text = f"{_summary(item[0], depth - 1, most)}: {_summary(item[1], depth - 1, most)}"
        else:
            text = _summary(item, depth - 1, most)
        shown.append(shortened(text, 60))
        used += len(shown[-1]) + 2
        if used > most - 40:
            break
    if len(shown) < length:
        return f"{left}{', '.join(shown)}, …{right} ({length} in all)"
    return f"{left}{', '.join(shown)}{',' if base is tuple and length == 1 else ''}{right}"
