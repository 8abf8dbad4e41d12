"""Unfinished source: the tokens before the cursor, and the object that an expression names, without evaluating it."""

import keyword
import re
import sys

# No more characters than this before the cursor are read.
_MOST_SOURCE = 50_000
_TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*)
    | (?P<string>(?i:(?P<prefix>\b(?:[rbuft]|[bft]r|r[bft]))?)(?P<quote>'''|\"\"\"|'|\"))
    | (?P<name>[^\W\d]\w*)
    | (?P<number>\d[\w.]*)
    | (?P<line>\n)
    | (?P<space>[^\S\n]+|\\\n)
    | (?P<operator>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_LINE_END = {quote: re.compile(rf"(?:\\.|[^\\\n{quote}])*(?P<end>{quote}|\n)?", re.DOTALL) for quote in "'\""}
_BLOCK_END = {
    quote: re.compile(rf"(?:\\.|(?!{quote})[^\\])*(?P<end>{quote})?", re.DOTALL) for quote in ("'''", '"""')
}
_OPEN = {")": "(", "]": "[", "}": "{"}


class Token:
    """A name, number, string, operator or line end of the source."""

    __slots__ = ("kind", "text", "start", "end")

    def __init__(self, kind, text, start):
        self.kind, self.text, self.start, self.end = kind, text, start, start + len(text)


class Before:
    """The tokens before the cursor, and the string or comment that the cursor is in."""

    def __init__(self, code, cursor):
        first = 0
        if cursor > _MOST_SOURCE:
            first = code.find("\n", cursor - _MOST_SOURCE, cursor) + 1 or cursor - _MOST_SOURCE
        self.tokens = []
        self.is_comment = False
        # If the cursor is in a string: the index where its text starts, its quote, and its prefix.
        self.string_at, self.quote, self.prefix = None, "", ""
        self._read(code, first, cursor)

    def _read(self, code, at, cursor):
        while at < cursor:
            found = _TOKEN.match(code, at, cursor)
            kind, at = found.lastgroup, found.end()
            if kind == "comment":
                self.is_comment = at == cursor
            elif kind == "string" or kind == "quote":
                at = self._read_string(code, found, cursor)
            elif kind != "space":
                self.tokens.append(Token(kind, found.group(), found.start()))

    def _read_string(self, code, found, cursor):
        quote, prefix = found["quote"], (found["prefix"] or "").lower()
        ends = _LINE_END[quote] if len(quote) == 1 else _BLOCK_END[quote]
        text = ends.match(code, found.end(), cursor)
        if text["end"] is None:
            brace = _open_brace(code, found.end(), cursor) if "f" in prefix or "t" in prefix else None
            if brace is not None:
                # The braces of an f-string contain code.
                self.tokens.append(Token("line", "\n", brace))
                self._read(code, brace + 1, cursor)
            else:
                self.string_at, self.quote, self.prefix = found.end(), quote, prefix
            return cursor
        self.tokens.append(Token("string", code[found.start() : text.end()], found.start()))
        return text.end()


def _open_brace(code, at, cursor):
    """The index of the last open brace in the text of an f-string; None without one."""
    opened = []
    while at < cursor:
        if code.startswith(("{{", "}}"), at) and not opened:
            at += 1
        elif code[at] == "{":
            opened.append(at)
        elif code[at] == "}" and opened:
            opened.pop()
        at += 1
    return opened[-1] if opened else None


def statement(tokens):
    """The tokens of the logical line that the last token is in."""
    start, depth = 0, 0
    for at, token in enumerate(tokens):
        if token.kind == "operator":
            depth += (token.text in "([{") - (token.text in ")]}" and depth > 0)
            if token.text == ";" and depth == 0:
                start = at + 1
        elif token.kind == "line":
            # A keyword that begins a statement ends the line of a bracket that was never closed.
            follows = tokens[at + 1].text if at + 1 < len(tokens) else ""
            if depth == 0 or follows in ("import", "from", "def", "class", "return", "with", "while"):
                start, depth = at + 1, 0
    return [token for token in tokens[start:] if token.kind != "line"]


def enclosing_call(tokens):
    """The number of tokens up to the end of the expression of the function in whose argument list the last token is; None if it
    is in none."""
    depth = 0
    for at in range(len(tokens) - 1, 0, -1):
        text = tokens[at].text if tokens[at].kind == "operator" else ""
        if text in _OPEN:
            depth += 1
        elif text in ("(", "[", "{"):
            if depth == 0:
                before = tokens[at - 1]
                is_call = text == "(" and (before.kind == "name" or before.text in ("]", ")"))
                return at if is_call else None
            depth -= 1
    return None


def expression(tokens):
    """The last tokens, as many as form one expression of names, attributes, literals and subscripts; empty if there is none."""
    at = len(tokens)
    while at > 0:
        token = tokens[at - 1]
        if token.kind == "operator" and token.text in (")", "]", "}"):
            start = _opening(tokens, at - 1)
            if start is None:
                return []
            at = start
            follows = at > 0 and (tokens[at - 1].kind in ("name", "string") or tokens[at - 1].text in (")", "]", "}"))
            if token.text != "}" and follows and tokens[at - 1].text not in _KEYWORDS:
                continue
        elif token.kind in ("name", "string", "number") and token.text not in _KEYWORDS:
            at -= 1
        else:
            return []
        if at == 0 or tokens[at - 1].text != ".":
            return tokens[at:]
        at -= 1
    return []


def _opening(tokens, at):
    depth = 0
    for index in range(at, -1, -1):
        text = tokens[index].text if tokens[index].kind == "operator" else ""
        if text in _OPEN:
            depth += 1
        elif text in ("(", "[", "{"):
            depth -= 1
            if depth == 0:
                return index
    return None


_KEYWORDS = frozenset(keyword.kwlist)
_CONSTANTS = {"None": None, "True": True, "False": False}


def literal(text):
    """The value of a string token, or MISSING for one with escapes or a prefix such as `f`."""
    found = _TOKEN.match(text)
    quote, prefix = found["quote"], (found["prefix"] or "").lower()
    inner = text[found.end() : -len(quote)]
    if prefix not in ("", "r", "u", "b", "rb", "br") or ("\\" in inner and "r" not in prefix):
        return MISSING
    if "b" in prefix:
        return inner.encode() if inner.isascii() else MISSING
    return inner


def value_of(tokens, scopes):
    """The object that an expression names, or MISSING: nothing is called and no property is evaluated.

    `tokens` come from `expression`; `scopes` are dictionaries, innermost first. For a literal that is not plain the value is
    another one of its type.
    """
    if not tokens:
        return MISSING
    first, at = tokens[0], 1
    if first.kind == "string":
        value = literal(first.text)
        value = "" if value is MISSING else value
    elif first.kind == "number":
        value = int(first.text) if first.text.isdecimal() and len(first.text) < 1000 else 0.0
    elif first.kind == "name":
        value = _CONSTANTS[first.text] if first.text in _CONSTANTS else look_up(first.text, scopes)
    elif first.text in ("[", "{"):
        at = _closing(tokens, 0)
        value = [] if first.text == "[" else {}
    elif first.text == "(":
        at = _closing(tokens, 0)
        inner = tokens[1 : at - 1]
        value = value_of(inner, scopes) if len(inner) < 200 and expression(inner) == inner else MISSING
    else:
        return MISSING
    while value is not MISSING and at < len(tokens):
        if tokens[at].text == "." and at + 1 < len(tokens):
            value = attribute(value, tokens[at + 1].text)
            at += 2
        elif tokens[at].text == "[":
            end = _closing(tokens, at)
            value = _item(value, tokens[at + 1 : end - 1])
            at = end
        else:
            return MISSING
    return value


def _closing(tokens, at):
    depth = 0
    for index in range(at, len(tokens)):
        text = tokens[index].text if tokens[index].kind == "operator" else ""
        if text in ("(", "[", "{"):
            depth += 1
        elif text in _OPEN:
            depth -= 1
            if depth == 0:
                return index + 1
    return len(tokens)


def look_up(name, scopes):
    """The value of the name in the first scope that has it, or MISSING."""
    for scope in scopes:
        if type(scope) is dict and name in scope:
            return scope[name]
    return MISSING


def imported(tokens):
    """The modules that the source imports and that are loaded already, by the names that the source binds."""
    found = {}
    for at, token in enumerate(tokens):
        begins_line = at == 0 or tokens[at - 1].kind == "line" or tokens[at - 1].text == ";"
        if token.text != "import" or token.kind != "name" or not begins_line:
            continue
        end = at + 1
        while end < len(tokens) and (tokens[end].kind == "name" or tokens[end].text == "."):
            end += 1
        words = [token.text for token in tokens[at + 1 : end]]
        name = words[0] if words else ""
        if "as" in words[:-1]:
            module, name = "".join(words[: words.index("as")]), words[-1]
        else:
            module = name
        if module in sys.modules:
            found[name] = sys.modules[module]
    return found


def _item(value, key):
    """The item of a list, tuple or dictionary for a literal string or integer, or MISSING."""
    sign = -1 if len(key) == 2 and key[0].text == "-" else 1
    if len(key) not in (1, 2) or (len(key) == 2 and sign == 1):
        return MISSING
    if key[-1].kind == "string" and sign == 1:
        at = literal(key[-1].text)
    elif key[-1].kind == "number" and key[-1].text.isdecimal() and len(key[-1].text) < 18:
        at = sign * int(key[-1].text)
    else:
        return MISSING
    for base in (list, tuple):
        if issubclass(type(value), base) and type(at) is int:
            return base.__getitem__(value, at) if -base.__len__(value) <= at < base.__len__(value) else MISSING
    return dict.get(value, at, MISSING) if issubclass(type(value), dict) else MISSING
