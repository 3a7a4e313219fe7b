"""What the feedback is worth: solve rate by turn, and repairs, beside the controls.

``multi_turn`` is held against each control at every turn, paired by problem. With ``single_turn``
as the control, turn t is held against the best of t independent samples: the same budget.

Recovery is the chance to be solved later for an episode whose first turn failed, where the
loop stops at a public pass: sum of (solved by t - solved in 1) over sum of (failed in 1), each
problem counting as much as any other. For ``single_turn`` the same sums are what a fresh sample
would have done: given that the first of t samples failed, the chance that one of the others,
chosen by the public tests, is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rlef.evaluation.budgets import Rollouts, counts_at
from rlef.evaluation.intervals import Interval, differences, ratio_differences, ratios, sign_flips
from rlef.evaluation.measure import Table, chances

TREATED = "multi_turn"
SAMPLES = "single_turn"

Curves = Mapping[str, Sequence[float]]
"""By problem: share of rollouts solved in turn 1, in turn 2 or before, …"""
Shares = Mapping[str, float]
"""By problem: share of rollouts whose first turn failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityRow:
    """Share solved by a turn, of ``multi_turn`` minus that of a control."""

    model: str
    control: str
    turn: int
    difference: float
    low: float
    high: float
    p_value: float
    problems: int
    """Problems that both have, and the mean is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryRow:
    """Chance to be solved by a turn, for an episode whose first turn failed."""

    model: str
    condition: str
    turn: int
    """From 2."""
    failed: float
    """Share of first turns that failed, a mean over problems."""
    recovered: float | None
    """None where no first turn failed."""
    low: float | None
    high: float | None
    problems: int
    difference: float | None = None
    """``multi_turn``'s minus this one's, over the problems that both have; None for itself."""
    difference_low: float | None = None
    difference_high: float | None = None


def curves(rollouts: Rollouts, *, condition: str, turns: int) -> dict[str, list[float]]:
    """Share solved by each turn up to ``turns``.

    For ``single_turn`` the entry t is 1@t. A problem with fewer samples than ``turns`` is left out.
    """
    if condition == SAMPLES:
        table = Table.of(counts_at(rollouts))
        columns = [chances(1, drawn, table) for drawn in range(1, turns + 1)]
    else:
        tables = [Table.of(counts_at(rollouts, limit)) for limit in range(1, turns + 1)]
        columns = [table.solved_P / table.rollouts_P for table in tables]
    rows = np.stack(columns, axis=1).tolist() if rollouts else []
    return {name: row for name, row in zip(rollouts, rows, strict=True) if all(map(math.isfinite, row))}


def failed_first(rollouts: Rollouts) -> dict[str, float]:
    """Share of the rollouts of each problem whose first turn failed."""
    return {name: sum(one.failed_first for one in some) / len(some) for name, some in rollouts.items()}


def sensitivity_rows(curves: Mapping[str, Mapping[str, Curves]]) -> Iterator[SensitivityRow]:
    """``multi_turn`` minus each control of a model, at every turn."""
    for model, conditions in curves.items():
        for control, theirs in conditions.items():
            ours = conditions.get(TREATED, {})
            shared = [name for name in ours if name in theirs]
            if control == TREATED or not shared:
                continue
            turns = _both(ours, theirs)
            gaps_PX = _matrix(ours, shared, turns) - _matrix(theirs, shared, turns)
            p_values = sign_flips(gaps_PX)
            for at, interval in enumerate(differences(gaps_PX)):
                yield SensitivityRow(
                    model=model,
                    control=control,
                    turn=at + 1,
                    difference=float(gaps_PX[:, at].mean()),
                    low=interval.low,
                    high=interval.high,
                    p_value=p_values[at],
                    problems=len(shared),
                )


def recovery_rows(
    curves: Mapping[str, Mapping[str, Curves]], failed: Mapping[str, Mapping[str, Shares]]
) -> Iterator[RecoveryRow]:
    """Recovery of every condition by every turn, and what ``multi_turn``'s exceeds it by."""
    for model, conditions in curves.items():
        for condition, theirs in conditions.items():
            lost = failed.get(model, {}).get(condition, {})
            names = [name for name in theirs if name in lost]
            if not names:
                continue
            found = _recovery(theirs, lost, names)
            gaps = []
            if condition != TREATED:
                ours, our_lost = conditions.get(TREATED, {}), failed[model].get(TREATED, {})
                shared = [name for name in names if name in ours and name in our_lost]
                gaps = _gaps((ours, our_lost), (theirs, lost), shared) if shared else []
            share = sum(lost[name] for name in names) / len(names)
            for at, (value, interval) in enumerate(found):
                gap = gaps[at] if at < len(gaps) else (None, Interval(math.nan, math.nan))
                yield RecoveryRow(
                    model=model,
                    condition=condition,
                    turn=at + 2,
                    failed=share,
                    recovered=value,
                    low=_number(interval.low),
                    high=_number(interval.high),
                    problems=len(names),
                    difference=gap[0],
                    difference_low=_number(gap[1].low),
                    difference_high=_number(gap[1].high),
                )


Estimate = tuple[float | None, Interval]


def _recovery(curves: Curves, lost: Shares, names: Sequence[str]) -> list[Estimate]:
    parts_PX, wholes_PX = _parts(curves, lost, names)
    return list(zip(_ratio(parts_PX, wholes_PX), ratios(parts_PX, wholes_PX), strict=True))


def _gaps(ours: tuple[Curves, Shares], theirs: tuple[Curves, Shares], names: Sequence[str]) -> list[Estimate]:
    """Differences of two recoveries, both read off the same draws of problems."""
    turns = _both(ours[0], theirs[0])
    a, b = _parts(*ours, names, turns), _parts(*theirs, names, turns)
    values = [None if x is None or y is None else x - y for x, y in zip(_ratio(*a), _ratio(*b), strict=True)]
    return list(zip(values, ratio_differences(a, b), strict=True))


def _parts(
    curves: Curves, lost: Shares, names: Sequence[str], turns: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    solved_PX = _matrix(curves, names, turns)
    gained_PX = solved_PX[:, 1:] - solved_PX[:, :1]
    lost_PX = np.repeat(np.array([[lost[name]] for name in names]), gained_PX.shape[1], axis=1)
    return gained_PX, lost_PX


def _ratio(parts_PX: np.ndarray, wholes_PX: np.ndarray) -> list[float | None]:
    return [
        float(part / whole) if whole > 0 else None
        for part, whole in zip(parts_PX.sum(axis=0), wholes_PX.sum(axis=0), strict=True)
    ]


def _matrix(curves: Curves, names: Sequence[str], turns: int | None = None) -> np.ndarray:
    return np.array([list(curves[name])[:turns] for name in names])


def _both(ours: Curves, theirs: Curves) -> int:
    """The turns that both have: independent samples have a curve as long as their budget."""
    return min(len(next(iter(curves.values()))) for curves in (ours, theirs))


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
