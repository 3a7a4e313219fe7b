"""Solve rates with the paper's accounting, and intervals that resample problems.

Every *turn* counts as a sample, used or not (RLEF paper, section 3.1, footnote 1): one
rollout of three turns is 1@3, and 10@100 draws 33 of them. Nothing here runs a model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Values = Mapping[str, float]
"""One number for each problem, by problem id."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The rollouts of one problem that were scored; dropped ones are not in it."""

    rollouts: int
    public: int
    """Rollouts whose last program passed the public tests."""
    solved: int
    """Rollouts whose last program passed every test."""

    def __post_init__(self) -> None:
        if not 0 <= self.solved <= self.public <= self.rollouts:
            raise ValueError(f"a solved rollout passes the public tests and is a rollout: {self}")


@dataclass(frozen=True, slots=True)
class Interval:
    """Percentiles of a bootstrap, in the unit of the values."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of ``a - b`` over problems that both have."""

    mean: float
    low: float
    high: float
    p_value: float
    """Two-sided, from flipping the sign of each problem's difference."""
    problems: int


def solved_at(n: int, k: int, counts: Counts, *, turns: int = 1) -> float:
    """n@k of one problem: the chance that one of ``n`` submissions out of ``k`` samples solves it.

    ``k`` samples are ``m = k // turns`` rollouts, drawn without replacement from those in
    ``counts``. Only programs that pass the public tests are submitted, ``n`` of them at
    random; where none passes, whatever is submitted can't solve the problem either. The
    expectation is exact (hypergeometric; RLEF paper, section 3.1, and AlphaCode, section 2.2).
    Independent first responses chosen by the public tests are the case ``turns=1``.
    Raises ``ValueError`` if there are fewer than ``m`` rollouts.
    """
    drawn = k // turns
    if n < 1 or drawn < 1:
        raise ValueError(f"{n}@{k} with {turns} turns submits or draws nothing")
    if drawn > counts.rollouts:
        raise ValueError(f"{n}@{k} needs {drawn} rollouts, there are {counts.rollouts}")
    least = max(0, drawn - (counts.rollouts - counts.public))
    total = 0.0
    for eligible in range(least, min(drawn, counts.public) + 1):
        ways = math.comb(counts.public, eligible) * math.comb(
            counts.rollouts - counts.public, drawn - eligible
        )
        submitted = min(n, eligible)
        miss = math.comb(counts.public - counts.solved, submitted) / math.comb(counts.public, submitted)
        total += ways / math.comb(counts.rollouts, drawn) * (1.0 - miss)
    return total


def pass_at_k(k: int, *, samples: int, solved: int) -> float:
    """Chance that ``k`` of ``samples``, drawn without replacement, hold a right one.

    No selection: every draw is submitted. Raises ``ValueError`` if ``k`` is not in
    ``1 … samples``.
    """
    if not 1 <= k <= samples or not 0 <= solved <= samples:
        raise ValueError(f"pass@{k} needs 1 to {samples} draws, and {solved} solved of {samples}")
    return 1.0 - math.comb(samples - solved, k) / math.comb(samples, k)


def mean(values: Values) -> float:
    """Plain mean over problems; NaN where there are none."""
    return math.fsum(values.values()) / len(values) if values else math.nan


def bootstrap(
    values_by_problem: Values, *, level: float = 0.95, repeats: int = 2000, seed: int = 0
) -> Interval:
    """Percentile interval of the mean when *problems* are drawn again with replacement.

    The paper resamples rollouts, which leaves out the luck of the draw of problems. The
    interval knows only the spread it sees: where all values agree it has no width.
    Deterministic in ``seed`` and in the order of the problems; NaN without problems.
    """
    if not values_by_problem:
        return Interval(math.nan, math.nan)
    return _percentiles(_resampled_means(_array(values_by_problem), repeats, seed), level)


def paired_difference(
    a_by_problem: Values,
    b_by_problem: Values,
    *,
    level: float = 0.95,
    repeats: int = 2000,
    seed: int = 0,
) -> Difference:
    """Mean of ``a - b`` over the problems in both, its interval and its two-sided p-value.

    Interval: bootstrap over problems. p-value: under the null hypothesis that ``a`` and
    ``b`` are exchangeable on every problem, each difference may change its sign; the share
    of sign draws at least as extreme as the data, the data counted as one draw.
    """
    shared = [key for key in a_by_problem if key in b_by_problem]
    if not shared:
        return Difference(math.nan, math.nan, math.nan, math.nan, 0)
    differences = {key: a_by_problem[key] - b_by_problem[key] for key in shared}
    interval = bootstrap(differences, level=level, repeats=repeats, seed=seed)
    return Difference(
        mean=mean(differences),
        low=interval.low,
        high=interval.high,
        p_value=_sign_flip(list(differences.values()), repeats, seed),
        problems=len(shared),
    )


def _array(values: Values) -> np.ndarray:
    return np.fromiter(values.values(), dtype=np.float64, count=len(values))


def _resampled_means(values: np.ndarray, repeats: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    means: np.ndarray = values[draw.integers(0, len(values), size=(repeats, len(values)))].mean(axis=1)
    return means


def _percentiles(means: np.ndarray, level: float) -> Interval:
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Interval(float(low), float(high))


def _sign_flip(differences: Sequence[float], repeats: int, seed: int) -> float:
    values = np.asarray(differences, dtype=np.float64)
    signs = np.random.default_rng(seed).integers(0, 2, size=(repeats, len(values))) * 2 - 1
    # Sums of the same numbers in another order differ in their last bits; a tie is a tie.
    extreme = np.abs(signs @ values) >= abs(values.sum()) - 1e-9
    return float((1 + extreme.sum()) / (1 + repeats))
