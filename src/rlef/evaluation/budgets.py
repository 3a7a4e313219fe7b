"""Solve rates over the whole axis of budgets: n@k for every turn limit, and pass@k.

An episode that was played with limit T and ended after t turns is also what a limit L >= t
gives. Under a limit L < t it is its first L turns, unsolved, for passing public tests would
have ended it. So one run with limit T gives every limit up to T (limits as in the RLEF paper, section 3.4):
all conditions stop at a public pass, and no prompt says how many turns are left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from rlef.evaluation.intervals import Interval, rates
from rlef.evaluation.measure import Counts, Table, chances, pass_chances
from rlef.evaluation.outcome import Outcome

LIMITS = (1, 3, 5, 10)
"""Turn limits of the paper's figures, read off a run with a limit that is no smaller."""
SUBMITTED = (1, 10)
GRID = (*range(1, 11), *range(12, 31, 3), 20, 33, *range(35, 51, 5), *range(60, 101, 10))
"""Numbers of draws that get a point, up to 100; then every 50. In it are those that the paper's 10@100 draws:
100 with one turn, 33 with three, 20 with five, 10 with ten."""

Rollouts = Mapping[str, Sequence[Outcome]]
"""Scored episodes by problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """n@k at one point of the axis. Its mean is over the problems with enough rollouts."""

    model: str
    condition: str
    turns: int
    """The turn limit; 1 for independent samples."""
    n: int
    k: int
    """Samples: a multiple of ``turns``."""
    solved: float
    low: float
    high: float
    problems: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRow:
    """pass@k: one of ``k`` final programs is right, all of them submitted, none selected."""

    model: str
    condition: str
    k: int
    """Rollouts, not samples: what a rollout cost does not count here."""
    solved: float
    low: float
    high: float
    problems: int


class _Figures(TypedDict):
    solved: float
    low: float
    high: float
    problems: int


def counts_at(rollouts: Rollouts, limit: int | None = None) -> dict[str, Counts]:
    """Rollouts, public passes and solved ones of each problem under a turn limit."""
    found = {}
    for problem_id, some in rollouts.items():
        last = [one.at(limit or max(len(one.turns), 1)) for one in some]
        found[problem_id] = Counts(
            rollouts=len(some),
            public=sum(turn is not None and turn.passed for turn in last),
            solved=sum(turn is not None and bool(turn.solved) for turn in last),
        )
    return found


def budget_rows(rollouts: Rollouts, *, model: str, condition: str, turns: int) -> list[BudgetRow]:
    """n@k of every limit up to ``turns``, every n of ``SUBMITTED`` and a grid of budgets.

    The axis ends where fewer than half of the problems have that many scored rollouts.
    """
    points, columns = [], []
    for limit in sorted({limit for limit in LIMITS if limit < turns} | {turns}):
        table = Table.of(counts_at(rollouts, limit))
        for drawn in grid(table.rollouts_P):
            for n in SUBMITTED:
                if n <= drawn:
                    points.append((limit, n, drawn * limit))
                    columns.append(chances(n, drawn, table))
    return [
        BudgetRow(model=model, condition=condition, turns=limit, n=n, k=k, **_figures(column, interval))
        for (limit, n, k), column, interval in zip(points, columns, _intervals(columns), strict=True)
    ]


def pass_rows(rollouts: Rollouts, *, model: str, condition: str) -> list[PassRow]:
    """pass@k of the final programs, on the same grid."""
    table = Table.of(counts_at(rollouts))
    points = grid(table.rollouts_P)
    columns = [pass_chances(k, table) for k in points]
    return [
        PassRow(model=model, condition=condition, k=k, **_figures(column, interval))
        for k, column, interval in zip(points, columns, _intervals(columns), strict=True)
    ]


def grid(rollouts_P: np.ndarray) -> list[int]:
    """How many rollouts are drawn at each point: a readable choice of 1 … most, both ends in it."""
    if not len(rollouts_P):
        return []
    most = int(np.quantile(rollouts_P, 0.5, method="lower"))
    points = [*GRID, *range(150, most, 50)]
    return sorted({point for point in points if point < most} | {most})


def _intervals(columns: Sequence[np.ndarray]) -> list[Interval]:
    return rates(np.stack(columns, axis=1)) if columns else []


def _figures(column: np.ndarray, interval: Interval) -> _Figures:
    there = np.isfinite(column)
    return {
        "solved": float(column[there].mean()),
        "low": interval.low,
        "high": interval.high,
        "problems": int(there.sum()),
    }
