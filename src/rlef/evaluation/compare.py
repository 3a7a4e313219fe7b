"""Runs against each other: paired by problem, with an interval, a p-value and a plain sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rlef.errors import DataError
from rlef.evaluation.intervals import TIE, Difference
from rlef.evaluation.measured import Side, differing, read_side
from rlef.evaluation.seeds import mean_difference, mean_interval

REPEATS = 10_000
LEVEL = 0.05
MUST_AGREE = ("dataset", "split", "n", "k", "turns")


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRow:
    """One side under one condition, over all problems that each of its runs has a figure for."""

    side: str
    model: str
    condition: str
    dataset: str
    split: str
    n: int
    k: int
    turns: int
    solved: float
    low: float
    high: float
    """95 % interval, over problems, and over seeds of training where there are several."""
    problems: int
    runs: int
    models: int
    """Trainings among the runs; 1 where one model was measured several times."""
    seeds: list[int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """Side ``a`` minus side ``b`` under one condition, over the problems that both have."""

    a: str
    b: str
    condition: str
    n: int
    k: int
    a_solved: float
    b_solved: float
    difference: float
    low: float
    high: float
    p_value: float
    """Two-sided. One model each: sign flips over problems. Several: Student's, seeds and problems."""
    problems: int
    left_out: int
    """Problems that only one side has a figure for."""
    only_a: list[str]
    """Problems that ``a`` solved at least once and ``b`` never."""
    only_b: list[str]
    higher_a: int
    """Problems whose rate is higher for ``a``, the above among them."""
    higher_b: int
    a_models: int
    b_models: int
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All sides, and each against the first."""

    sides: list[SideRow]
    differences: list[PairRow]
    settings: dict[str, list[Any]]
    """Settings that differ between the sides, with each side's value; of a group, its first run's."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json`` and the report."""
        return asdict(self)


def compare(
    sides: Sequence[Path | Side], *, model: str | None = None, conditions: Sequence[str] | None = None
) -> Comparison:
    """Compare two or more runs (or folders of runs with different seeds), each against the first.

    ``model`` chooses the rows, as ``read_side`` does. ``conditions`` defaults to all that every
    side has. Raises ``DataError`` if the sides don't share data set, split, budget or any
    condition or problem, and says what differs.
    """
    read = [side if isinstance(side, Side) else read_side(side, model) for side in sides]
    if len(read) < 2:
        raise DataError("a comparison needs two runs or more")
    paths = [run.path.resolve() for side in read for run in side.runs]
    for path in paths:
        if paths.count(path) > 1:
            raise DataError(f"{path} is given twice: a run has no difference to itself")
    named = _with_names(read)
    shared = _conditions(named, conditions)
    for condition in shared:
        _check_rows(named, condition)
    return Comparison(
        sides=[_side_row(side, condition) for condition in shared for side in named],
        differences=[_pair(named[0], other, condition) for other in named[1:] for condition in shared],
        settings={
            key: [side.runs[0].settings.get(key) for side in named]
            for key in differing([side.runs[0] for side in named])
        },
    )


def _with_names(sides: Sequence[Side]) -> list[Side]:
    """Names that tell sides apart: where two folders are called the same, their whole paths."""
    names = [side.name for side in sides]
    return [
        Side(name=side.name if names.count(side.name) == 1 else f"{side.runs[0].path}", runs=side.runs)
        for side in sides
    ]


def _conditions(sides: Sequence[Side], wanted: Sequence[str] | None) -> list[str]:
    have = [[name for name in side.runs[0].rows if side.problems(name)] for side in sides]
    for name in wanted or ():
        for side, some in zip(sides, have, strict=True):
            if name not in some:
                raise DataError(f"{side.name} was not measured under {name}; there are {', '.join(some)}")
    shared = [name for name in wanted or have[0] if all(name in some for some in have)]
    if not shared:
        what = "; ".join(
            f"{side.name} has {', '.join(some) or 'none'}" for side, some in zip(sides, have, strict=True)
        )
        raise DataError(f"the runs share no condition: {what}")
    return shared


def _check_rows(sides: Sequence[Side], condition: str) -> None:
    rows = [(side.name, run.rows[condition]) for side in sides for run in side.runs if condition in run.rows]
    first_name, first = rows[0]
    for name, row in rows[1:]:
        differ = [key for key in MUST_AGREE if getattr(row, key) != getattr(first, key)]
        if differ:
            what = ", ".join(f"{key} {getattr(first, key)} and {getattr(row, key)}" for key in differ)
            raise DataError(f"{first_name} and {name} can't be compared under {condition}: {what}")


def _side_row(side: Side, condition: str) -> SideRow:
    row = side.runs[0].rows[condition]
    problems = side.problems(condition)
    values_SP = side.values(condition, problems)
    interval = mean_interval(values_SP)
    kept = {field.name: getattr(row, field.name) for field in fields(SideRow) if field.name in _OF_ROW}
    return SideRow(
        **kept,
        side=side.name,
        solved=float(values_SP.mean()),
        low=interval.low,
        high=interval.high,
        problems=len(problems),
        runs=len(side.runs),
        models=side.models,
        seeds=[run.seed for run in side.runs],
    )


_OF_ROW = ("model", "condition", "dataset", "split", "n", "k", "turns")


def _pair(a: Side, b: Side, condition: str) -> PairRow:
    ours, theirs = a.problems(condition), set(b.problems(condition))
    shared = [name for name in ours if name in theirs]
    if not shared:
        raise DataError(f"{a.name} and {b.name} share no problem under {condition}")
    a_SP, b_SP = a.values(condition, shared), b.values(condition, shared)
    found = mean_difference(a_SP, b_SP, repeats=REPEATS)
    a_P, b_P = a_SP.mean(axis=0), b_SP.mean(axis=0)
    row = a.runs[0].rows[condition]
    higher_a, higher_b = int((a_P > b_P + TIE).sum()), int((b_P > a_P + TIE).sum())
    return PairRow(
        a=a.name,
        b=b.name,
        condition=condition,
        n=row.n,
        k=row.k,
        a_solved=float(a_P.mean()),
        b_solved=float(b_P.mean()),
        difference=found.mean,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        problems=len(shared),
        left_out=len(ours) + len(theirs) - 2 * len(shared),
        only_a=[name for name, x, y in zip(shared, a_P, b_P, strict=True) if x > 0 and y == 0],
        only_b=[name for name, x, y in zip(shared, a_P, b_P, strict=True) if y > 0 and x == 0],
        higher_a=higher_a,
        higher_b=higher_b,
        a_models=a.models,
        b_models=b.models,
        verdict=verdict(a.name, b.name, found, higher_a + higher_b, a.models, b.models),
    )


def verdict(a: str, b: str, found: Difference, differ: int, a_models: int = 1, b_models: int = 1) -> str:
    """What the figures allow to say, in one or two sentences.

    A difference is called shown where the interval leaves out 0 and p is below 0.05.
    """
    chance = f"p = {found.p_value:.2g}" if found.p_value >= 1e-4 else "p < 0.0001"
    size = f"{found.mean:+.3f}, 95 % interval {found.low:+.3f} to {found.high:+.3f}, {chance}"
    outside = found.low > 0 or found.high < 0
    if differ == 0:
        said = f"{a} and {b} have the same rate on every problem ({size})."
    elif outside and found.p_value < LEVEL:
        first, second = (a, b) if found.mean > 0 else (b, a)
        said = f"{first} solves more than {second} ({size})."
    elif outside or found.p_value < LEVEL:
        said = f"No clear difference between {a} and {b}: interval and p-value disagree ({size})."
    else:
        said = f"No difference shown between {a} and {b} ({size})."
    if max(a_models, b_models) == 1:
        if 0 < differ <= 5:
            said += f" Only {differ} problems differ, too few for p below 0.05."
        return said + " One model each: another training seed is not covered."
    single = [name for name, models in ((a, a_models), (b, b_models)) if models == 1]
    return said + "".join(f" {name} is one model: another seed of it is not covered." for name in single)
