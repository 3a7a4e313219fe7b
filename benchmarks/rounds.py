"""Contestants in turn, round after round, so that a busy neighbour hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Contestant = Callable[[], float]
"""Does its work once and returns what it took. Raises ``WrongOutput`` if it did not do it."""
_FEWEST = 3


class WrongOutput(Exception):
    """A contestant gave something else than the expected output."""


def repeated(contestant: Contestant, times: int) -> Contestant:
    """Several goes as one: on a busy machine whoever has slept runs undisturbed for some milliseconds,
    which favours short turns. So all turns of a round should be about as long.
    """
    return lambda: sum(contestant() for _ in range(times)) / times


class Times:
    """What each contestant took in each round; None where it failed."""

    def __init__(self, names: list[str]) -> None:
        self.of: dict[str, list[float | None]] = {name: [] for name in names}

    def values(self, name: str) -> list[float]:
        """The rounds in which a contestant did its work. Raises ``WrongOutput`` if too few."""
        good = [value for value in self.of[name] if value is not None]
        if 2 * len(good) < len(self.of[name]) or not good:
            rounds = len(self.of[name])
            raise WrongOutput(f"{name} gave a wrong output in {rounds - len(good)} of {rounds} rounds")
        return good

    def median(self, name: str) -> float:
        """What a contestant took in the middle round."""
        return statistics.median(self.values(name))

    def ratio(self, slow: str, fast: str) -> float:
        """How many times longer ``slow`` took than ``fast``: the middle one of the rounds' ratios."""
        self.values(slow), self.values(fast)
        pairs = zip(self.of[slow], self.of[fast], strict=True)
        ratios = [a / b for a, b in pairs if a is not None and b is not None]
        if not ratios:
            raise WrongOutput(f"no round in which both {slow} and {fast} gave the right output")
        return statistics.median(ratios)

    def details(self) -> dict[str, Any]:
        """Low decile and median of each contestant, and how often it failed."""
        found = {}
        for name, rounds in self.of.items():
            good = sorted(value for value in rounds if value is not None)
            row: dict[str, Any] = {"rounds": len(rounds)}
            if good:
                low, middle = good[len(good) // 10], statistics.median(good)
                row |= {"p10": float(f"{low:.4g}"), "median": float(f"{middle:.4g}")}
            if len(good) < len(rounds):
                row["wrong outputs"] = len(rounds) - len(good)
            found[name] = row
        return found


def interleave(contestants: Mapping[str, Contestant], *, rounds: int, seconds: float) -> Times:
    """Let everybody run once a round, for ``rounds`` rounds or about ``seconds``.

    Each round begins with another contestant, so that nobody always follows the same one. One round
    goes before, uncounted, to warm up. A peer that fails loses the round; rlef may not fail:
    contestants whose names begin with "rlef" have their ``WrongOutput`` raised.
    """
    names = list(contestants)
    times = Times(names)
    for name in names:
        _once(name, contestants[name])
    end = time.monotonic() + seconds
    for count in range(rounds):
        if count >= _FEWEST and time.monotonic() > end:
            break
        turn = count % len(names)
        for name in names[turn:] + names[:turn]:
            times.of[name].append(_once(name, contestants[name]))
    return times


def _once(name: str, contestant: Contestant) -> float | None:
    try:
        return contestant()
    except WrongOutput:
        if name.startswith("rlef"):
            raise
        return None
