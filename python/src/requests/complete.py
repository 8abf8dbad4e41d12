"""The request `complete`: attributes, keys, paths, keyword arguments, modules and names, found without running any code."""

import inspect
import itertools
import os
import sys
import time
from types import (
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    ModuleType,
    NoneType,
    WrapperDescriptorType,
)

_MOST_MATCHES = 1000
_MOST_ENTRIES = 10_000
_SECONDS = 0.5
# jedi parses the whole source, and takes long for more characters than this.
_MOST_FOR_JEDI = 20_000


def complete(code, cursor):
    """Completions at the cursor, an index into `code`: (matches, start, end), where each match is (text, kind) and replaces
    the code from `start` to `end`."""
    scopes = namespaces()
    before = Before(code, cursor)
    tokens = before.tokens
    scopes.insert(-1, imported(tokens))
    if before.is_comment:
        return [], cursor, cursor
    if before.string_at is not None:
        return _in_string(code, cursor, before, scopes)
    start, part = cursor, ""
    if tokens and tokens[-1].kind == "name" and tokens[-1].end == cursor:
        start, part = tokens[-1].start, tokens[-1].text
        tokens = tokens[:-1]
    elif tokens and tokens[-1].kind == "number" and tokens[-1].end == cursor:
        return [], cursor, cursor
    matches = _import_matches(tokens, part, scopes)
    if matches is None:
        if tokens and tokens[-1].text == ".":
            matches = _attribute_matches(code, cursor, expression(tokens[:-1]), part, scopes)
        else:
            matches = _argument_matches(tokens, part, scopes) + _name_matches(before.tokens, part, scopes)
            if tokens and tokens[-1].text == "[":
                keys = _keys(value_of(expression(tokens[:-1]), scopes))
                matches = [(repr(key), "key") for key in keys if repr(key).startswith(part)] + matches
    return _ordered(matches, part), start, cursor


def _ordered(matches, part):
    """Each text once: keys, parameters, then other names, those that begin with an underscore last. Without a part of a name
    such names are left out."""
    found = {}
    for text, kind in matches:
        if part or not text.startswith("_"):
            found.setdefault(shortened(text, 1000), kind)
    order = {"key": 0, "param": 1}
    ordered = sorted(found.items(), key=lambda item: (order.get(item[1], 2), item[0].startswith("_"), item[0]))
    return ordered[:_MOST_MATCHES]


def _attribute_matches(code, cursor, tokens, part, scopes):
    value = value_of(tokens, scopes)
    if value is MISSING:
        return _jedi_matches(code, cursor, scopes)
    own = {} if is_type(value) else instance_dict(value)
    return [
        (name, kind_of(own.get(name, entry)) if entry is not MISSING else "instance")
        for name, entry in attribute_names(value).items()
        if name.startswith(part)
    ]


def _name_matches(tokens, part, scopes):
    found = [(word, "keyword") for word in _KEYWORDS | {"match", "case"} if word.startswith(part)]
    for scope in scopes:
        for name, value in itertools.islice(list(scope.items()), _MOST_ENTRIES):
            if type(name) is str and name.startswith(part) and name.isidentifier():
                found.append((name, kind_of(value)))
    # The cell may assign to a name that no namespace has yet.
    found += [(token.text, "statement") for token in tokens[:-1] if token.kind == "name" and token.text.startswith(part)]
    return found


def _argument_matches(tokens, part, scopes):
    tokens = statement(tokens)
    at = enclosing_call(tokens)
    if at is None or tokens[-1].text not in ("(", ","):
        return []
    value = value_of(expression(tokens[:at]), scopes)
    if value is MISSING:
        return []
    listed = parameters(value)
    if listed is None:
        # Functions that are written in C have their parameters only in a text signature.
        pieces = (signature(value) or "()")[1:-1].split(", ")
        listed = [("", piece) if piece in ("/", "*") else (piece.partition("=")[0], "") for piece in pieces]
    names = []
    for name, mark, *_ in listed:
        if mark == "/":
            # The parameters before it are positional-only.
            names.clear()
        elif mark == "" and name.isidentifier():
            names.append(name)
    return [(f"{name}=", "param") for name in names if name.startswith(part)]


def _in_string(code, cursor, before, scopes):
    text = code[before.string_at : cursor]
    if before.tokens and before.tokens[-1].text == "[" and before.prefix in ("", "r"):
        keys = [key for key in _keys(value_of(expression(before.tokens[:-1]), scopes)) if type(key) is str]
        matches = [(key, "key") for key in keys if key.startswith(text) and repr(key)[1:-1] == key]
        if matches:
            return sorted(matches)[:_MOST_MATCHES], before.string_at, cursor
    if "b" in before.prefix or "\n" in text or len(text) > 4000:
        return [], cursor, cursor
    return _paths(text, cursor)


def _keys(value):
    """The keys of a dictionary that are of a built-in type, or the column names of a DataFrame; empty for any other value."""
    if value is MISSING:
        return []
    if issubclass(type(value), dict):
        found = itertools.islice(dict.keys(value), _MOST_ENTRIES)
    elif is_from(type(value), "pandas", "DataFrame"):
        found = itertools.islice(value.columns, _MOST_ENTRIES)
    else:
        return []
    return [key for key in found if type(key) in (str, int, bool, float, bytes) and (type(key) is not str or len(key) < 1000)]


def _paths(text, cursor):
    folder, name = os.path.split(text)
    entries = []
    end = time.monotonic() + _SECONDS
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as found:
            for entry in itertools.islice(found, _MOST_ENTRIES):
                if entry.name.startswith(name) and (name or not entry.name.startswith(".")):
                    entries.append((entry.name + "/" if entry.is_dir() else entry.name, "path"))
                if time.monotonic() > end:
                    break
    except (OSError, ValueError):
        pass
    return _ordered([entry for entry in entries if entry[0].isprintable()], name or "."), cursor - len(name), cursor


def _import_matches(tokens, part, scopes):
    """Completions in an import statement; None if the cursor is not in one."""
    line = statement(tokens)
    words = [token.text for token in line]
    if words[:1] == ["from"] and "import" not in words:
        return _module_matches(words[1:], part) if _is_dotted(line[1:]) else []
    if words[:1] == ["from"]:
        at = words.index("import")
        if words[-1] not in ("import", ",", "("):
            return []
        package = "".join(words[1:at])
        loaded = sys.modules.get(package)
        names = attribute_names(loaded) if loaded is not None else {}
        found = [(name, kind_of(value)) for name, value in names.items() if name.startswith(part)]
        return found + _module_matches([*words[1:at], "."], part)
    if words[:1] == ["import"]:
        last = len(words) - words[::-1].index(",") if "," in words else 1
        return _module_matches(words[last:], part) if _is_dotted(line[last:]) else []
    return None


def _is_dotted(tokens):
    """Whether a name may follow these tokens of a dotted name."""
    return not tokens or tokens[-1].text == "."


def _module_matches(words, part):
    package = "".join(words).rstrip(".")
    if not package:
        names = {*sys.builtin_module_names, *sys.stdlib_module_names}
        folders = [folder for folder in list(sys.path) if type(folder) is str]
    else:
        names, folders = set(), _folders_of(package)
    end = time.monotonic() + _SECONDS
    for folder in folders:
        names.update(_modules_in(folder or ".", end))
    return [(name, "module") for name in names if name.startswith(part)]


def _folders_of(package):
    loaded = sys.modules.get(package)
    if loaded is not None:
        path = instance_dict(loaded).get("__path__")
        return [folder for folder in path if type(folder) is str] if type(path) is list else []
    return [
        os.path.join(folder, *package.split("."))
        for folder in list(sys.path)
        if type(folder) is str and os.path.isdir(os.path.join(folder, *package.split(".")))
    ]


def _modules_in(folder, end):
    try:
        with os.scandir(folder) as found:
            for entry in itertools.islice(found, _MOST_ENTRIES):
                name, dot, suffix = entry.name.partition(".")
                is_module = dot and (suffix == "py" or suffix.endswith(("so", "pyd")))
                if name.isidentifier() and not name.startswith("__") and (is_module or (not dot and entry.is_dir())):
                    yield name
                if time.monotonic() > end:
                    return
    except (OSError, ValueError):
        return


def _jedi_matches(code, cursor, scopes):
    """What jedi finds in the source, if the user's environment has it: for expressions that `value_of` does not know."""
    if len(code) > _MOST_FOR_JEDI:
        return []
    limit = sys.getrecursionlimit()
    try:
        import jedi
    except Exception:
        return []
    finally:
        # The import of jedi sets another recursion limit.
        sys.setrecursionlimit(limit)
    line = code.count("\n", 0, cursor) + 1
    column = cursor - (code.rfind("\n", 0, cursor) + 1)
    settings = jedi.settings
    was_allowed = getattr(settings, "allow_unsafe_interpreter_executions", None)
    settings.allow_unsafe_interpreter_executions = False
    unwrap, inspect.unwrap = inspect.unwrap, _unwrap
    try:
        found = jedi.Interpreter(code, [_for_jedi(scope) for scope in scopes[-2::-1]]).complete(line, column)
        return [(match.name, match.type) for match in found[:_MOST_MATCHES]]
    except Exception:
        return []
    finally:
        inspect.unwrap = unwrap
        if was_allowed is not None:
            settings.allow_unsafe_interpreter_executions = was_allowed


def _for_jedi(scope):
    """The names of a scope whose values run no Python code when jedi gets attributes of them."""
    return {name: value for name, value in list(scope.items()) if type(name) is str and _runs_no_code(value)}


def _runs_no_code(value, depth=1):
    """Whether getting attributes of a value runs no Python code. `depth`: levels of containers that are looked into."""
    kind = type(value)
    if kind in _CONTAINERS:
        items = itertools.chain(value, value.values()) if kind is dict else value
        return depth > 0 and len(value) <= _MOST_ITEMS and all(_runs_no_code(item, depth - 1) for item in items)
    if kind is FunctionType or kind is ModuleType:
        return True
    looked_up_in = value if is_type(value) else kind
    if type(looked_up_in) is not type:
        # A metaclass may have an attribute lookup of its own.
        return False
    if is_from(kind, "pandas", "DataFrame") or is_from(kind, "pandas", "Series"):
        return True
    return all(type(names.get(name)) in _WRITTEN_IN_C for names in class_items(looked_up_in) for name in _RUN_BY_JEDI)


_CONTAINERS = {dict, list, tuple, set, frozenset}
_MOST_ITEMS = 100
# The attributes of a class that run its code when jedi gets attributes of an instance.
_RUN_BY_JEDI = ("__getattr__", "__getattribute__", "__class__", "__objclass__", "__wrapped__")
_WRITTEN_IN_C = {NoneType, GetSetDescriptorType, MemberDescriptorType, WrapperDescriptorType}


def _unwrap(function, *, stop=None):
    """`inspect.unwrap`, which jedi calls with any object, without getting an attribute of anything but a function."""
    for _ in range(100):
        inner = function.__dict__.get("__wrapped__", MISSING) if type(function) is FunctionType else MISSING
        if inner is MISSING or (stop is not None and stop(function)):
            break
        function = inner
    return function
