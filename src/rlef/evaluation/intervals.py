"""Intervals and p-values: problems are drawn again, for they are a sample too.

Resampling never draws what it never saw, and rarely what it rarely saw. So where fewer than ``FEW``
problems speak, an end of an interval is at least as far out as that of an exact one.

``_P`` is an array over problems, ``_PX`` one with a column for each figure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from rlef.evaluation.measure import Values

REPEATS = 2000
EXACT = 16
"""Up to so many problems that differ, every pattern of signs is counted (65,536 of them)."""
CELLS = 4_000_000
"""Numbers held at once while resampling."""
FEW = 10
"""Below so many problems, an end of an interval is at least an exact one's."""
TIE = 1e-12
"""Rates of a closed form that differ by less, in their last bits, are the same."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Two ends, in the unit of the values."""

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


def rates(
    values_PX: np.ndarray, *, level: float = 0.95, repeats: int = REPEATS, seed: int = 0
) -> list[Interval]:
    """Intervals of the mean of each column, shares of 1; NaN marks a missing problem.

    Percentiles of the means of problems drawn with replacement, the same draws for all columns.
    The paper resamples rollouts, which leaves out the luck of the draw of problems. Deterministic
    in ``seed`` and in the order of the problems; NaN where there are none.
    """
    there_PX = np.isfinite(values_PX)
    return ratios(
        np.where(there_PX, values_PX, 0.0),
        there_PX.astype(float),
        level=level,
        repeats=repeats,
        seed=seed,
    )


def ratios(
    parts_PX: np.ndarray, wholes_PX: np.ndarray, *, level: float = 0.95, repeats: int = REPEATS, seed: int = 0
) -> list[Interval]:
    """Intervals of shares, sum(part) / sum(whole), numerator and denominator drawn together.

    A draw of problems whose denominators are all 0 says nothing and is left out.
    """
    found = percentiles(resampled_ratios(parts_PX, wholes_PX, repeats=repeats, seed=seed), level)
    return [
        widened_rate(interval, parts_PX[:, at], wholes_PX[:, at], level) for at, interval in enumerate(found)
    ]


def differences(
    gaps_PX: np.ndarray, *, level: float = 0.95, repeats: int = REPEATS, seed: int = 0
) -> list[Interval]:
    """Intervals of the mean of each column of paired differences of rates, on the same draws."""
    found = percentiles(resampled_ratios(gaps_PX, np.ones_like(gaps_PX), repeats=repeats, seed=seed), level)
    return [widened_gap(interval, gaps_PX[:, at], level) for at, interval in enumerate(found)]


def widened_rate(interval: Interval, part_P: np.ndarray, whole_P: np.ndarray, level: float) -> Interval:
    """The interval of sum(part) / sum(whole), no narrower than few problems allow.

    Where fewer than ``FEW`` problems have any of it, the upper end is at least that of Clopper and
    Pearson for a yes or no of each problem at the same rate; where fewer than ``FEW`` lack any, the lower.
    """
    asked = whole_P > 0
    problems = int(asked.sum())
    if not problems:
        return interval
    part_P, whole_P = part_P[asked], whole_P[asked]
    worth = round(problems * float(part_P.sum() / whole_P.sum()), 9)
    low, high = interval.low, interval.high
    if (part_P > TIE).sum() < FEW:
        high = max(high, clopper_pearson(math.ceil(worth), problems, level).high)
    if (part_P < whole_P - TIE).sum() < FEW:
        low = min(low, clopper_pearson(math.floor(worth), problems, level).low)
    return Interval(low, high)


def widened_gap(interval: Interval, gap_P: np.ndarray, level: float) -> Interval:
    """The interval of a mean of paired differences, no narrower than few that differ allow.

    Where fewer than ``FEW`` problems differ, it is at least Newcombe's for the shares of problems
    that favour one side and the other, in the unit of the largest difference seen.
    """
    problems, more, less = len(gap_P), int((gap_P > TIE).sum()), int((gap_P < -TIE).sum())
    if more + less >= FEW:
        return interval
    largest = float(np.abs(gap_P).max()) if more + less else 1.0
    sides = [(count / problems, clopper_pearson(count, problems, level)) for count in (more, less)]
    below, above = newcombe(*sides[0], *sides[1])
    mean = float(gap_P.mean())
    return Interval(
        max(-1.0, min(interval.low, mean - largest * below)),
        min(1.0, max(interval.high, mean + largest * above)),
    )


def ratio_differences(
    a_PX: tuple[np.ndarray, np.ndarray], b_PX: tuple[np.ndarray, np.ndarray]
) -> list[Interval]:
    """95 % intervals of one share less another, each given as (parts, wholes), on the same draws.

    Where fewer than ``FEW`` problems have a part of either, at least Newcombe's from those of both.
    """
    draws_RX = resampled_ratios(*a_PX) - resampled_ratios(*b_PX)
    found = percentiles(draws_RX, 0.95)
    few_X = ((a_PX[0] > TIE) | (b_PX[0] > TIE)).sum(axis=0) < FEW
    if not few_X.any():
        return found
    shares = [[parts.sum(axis=0), wholes.sum(axis=0)] for parts, wholes in (a_PX, b_PX)]
    ends = [ratios(*pair) for pair in (a_PX, b_PX)]
    for at in np.flatnonzero(few_X):
        if all(wholes[at] > 0 for _, wholes in shares):
            a, b = (float(parts[at] / wholes[at]) for parts, wholes in shares)
            below, above = newcombe(a, ends[0][at], b, ends[1][at])
            found[at] = Interval(min(found[at].low, a - b - below), max(found[at].high, a - b + above))
    return found


def newcombe(a: float, a_ends: Interval, b: float, b_ends: Interval) -> tuple[float, float]:
    """How far the interval of ``a - b`` reaches below and above, from those of both (Newcombe 1998)."""
    return math.hypot(a - a_ends.low, b_ends.high - b), math.hypot(a_ends.high - a, b - b_ends.low)


@cache
def clopper_pearson(seen: int, problems: int, level: float = 0.95) -> Interval:
    """The exact interval of a share that was ``seen`` on so many of ``problems``.

    At 95 % the upper end for what was never seen is about 3.7 / problems.
    """
    if 2 * seen > problems:
        unseen = clopper_pearson(problems - seen, problems, level)
        return Interval(1.0 - unseen.high, 1.0 - unseen.low)
    tail = (1.0 - level) / 2.0
    low = _share_where(seen - 1, problems, 1.0 - tail) if seen else 0.0
    return Interval(low, _share_where(seen, problems, tail))


def _share_where(most: int, problems: int, chance: float) -> float:
    """The share under which ``most`` or fewer of ``problems`` are seen with this chance, by bisection."""
    ways = [
        math.lgamma(problems + 1) - math.lgamma(few + 1) - math.lgamma(problems - few + 1)
        for few in range(most + 1)
    ]
    low, high = 0.0, 1.0
    for _ in range(50):
        share = (low + high) / 2
        hit, miss = math.log(share), math.log1p(-share)
        mass = sum(math.exp(way + few * hit + (problems - few) * miss) for few, way in enumerate(ways))
        low, high = (share, high) if mass > chance else (low, share)
    return high


def resampled_ratios(
    parts_PX: np.ndarray, wholes_PX: np.ndarray, *, repeats: int = REPEATS, seed: int = 0
) -> np.ndarray:
    """sum(part) / sum(whole) of each column in each draw of problems; NaN where the whole is 0."""
    found = []
    for weights in draws(len(parts_PX), repeats, seed):
        wholes = weights @ wholes_PX
        found.append(
            np.divide(weights @ parts_PX, wholes, out=np.full_like(wholes, np.nan), where=wholes > 0)
        )
    return np.concatenate(found)


def draws(problems: int, repeats: int, seed: int) -> Iterator[np.ndarray]:
    """How often each problem was drawn in each repeat, in blocks of (repeats, problems)."""
    random = np.random.default_rng(seed)
    block = max(1, min(repeats, CELLS // max(problems, 1)))
    for start in range(0, repeats, block):
        rows = min(block, repeats - start)
        drawn = random.integers(0, problems, size=(rows, problems))
        drawn += np.arange(rows)[:, None] * problems
        yield np.bincount(drawn.ravel(), minlength=rows * problems).reshape(rows, problems).astype(float)


def percentiles(samples_RX: np.ndarray, level: float) -> list[Interval]:
    """The middle ``level`` of each column; NaN where a column holds nothing."""
    tail = (1.0 - level) / 2.0
    found = []
    for column in samples_RX.T:
        known = column[np.isfinite(column)]
        low, high = np.quantile(known, [tail, 1.0 - tail]) if len(known) else (math.nan, math.nan)
        found.append(Interval(float(low), float(high)))
    return found


def paired_difference(
    a_by_problem: Values,
    b_by_problem: Values,
    *,
    level: float = 0.95,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Difference:
    """Mean of ``a - b`` over the problems in both, its interval and its two-sided p-value.

    Interval: see ``differences``. p-value: see ``sign_flips``.
    """
    shared = [key for key in a_by_problem if key in b_by_problem]
    if not shared:
        return Difference(math.nan, math.nan, math.nan, math.nan, 0)
    gaps = [a_by_problem[key] - b_by_problem[key] for key in shared]
    interval = differences(np.array([gaps]).T, level=level, repeats=repeats, seed=seed)[0]
    return Difference(
        mean=math.fsum(gaps) / len(gaps),
        low=interval.low,
        high=interval.high,
        p_value=sign_flip(gaps, repeats=repeats, seed=seed),
        problems=len(shared),
    )


def sign_flip(differences: Sequence[float], *, repeats: int = REPEATS, seed: int = 0) -> float:
    """Two-sided p-value of paired differences; see ``sign_flips``."""
    return sign_flips(np.array([differences], dtype=np.float64).T, repeats=repeats, seed=seed)[0]


def sign_flips(differences_PX: np.ndarray, *, repeats: int = REPEATS, seed: int = 0) -> list[float]:
    """Two-sided p-value of each column of paired differences.

    Under the null hypothesis that ``a`` and ``b`` are exchangeable on every problem, each
    difference may change its sign. Where 16 problems or fewer differ, all patterns of signs
    are counted and the value is exact; else it is the share of ``repeats`` random patterns
    at least as extreme as the data, the data counted as one of them.
    """
    found = np.ones(differences_PX.shape[1])
    many = []
    for at, column_P in enumerate(differences_PX.T):
        differing = column_P[np.abs(column_P) > TIE]
        if len(differing) > EXACT:
            many.append(at)
        elif len(differing):
            extreme = _extreme(_every_sign(len(differing)), differing[:, None])
            found[at] = extreme[0] / 2 ** len(differing)
    if many:
        extreme = np.zeros(len(many))
        for signs in _random_signs(len(differences_PX), repeats, seed):
            extreme += _extreme(signs, differences_PX[:, many])
        found[many] = (1 + extreme) / (1 + repeats)
    return [float(p_value) for p_value in found]


def _extreme(signs: np.ndarray, differences_PX: np.ndarray) -> np.ndarray:
    """How many patterns of signs give a sum at least as far from 0 as the data's."""
    # Sums of the same numbers in another order differ in their last bits; a tie is a tie.
    least_X = np.abs(differences_PX.sum(axis=0)) - 1e-9
    count: np.ndarray = (np.abs(signs @ differences_PX) >= least_X).sum(axis=0)
    return count


def _every_sign(length: int) -> np.ndarray:
    patterns: np.ndarray = np.arange(2**length)[:, None] >> np.arange(length)
    return (patterns & 1) * 2.0 - 1.0


def _random_signs(length: int, repeats: int, seed: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(seed)
    block = max(1, min(repeats, CELLS // length))
    for start in range(0, repeats, block):
        yield random.integers(0, 2, size=(min(block, repeats - start), length)) * 2.0 - 1.0
