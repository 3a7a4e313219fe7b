"""Python stack traces as a reader of feedback wants them: short, and about the program."""

from __future__ import annotations

import re

MARK = "[...]"
"""Stands where text was left out."""

PROGRAM = "solution.py"
"""The program's name in every message."""

_FRAME = re.compile(r'^(\s+File ")([^"]*)(", line \d+.*)$')
_PROGRAM_FILES = {PROGRAM, "<solution>", "<program>", "<string>", "program.py"}
_LIBRARY = re.compile(r"^.*/lib/python[\d.]+/(?:site-packages/)?")


def clean(trace: str, cap: int) -> str:
    """A trace without frames of the harness and of frozen modules, at most ``cap`` characters.

    The program is called ``solution.py``, library paths lose their prefix. A trace that is
    too long keeps its first line and its last lines.
    """
    kept: list[str] = []
    dropping = False
    for line in trace.strip("\n").split("\n"):
        frame = _FRAME.match(line)
        if frame:
            name = _file_name(frame[2])
            dropping = name is None
            line = f"{frame[1]}{name}{frame[3]}"
        elif not line.startswith("    "):
            dropping = False
        if not dropping:
            kept.append(line.rstrip())
    return _shorten(kept, cap)


def last_line(trace: str, cap: int) -> str:
    """The line that names the exception, at most ``cap`` characters of it."""
    lines = [line for line in trace.split("\n") if line.strip()]
    return head(lines[-1].strip(), cap) if lines else ""


def head(text: str, cap: int) -> str:
    """The first ``cap`` characters of a text, the mark included if any are left out."""
    return text if len(text) <= cap else text[: max(0, cap - len(MARK))] + MARK


def _file_name(path: str) -> str | None:
    """How a frame's file is called in feedback; None for frames that are not shown."""
    if path.rsplit("/", 1)[-1] in _PROGRAM_FILES:
        return PROGRAM
    if path.startswith("<") or "/rlef/" in path:
        return None
    return _LIBRARY.sub("", path)


def _shorten(lines: list[str], cap: int) -> str:
    whole = "\n".join(lines)
    if len(whole) <= cap or len(lines) == 1:
        return head(whole, cap)
    first = head(lines[0], cap // 2)
    room = cap - len(first) - len(MARK) - 2
    tail: list[str] = []
    for line in reversed(lines[1:]):
        if len(line) + 1 > room and tail:
            break
        tail.append(head(line, max(room, len(MARK))))
        room -= len(tail[-1]) + 1
    return "\n".join([first, MARK, *reversed(tail)]) if tail else first
