"""Lines in any order: can they be paired so that each pair is the same by `tokens`?

"The same" is no equivalence where a decimal is expected: 1.0000005 is right for both 1.0 and
1.000001, and one of these may have no other line that is right for it. So equal lines can't
just be counted, nor paired as they come. Three steps:

1. Expected lines without a decimal are right in one spelling only, so they are counted off.
2. What is left is paired in sorted order. If each pair is the same, that is a pairing.
3. Otherwise lines are paired one by one, and earlier pairs are changed where that makes room
   (augmenting paths, which miss no pairing). Cells tell which pairs are worth a look.

Lines without words don't count, as in `tokens`. The output is hostile, so step 3 stops after
`_LOOKS` and says no. Only hundreds of expected lines within 1e-6 of each other take
that many. A pairing may then be missed; one that is none is never found.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterator

from rlef.judge.tokens import canonical, number, same, tolerant

_LOOKS = (1_000_000, 16)
"""Looks at words that step 3 may take: so many, and so many for each word of the two outputs."""

_MARGIN = 2e-6
"""Numbers that are close enough for `tokens` are closer than this on the scale of `_place`."""

_FINE, _COARSE = 8e-6, 1e-3
"""Widths of cells: fine for a line's first decimal, so that a cell holds few lines, and
coarse for the others, so that few cells are within reach of a line."""

_REACH = 64
"""Decimals of a line that its cell depends on. More would bring more cells within reach."""

Line = tuple[bytes, ...]
"""The words of a line, whole numbers in canonical form."""

_Cell = tuple[Line, tuple[int, ...]]
"""The words that are no decimals, and the cells of the decimals."""


def same_lines(expected: bytes, got: bytes) -> bool:
    """True if the lines can be paired so that each pair is the same by `tokens`."""
    wants, gots = _lines(expected), _lines(got)
    if wants.total() != gots.total():
        return False
    loose: Counter[Line] = Counter()
    for line, count in wants.items():
        if any(map(tolerant, line)):
            loose[line] = count
        elif gots[line] < count:
            return False
        else:
            gots[line] -= count
    gots = +gots  # without those that are used up
    if all(map(_same_line, _in_order(loose), _in_order(gots))):
        return True
    try:
        return _Search(loose, gots).complete()
    except _TooManyLooksError:
        return False


def _lines(text: bytes) -> Counter[Line]:
    lines = (tuple(map(canonical, line.split())) for line in text.split(b"\n"))
    return Counter(line for line in lines if line)


def _same_line(want: Line, got: Line) -> bool:
    return len(want) == len(got) and all(map(same, want, got))


def _in_order(lines: Counter[Line]) -> list[Line]:
    def order(line: Line) -> list[tuple[float, bytes]]:
        values = ((number(word), word) for word in line)
        return [(math.inf, word) if value is None else (value, b"") for value, word in values]

    return sorted(lines.elements(), key=order)


class _TooManyLooksError(Exception):
    pass


class _Search:
    """The search for a pairing of as many printed as expected lines. Equal lines are one entry.

    It uses up ``gots``.
    """

    def __init__(self, wants: Counter[Line], gots: Counter[Line]) -> None:
        self.wants = wants
        self.free = gots
        """Printed lines that have no partner yet."""
        self.paired: dict[Line, Counter[Line]] = defaultdict(Counter)
        """How many of a printed line are paired with each expected line."""
        words = sum(len(line) * count for side in (wants, gots) for line, count in side.items())
        self.looks = _LOOKS[0] + _LOOKS[1] * words
        self.near = self._near()
        """The printed lines that are right for each expected line."""

    def complete(self) -> bool:
        """Pair all lines; False if some can't be. Raises ``_TooManyLooksError``."""
        for want, missing in self.wants.items():
            for got in self.near[want]:
                missing -= self._pair([(want, got)], missing)
            while missing:
                path = self._path(want)
                if not path:
                    return False  # and what is paired later makes no more room for it
                missing -= self._pair(path, missing)
        return True

    def _path(self, start: Line) -> list[tuple[Line, Line]]:
        """The shortest chain of new pairs that ends at a free line; empty if there is none.

        Each expected line after the first gives up the printed line of the pair before it.
        """
        reached: dict[Line, Line] = {}  # printed line: the expected line that asks for it
        asked: dict[Line, Line] = {}  # expected line: the printed line that it would give up
        queue = deque([start])
        while queue:
            want = queue.popleft()
            for got in self.near[want]:
                self._look(1)
                if got in reached:
                    continue
                reached[got] = want
                if self.free[got]:
                    path = [(want, got)]
                    while want != start:
                        got = asked[want]
                        want = reached[got]
                        path.append((want, got))
                    return path[::-1]
                partners = self.paired[got]
                self._look(len(partners))
                others = [w for w, count in partners.items() if count and w != start and w not in asked]
                asked.update(dict.fromkeys(others, got))
                queue.extend(others)
        return []

    def _pair(self, path: list[tuple[Line, Line]], most: int) -> int:
        """Make the pairs of ``path`` as often as can be, at most ``most`` times; how often it was."""
        moves = [(want, given) for (_, given), (want, _) in itertools.pairwise(path)]
        last = path[-1][1]
        times = min([most, self.free[last], *(self.paired[given][want] for want, given in moves)])
        for want, given in moves:
            self.paired[given][want] -= times
        for want, got in path:
            self.paired[got][want] += times
        self.free[last] -= times
        return times

    def _near(self) -> dict[Line, list[Line]]:
        by_length: dict[int, list[Line]] = defaultdict(list)
        for got in self.free:
            by_length[len(got)].append(got)
        shapes: dict[tuple[int, ...], dict[_Cell, list[Line]]] = {}
        near: dict[Line, list[Line]] = {}
        for want in self.wants:
            decimals = tuple(i for i, word in enumerate(want) if tolerant(word))
            shape = (len(want), *decimals)
            if shape not in shapes:
                shapes[shape] = self._in_cells(by_length[len(want)], decimals)
            near[want] = []
            for cell in _cells(want, decimals, _MARGIN):
                candidates = shapes[shape].get(cell, [])
                self._look(len(want) * (1 + len(candidates)))
                near[want] += [got for got in candidates if _same_line(want, got)]
        return near

    def _in_cells(self, lines: list[Line], decimals: tuple[int, ...]) -> dict[_Cell, list[Line]]:
        cells: dict[_Cell, list[Line]] = defaultdict(list)
        for line in lines:
            self._look(len(line))
            for cell in _cells(line, decimals, 0):
                cells[cell].append(line)
        return cells

    def _look(self, words: int) -> None:
        self.looks -= words
        if self.looks < 0:
            raise _TooManyLooksError


def _cells(line: Line, decimals: tuple[int, ...], margin: float) -> Iterator[_Cell]:
    """The cells within ``margin`` of a line: one if that is 0, none without numbers at ``decimals``."""
    others = set(range(len(line))).difference(decimals)
    rigid = tuple(line[i] for i in sorted(others))
    choices: list[set[int]] = []
    for i in decimals[:_REACH]:
        place = _place(line[i])
        if place is None:
            return
        width = _COARSE if choices else _FINE
        # A third of a cell off, because a number like 0.5 should not lie on an edge.
        choices.append({math.floor((at / width) + 1 / 3) for at in (place - margin, place + margin)})
    for cells in itertools.product(*choices):
        yield rigid, cells


def _place(word: bytes) -> float | None:
    """Where a number lies on a scale on which tolerances are about the same everywhere."""
    value = number(word)
    if value is None or abs(value) <= 1:
        return value
    return math.copysign(1 + math.log(abs(value)), value)
