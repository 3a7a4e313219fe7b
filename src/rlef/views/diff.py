"""What changed from one program to the next: line by line, and within a line that was rewritten."""

from __future__ import annotations

import difflib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from rlef.views.text import clipped

PAIRS = 20_000
"""Pairs of equal lines that are looked at. difflib's time grows with them times the blocks it finds:
two programs of 400 lines that repeat two of them (40,000 pairs) took it 5 s."""

Line = tuple[str, str]
"""``same``, ``add`` or ``del``, and the line."""
Piece = tuple[bool, str]
"""Part of a line; true if it is not in the line's other version."""


def compared(before: str | None, code: str) -> Iterator[Line]:
    """Lines of a program against those of the one before; all ``same`` where there is none.

    Both are cut as a page cuts texts. Where lines repeat too often to be matched, everything between
    the equal beginning and the equal end is taken for rewritten, which is true and only less telling.
    """
    new = clipped(code).rstrip("\n").split("\n")
    old = new if before is None else clipped(before).rstrip("\n").split("\n")
    head = _alike(old, new)
    tail = _alike(old[head:][::-1], new[head:][::-1])
    yield from (("same", line) for line in new[:head])
    yield from _middle(old[head : len(old) - tail], new[head : len(new) - tail])
    yield from (("same", line) for line in new[len(new) - tail :])


def marked(lines: Sequence[Line]) -> Iterator[tuple[str, tuple[Piece, ...]]]:
    """The same lines in pieces: of as many lines rewritten as taken away, what differs in each pair."""
    blocks = [(kind, [line for _, line in block]) for kind, block in itertools.groupby(lines, _kind)]
    for place, (kind, block) in enumerate(blocks):
        beside = place + 1 if kind == "del" else place - 1
        other = blocks[beside] if 0 <= beside < len(blocks) else ("", [])
        paired = {kind, other[0]} == {"add", "del"} and len(other[1]) == len(block)
        for index, line in enumerate(block):
            yield kind, _pieces(line, other[1][index]) if paired else ((False, line),)


def _kind(line: Line) -> str:
    return line[0]


def _middle(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    twice = Counter(old)
    if sum(twice[line] for line in new) > PAIRS:
        yield from (("del", line) for line in old)
        yield from (("add", line) for line in new)
        return
    for kind, i, j, k, m in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (("same", line) for line in new[k:m])
        else:
            yield from (("del", line) for line in old[i:j])
            yield from (("add", line) for line in new[k:m])


def _pieces(line: str, other: str) -> tuple[Piece, ...]:
    head = _alike(line, other)
    tail = _alike(line[head:][::-1], other[head:][::-1])
    if head + tail < min(len(line), len(other)) // 2:  # little in common: no part of it is the news
        return ((False, line),)
    end = len(line) - tail
    pieces = (False, line[:head]), (True, line[head:end]), (False, line[end:])
    return tuple(piece for piece in pieces if piece[1]) or ((False, ""),)


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items two sequences begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
