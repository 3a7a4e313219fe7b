"""Several runs of the same thing with different seeds: intervals that hold for another seed too.

``_SP`` is an array over runs and problems. A value is the mean of all, plus what the run's
seed adds to every problem, plus what the problem is worth, plus the rest. Runs and problems
are both drawn again (the pigeonhole bootstrap, Owen 2007). With three or five runs that
alone is not enough: it counts the rest three times, takes the spread of few runs for too
small, and its tails are those of a normal distribution. So the draws are stretched about their
mean until their spread is the unbiased one (variance components of the two-way table), times the ratio
of Student's quantile to the normal's, with Satterthwaite's degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from rlef.evaluation.intervals import (
    REPEATS,
    TIE,
    Difference,
    Interval,
    draws,
    rates,
    sign_flip,
    widened_gap,
    widened_rate,
)

LARGE = 1e6
"""Degrees of freedom from which Student's distribution is the normal one."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The uncertainty of a mean over runs and problems."""

    variance: float
    freedom: float
    """Degrees of freedom of the variance."""


def mean_interval(
    values_SP: np.ndarray, *, level: float = 0.95, repeats: int = REPEATS, seed: int = 0
) -> Interval:
    """Interval of a mean rate over runs and problems; with one run, over problems alone."""
    if len(values_SP) == 1:
        return rates(values_SP.T, level=level, repeats=repeats, seed=seed)[0]
    found = _interval([values_SP], level, repeats, seed)
    found = Interval(max(0.0, found.low), min(1.0, found.high))
    rates_P = values_SP.mean(axis=0)
    return widened_rate(found, rates_P, np.ones_like(rates_P), level)


def mean_difference(
    a_SP: np.ndarray, b_SP: np.ndarray, *, level: float = 0.95, repeats: int = REPEATS, seed: int = 0
) -> Difference:
    """Mean of group ``a`` minus that of group ``b`` over the same problems.

    Problems are paired, runs are not: seed 0 of one method has nothing in common with seed 0
    of another. Where both groups are one run, this is ``paired_difference``. With more, the
    p-value is Student's, from the same variance as the interval; where nothing varies, or there is
    one problem, Student has nothing to go by, and it is that of the signs.
    """
    gaps_P = a_SP.mean(axis=0) - b_SP.mean(axis=0)
    interval = widened_gap(_interval([a_SP, -b_SP], level, repeats, seed), gaps_P, level)
    found = spread([a_SP, -b_SP])
    if max(len(a_SP), len(b_SP)) == 1 or len(gaps_P) == 1 or found.variance < TIE**2:
        p_value = sign_flip(gaps_P.tolist(), repeats=repeats, seed=seed)
    else:
        p_value = student_tail(float(gaps_P.mean()) / math.sqrt(found.variance), found.freedom)
    return Difference(
        mean=float(gaps_P.mean()),
        low=max(-1.0, interval.low),
        high=min(1.0, interval.high),
        p_value=p_value,
        problems=len(gaps_P),
    )


def spread(groups: Sequence[np.ndarray]) -> Spread:
    """Variance of the sum of the groups' means, problems shared, runs not.

    Problems' part: the variance of the sums of each problem, over the number of problems; the
    rest is in it. Runs' part, for each group of several: the variance of the runs' means, less
    the share of it that the rest explains, and never below 0.
    """
    sums_P = np.sum([group.mean(axis=0) for group in groups], axis=0)
    problems = len(sums_P)
    of_problems = float(sums_P.var(ddof=1)) / problems if problems > 1 else 0.0
    total, doubt = of_problems, of_problems**2 / max(problems - 1, 1)
    for group in groups:
        runs = len(group)
        if runs > 1:
            of_runs = float(group.mean(axis=1).var(ddof=1)) / runs
            total += max(of_runs - _rest(group) / (runs * problems), 0.0)
            doubt += of_runs**2 / (runs - 1)
    return Spread(total, total**2 / doubt if doubt > 0.0 and total > 0.0 else LARGE)


def student_tail(t: float, freedom: float) -> float:
    """Two-sided tail of Student's distribution, by quadrature after t = sqrt(freedom) tan(angle)."""
    if freedom >= LARGE:
        return 2.0 * (1.0 - NormalDist().cdf(abs(t)))
    angles, step = np.linspace(0.0, math.atan(abs(t) / math.sqrt(freedom)), 4001, retstep=True)
    heights = np.cos(angles) ** (freedom - 1.0)
    inside = float(heights.sum() - (heights[0] + heights[-1]) / 2) * float(step)
    whole = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom + 1) / 2)) * math.sqrt(math.pi) / 2
    return float(max(0.0, 1.0 - inside / whole))


def student_quantile(level: float, freedom: float) -> float:
    """The t that Student's distribution stays within with probability ``level``, by bisection."""
    low, high = 0.0, 1e4
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, freedom) > 1.0 - level else (low, middle)
    return high


def _interval(groups: Sequence[np.ndarray], level: float, repeats: int, seed: int) -> Interval:
    centre = float(sum(group.mean() for group in groups))
    found = _draws(groups, repeats, seed)
    stretch = 1.0
    if max(len(group) for group in groups) > 1 and found.std() > 0.0:
        wanted = spread(groups)
        normal = NormalDist().inv_cdf((1.0 + level) / 2)
        stretch = math.sqrt(wanted.variance) * student_quantile(level, wanted.freedom)
        stretch /= normal * float(found.std())
    tail = (1.0 - level) / 2
    low, high = np.quantile(found, [tail, 1.0 - tail])
    return Interval(centre + stretch * float(low - centre), centre + stretch * float(high - centre))


def _draws(groups: Sequence[np.ndarray], repeats: int, seed: int) -> np.ndarray:
    """The sum of the groups' means in each draw: runs of each group, and problems for all of them."""
    random = np.random.default_rng([seed, 1])
    found = []
    for weights in draws(groups[0].shape[1], repeats, seed):
        total = np.zeros(len(weights))
        for group in groups:
            runs = random.multinomial(len(group), np.full(len(group), 1 / len(group)), size=len(weights))
            total += np.einsum("rs,sp,rp->r", runs.astype(float), group, weights, optimize=True) / group.size
        found.append(total)
    return np.concatenate(found)


def _rest(group: np.ndarray) -> float:
    """Mean square of what neither run nor problem explains."""
    runs, problems = group.shape
    if problems < 2:
        return 0.0
    fitted = group.mean(axis=1, keepdims=True) + group.mean(axis=0, keepdims=True) - group.mean()
    return float(((group - fitted) ** 2).sum() / ((runs - 1) * (problems - 1)))
