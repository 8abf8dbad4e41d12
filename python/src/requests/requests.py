"""The request `is_complete`."""


def is_complete(code):
    """Whether code is a whole cell: (status, indent). The status is "complete", "incomplete" or "invalid"; the indent is what
    the next line of an incomplete cell begins with."""
    import codeop
    import warnings

    compiler = codeop.CommandCompiler()
    compiler.compiler.flags |= 0x2000  # PyCF_ALLOW_TOP_LEVEL_AWAIT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = compiler(code, "<input>", "exec")
        except (SyntaxError, OverflowError, ValueError, MemoryError, RecursionError):
            # MemoryError and RecursionError: the source is nested too deeply, so more of it would not make it valid.
            return "invalid", ""
        lines = code.split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        indent = last[: len(last) - len(last.lstrip())]
        if result is None:
            if last.rstrip().endswith(":"):
                indent += "    "
            return "incomplete", indent
        # As at the prompt, a block ends with an empty line.
        if indent and lines[-1].strip():
            return "incomplete", indent
        return "complete", ""
