"""Function-call problems over a sandbox that only knows stdin and stdout (first storey).

The program that runs is the candidate with a short driver after it. The driver reads a
marker and the arguments from stdin, calls the function, and writes marker and result, as
JSON, on a line of their own. The judge takes the last such line, so what the candidate
prints besides can't be mistaken for its answer.

Covered: stray prints, candidates that rebind ``len`` or ``json``, results of hostile types
(only text comes back), results that are not plain data (a runtime error).
Not covered: a candidate may read the marker from stdin and write the line itself. It gains
nothing that a plain ``return`` would not give it, as the expected value is not in its
process. A private channel, and many calls in one process, replace this module's inside in
the next storey; its functions stay.
"""

from __future__ import annotations

import hashlib
import json
import re

from rlef.errors import DataError
from rlef.problems.types import Problem

_DRIVER = """

def __rlef_call__():
    import builtins, json, sys
    marker, _, arguments = sys.stdin.buffer.read().partition(b"\\n")
    scope = builtins.globals()
    if {name!r} not in scope and "Solution" in scope:
        function = builtins.getattr(scope["Solution"](), {name!r})
    else:
        function = scope[{name!r}]
    result = json.dumps(function(*json.loads(arguments)))
    with builtins.open(1, "wb", closefd=False) as out:
        out.write(b"\\n" + marker + b" " + result.encode() + b"\\n")


__rlef_call__()
"""
_FRAME = re.compile(r'  File "[^"]*", line (\d+), in ')


def entry_name(problem: Problem) -> str:
    """The function to call, ``f`` for ``Solution().f`` too. Raises ``DataError`` if there is none."""
    name = (problem.entry_point or "").removeprefix("Solution().").removeprefix("Solution.")
    if not name.isidentifier():
        raise DataError(f"problem {problem.id} is tested by calls, so it needs the name of a function")
    return name


def check_arguments(text: str, problem_id: str) -> None:
    """Raise ``DataError`` unless ``text`` is a JSON list: the driver's failure to read it
    would look like the candidate's.
    """
    try:
        arguments = json.loads(text)
    except ValueError as error:
        raise DataError(f"problem {problem_id}: the arguments of a test are not JSON: {error}") from None
    if not isinstance(arguments, list):
        raise DataError(f"problem {problem_id}: the arguments of a test must be a JSON list")


def with_driver(code: str, name: str) -> str:
    """The candidate followed by the driver that calls function ``name``."""
    return code + "\n" + _DRIVER.format(name=name)


def marker(code: str, arguments: str) -> bytes:
    """The word before the result, unlike anything that a program prints by chance.

    Derived, not drawn, so that a candidate that prints its stdin gets the same feedback
    every time; it depends on the source, so a source can't hold its own marker.
    """
    digest = hashlib.sha256(code.encode("utf-8", "surrogatepass"))
    digest.update(b"\0" + arguments.encode("utf-8", "surrogatepass"))
    return b"rlef:" + digest.hexdigest()[:32].encode()


def stdin(code: str, arguments: str) -> bytes:
    """What the driver reads: the marker's line, then the JSON list of arguments."""
    return marker(code, arguments) + b"\n" + arguments.encode("utf-8", "surrogatepass")


def result(stdout: bytes, mark: bytes) -> bytes | None:
    """The JSON text that the driver wrote last, or None if it never came so far."""
    start = stdout.rfind(b"\n" + mark + b" ")
    if start < 0:
        return None
    start += len(mark) + 2
    end = stdout.find(b"\n", start)
    return stdout[start : end if end >= 0 else len(stdout)]


def without_driver(trace: str, code: str) -> str:
    """A stack trace without the driver's own frames, which lie below the candidate's last line."""
    last = code.count("\n") + 1
    kept: list[str] = []
    dropping = False
    for line in trace.split("\n"):
        frame = _FRAME.match(line)
        if frame:
            dropping = int(frame[1]) > last and line.endswith(("in __rlef_call__", "in <module>"))
        elif not line.startswith("    "):
            dropping = False
        if not dropping:
            kept.append(line)
    return "\n".join(kept)
