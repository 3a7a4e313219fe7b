"""Solve rates with the paper's accounting, in closed form. Nothing here runs a model.

Every *turn* counts as a sample, used or not (RLEF paper, section 3.1, footnote 1): one
rollout of three turns is 1@3, and 10@100 draws 33 of them. ``_P`` is an array over problems.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
class Table:
    """The counts of many problems as arrays."""

    problems: tuple[str, ...]
    rollouts_P: np.ndarray
    public_P: np.ndarray
    solved_P: np.ndarray

    @classmethod
    def of(cls, counts: Mapping[str, Counts]) -> Table:
        """The arrays of a mapping, in its order."""
        return cls(
            problems=tuple(counts),
            rollouts_P=_whole(some.rollouts for some in counts.values()),
            public_P=_whole(some.public for some in counts.values()),
            solved_P=_whole(some.solved for some in counts.values()),
        )


def solved_at(n: int, k: int, counts: Counts, *, turns: int = 1) -> float:
    """n@k of one problem: the chance that one of ``n`` submissions out of ``k`` samples solves it.

    ``k`` samples are ``m = k // turns`` rollouts, drawn without replacement from those in
    ``counts``. Only programs that pass the public tests are submitted, ``n`` of them at
    random; where none passes, whatever is submitted can't solve the problem either. The
    expectation is exact (hypergeometric; RLEF paper, section 3.1, and AlphaCode, section 2.2).
    Independent first responses chosen by the public tests are the case ``turns=1``.
    Raises ``ValueError`` if there are fewer than ``m`` rollouts, or if ``n`` or ``m`` is 0.
    """
    drawn = k // turns
    if drawn > counts.rollouts:
        raise ValueError(f"{n}@{k} needs {drawn} rollouts, there are {counts.rollouts}")
    return float(chances(n, drawn, Table.of({"": counts}))[0])


def pass_at_k(k: int, *, samples: int, solved: int) -> float:
    """Chance that ``k`` of ``samples``, drawn without replacement, hold a right one.

    The unbiased estimator of Chen et al. 2021 (HumanEval). No selection: every draw is
    submitted. Raises ``ValueError`` if ``k`` is not in ``1 … samples``.
    """
    if not 1 <= k <= samples or not 0 <= solved <= samples:
        raise ValueError(f"pass@{k} needs 1 to {samples} draws, and {solved} solved of {samples}")
    return float(pass_chances(k, Table.of({"": Counts(samples, solved, solved)}))[0])


def chances(n: int, drawn: int, table: Table) -> np.ndarray:
    """n@k of every problem where ``drawn`` rollouts are taken; NaN where there are fewer.

    With e public passes among the draws, hypergeometric, min(n, e) of them are submitted.
    From n on the chance no longer depends on e, so n + 1 terms are enough. Raises ``ValueError`` for a
    budget that submits or draws nothing: fewer samples than one rollout costs.
    """
    if n < 1 or drawn < 1:
        raise ValueError(f"a budget that submits {n} programs of {drawn} rollouts measures nothing")
    rollouts_P, public_P, solved_P = table.rollouts_P, table.public_P, table.solved_P
    log_factorial = _log_factorials(rollouts_P)
    all_P = _log_choose(log_factorial, rollouts_P, drawn)
    total_P, rest_P = np.zeros(len(rollouts_P)), np.ones(len(rollouts_P))
    for eligible in range(min(n, drawn)):
        ways_P = _log_choose(log_factorial, public_P, eligible)
        ways_P = ways_P + _log_choose(log_factorial, rollouts_P - public_P, drawn - eligible)
        share_P = np.exp(np.where(rollouts_P >= drawn, ways_P - _finite(all_P), -np.inf))
        total_P += share_P * _hit(log_factorial, public_P, solved_P, eligible)
        rest_P -= share_P
    total_P += np.maximum(rest_P, 0.0) * _hit(log_factorial, public_P, solved_P, min(n, drawn))
    return np.where(rollouts_P >= drawn, np.clip(total_P, 0.0, 1.0), np.nan)


def pass_chances(k: int, table: Table) -> np.ndarray:
    """pass@k of every problem; NaN where there are fewer than ``k`` rollouts."""
    log_factorial = _log_factorials(table.rollouts_P)
    hit_P = _hit(log_factorial, table.rollouts_P, table.solved_P, k)
    return np.where(table.rollouts_P >= k, hit_P, np.nan)


def _hit(log_factorial: np.ndarray, pool_P: np.ndarray, right_P: np.ndarray, drawn: int) -> np.ndarray:
    """Chance that ``drawn`` of a pool hold a right one; 0 where the pool is smaller."""
    miss_P = _log_choose(log_factorial, pool_P - right_P, drawn)
    every_P = _log_choose(log_factorial, pool_P, drawn)
    return np.where(pool_P >= drawn, 1.0 - np.exp(miss_P - _finite(every_P)), 0.0)


def _log_choose(log_factorial: np.ndarray, whole_P: np.ndarray, part: int) -> np.ndarray:
    """Logarithm of C(whole, part), -inf where there is no way to choose."""
    rest_P = whole_P - part
    ways_P = log_factorial[whole_P] - log_factorial[part] - log_factorial[np.maximum(rest_P, 0)]
    return np.where(rest_P >= 0, ways_P, -np.inf)


def _log_factorials(numbers_P: np.ndarray) -> np.ndarray:
    most = int(numbers_P.max(initial=1))
    return np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, 2 * most + 2)))))


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, 0.0)


def _whole(numbers: Iterable[int]) -> np.ndarray:
    return np.array(list(numbers), dtype=np.int64)


def mean(values: Sequence[float]) -> float:
    """Plain mean; NaN where there is nothing."""
    return float(np.mean(values)) if len(values) else float("nan")
