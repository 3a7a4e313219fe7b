"""What an evaluation cost: requests, tokens, and the time of its programs, by condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rlef.views.charts import CONDITION_NAMES
from rlef.views.episodes import usage

Json = Mapping[str, Any]


@dataclass(slots=True)
class _Sum:
    episodes: int = 0
    requests: int = 0
    read: int = 0
    wrote: int = 0
    cpu_s: float = 0.0


@dataclass(slots=True)
class Costs:
    """Adds up rows of ``episodes-*.jsonl`` as they are read; others are let pass."""

    sums: dict[tuple[str, str], _Sum] = field(default_factory=dict)

    def add(self, row: Json) -> None:
        """Count one episode. Raises what a damaged row raises, before anything is counted."""
        if not isinstance(row, Mapping) or "condition" not in row:
            return
        tokens, cpu_s = usage(row), sum(map(_cpu_s, row["turns"]))
        found = self.sums.setdefault((str(row.get("phase", "")), str(row["condition"])), _Sum())
        found.episodes += 1
        found.requests += len(tokens)
        found.read += sum(read for read, _ in tokens)
        found.wrote += sum(wrote for _, wrote in tokens)
        found.cpu_s += cpu_s

    def rows(self) -> list[tuple[str, ...]]:
        """Model, condition and figures, as text; a last row adds up where there are several."""
        found = [self._row(*key, one) for key, one in self.sums.items()]
        if len(found) > 1:
            whole = _Sum()
            for one in self.sums.values():
                whole.episodes += one.episodes
                whole.requests += one.requests
                whole.read += one.read
                whole.wrote += one.wrote
                whole.cpu_s += one.cpu_s
            found.append(self._row("all", "", whole))
        return found

    @staticmethod
    def _row(model: str, condition: str, one: _Sum) -> tuple[str, ...]:
        name = CONDITION_NAMES.get(condition, condition).replace(", same budget", "")
        counts = (one.episodes, one.requests, one.read, one.wrote)
        return (model, name, *(f"{count:,}" for count in counts), f"{one.cpu_s:,.1f}")


def asked(spent: Json) -> str:
    """What a model behind an endpoint was asked for, in a sentence; empty for one in process."""
    names = ("requests", "read", "wrote")
    if not all(isinstance(spent.get(name), int) for name in names):
        return ""
    requests, read, wrote = (f"{spent[name]:,}" for name in names)
    return (
        f"Asked for: {requests} requests, {read} tokens read, {wrote} written{_took(spent)}. "
        "Equal requests (the first turns of several conditions, those of a resumed run) are asked once "
        "and counted here once."
        f"{_too_long(spent)}"
    )


def _took(spent: Json) -> str:
    seconds = spent.get("seconds")
    if not isinstance(seconds, int | float) or not seconds > 0:
        return ""
    return f", in {seconds:,.0f} s ({spent['wrote'] / seconds:,.1f} tokens a second)"


def _too_long(spent: Json) -> str:
    number = spent.get("too_long")
    if not isinstance(number, int) or number < 1:
        return ""
    return f" The model's context was too short for {number:,} of them; their episodes ended there, unsolved."


def _cpu_s(turn: Json) -> float:
    reports = [report for report in (turn.get("public"), turn.get("hidden")) if report]
    return sum(float(test.get("cpu_s") or 0.0) for report in reports for test in report["tests"])
