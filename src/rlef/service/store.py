"""Test sets by content: uploaded once, named by their hash, the longest unused ones forgotten."""

from __future__ import annotations

from collections import OrderedDict

from rlef.problems.types import Problem
from rlef.service.errors import Refused


class TestStore:
    """Keeps test sets whose bodies have at most ``limit`` bytes together."""

    __test__ = False

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self._kept: OrderedDict[str, tuple[Problem, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, name: str) -> bool:
        return name in self._kept

    def put(self, name: str, problem: Problem, size: int) -> None:
        """Keep a test set whose body has ``size`` bytes. Raises ``Refused`` if it can't fit."""
        if size > self.limit:
            raise Refused(
                413, "too_big", f"the test set has {size} bytes; this service keeps {self.limit} in all"
            )
        self.bytes += size - self._kept.pop(name, (problem, 0))[1]
        self._kept[name] = (problem, size)
        while self.bytes > self.limit:
            self.bytes -= self._kept.popitem(last=False)[1][1]

    def get(self, name: str) -> Problem:
        """The test set, which counts as used. Raises ``Refused`` if it is not there (any more)."""
        if name not in self._kept:
            raise Refused(404, "unknown_tests", f"unknown tests, upload them: PUT /tests/{name}", tests=name)
        self._kept.move_to_end(name)
        return self._kept[name][0]
