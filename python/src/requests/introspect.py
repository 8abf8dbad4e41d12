"""The requests `inspect` and `variables`, and the namespaces that code entered now would see."""

import sys
import time

_MOST_VARIABLES = 1000
_SECONDS = 0.2


def namespaces():
    """The namespaces that code entered now would see, innermost first.

    While a debugger or an interactive console reads a line: those of the frame where the debugger stopped, or of the console.
    Otherwise those of `__main__`.
    """
    main = sys.modules.get("__main__")
    main = vars(main) if main is not None else {}
    builtins = vars(sys.modules["builtins"])
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith("<worker "):
        frame = frame.f_back
    reader = frame.f_locals.get("self") if frame is not None and "self" in frame.f_code.co_varnames else None
    if reader is None:
        return [main, builtins]
    debugger = vars(sys.modules["bdb"]).get("Bdb") if "bdb" in sys.modules else None
    console = vars(sys.modules["code"]).get("InteractiveInterpreter") if "code" in sys.modules else None
    own = instance_dict(reader)
    if debugger is not None and issubclass(type(reader), debugger) and own.get("curframe") is not None:
        frame = own["curframe"]
        names = own.get("curframe_locals")
        # Up to Python 3.12 each access of `f_locals` undoes what the debugger has assigned to local names.
        names = dict(frame.f_locals if names is None else names)
        return [names, builtins] if frame.f_globals is names else [names, frame.f_globals, builtins]
    if console is not None and issubclass(type(reader), console) and type(own.get("locals")) is dict:
        return [own["locals"], builtins]
    return [main, builtins]


def variables():
    """The variables of the innermost namespace: (name, type, summary) each."""
    end = time.monotonic() + _SECONDS
    found = []
    for name, value in list(namespaces()[0].items()):
        if type(name) is not str or not name.isidentifier() or len(name) > 200 or name.startswith("__"):
            continue
        is_late = time.monotonic() > end
        found.append((name, type_name(type(value)), "" if is_late else summary(value)))
        if len(found) == _MOST_VARIABLES:
            break
    return found


def inspect(code, cursor):
    """Signature and documentation of the name at the cursor, or of the function in whose argument list the cursor is; None if
    unknown. `cursor`: an index into `code`."""
    end = cursor
    while end < len(code) and (code[end] == "_" or code[end].isalnum()):
        end += 1
    before = Before(code, end)
    if before.is_comment or before.string_at is not None:
        return None
    tokens = before.tokens
    scopes = namespaces()
    scopes.insert(-1, imported(tokens))
    value = MISSING
    if tokens and tokens[-1].kind == "name" and tokens[-1].end == end:
        value = value_of(expression(tokens), scopes)
        if value is MISSING:
            value = _loaded_module(statement(tokens))
    if value is MISSING:
        tokens = statement([token for token in tokens if token.end <= cursor])
        at = enclosing_call(tokens)
        if at is None:
            return None
        tokens = tokens[:at]
        value = value_of(expression(tokens), scopes)
    return None if value is MISSING else _described(tokens[-1].text, value)


def _loaded_module(line):
    """The loaded module that an import statement names, or MISSING."""
    words = [token.text for token in line]
    if (words[:1] == ["from"] and "import" not in words) or (words[:1] == ["import"] and "," not in words):
        return sys.modules.get("".join(words[1:]), MISSING)
    return MISSING


def _described(name, value):
    """The text that `inspect` answers with."""
    lines = []
    call = signature(value)
    if call is not None:
        lines.append(f"Signature: {name}{call}")
    lines.append(f"Type: {type_name(type(value))}")
    if kind_of(value) == "instance":
        lines.append(f"Value: {summary(value)}")
    text = documentation(value)
    if text:
        lines += ["", text]
    return "\n".join(lines)
