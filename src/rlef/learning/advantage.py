"""From rewards to advantages. No torch here, and no observation token ever enters.

Turns and action tokens are the only steps in time: what the environment wrote between
two turns has no place in these lists, so inserting observation tokens can't change an
advantage (in several public stacks it does).

Dimensions: ``_E`` episodes, ``_K`` turns of an episode, ``_N`` its action tokens,
``_R`` its value reads (K for a value per turn, N for a value per token).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rlef.config import Algorithm

Floats = npt.NDArray[np.float64]

NEEDS_VALUES = frozenset({"turn", "token"})
"""Credit assignments with a value network; the others compare episodes or nothing."""

# Below this a deviation is rounding of equal numbers, not a difference between episodes.
_FLAT = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What credit assignment has to know of one episode."""

    group: str
    """Episodes with the same group (problem and draw of its tests) are compared by the group baselines."""
    rewards_K: Sequence[float]
    """Environment reward of each turn."""
    penalties_K: Sequence[float]
    """Beta times the turn's KL to the reference policy; subtracted from the reward."""
    lengths_K: Sequence[int]
    """Action tokens of each turn."""
    values_R: Sequence[float] = ()
    """Values before each turn or before each action token; empty without a value network."""

    @property
    def paid_K(self) -> list[float]:
        """Reward of each turn with its KL term: R_t of the paper."""
        return [r - p for r, p in zip(self.rewards_K, self.penalties_K, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """The one shape that every estimator answers in."""

    advantages_EN: list[Floats]
    """For each episode one number an action token; equal within a turn unless credit is ``token``."""
    targets_ER: list[Floats]
    """Value targets aligned with ``Outcome.values_R``; empty arrays without a value network."""
    diagnostics: dict[str, float] = field(default_factory=dict)


def turn_returns(rewards_K: Sequence[float], *, gamma: float = 1.0) -> list[float]:
    """Discounted return-to-go of each turn."""
    returns_K, tail = [], 0.0
    for reward in reversed(rewards_K):
        tail = reward + gamma * tail
        returns_K.append(tail)
    return returns_K[::-1]


def turn_advantages(
    rewards_K: Sequence[float], values_K: Sequence[float], *, gamma: float = 1.0, lam: float = 1.0
) -> list[float]:
    """GAE over the turns of a finished episode, so the value after the last turn is 0.

    At ``gamma = lam = 1`` this is the paper's ``A_t = sum over i >= t of R_i, minus V(c_t)``
    (RLEF, section 2.2).
    """
    advantages_K, tail, next_value = [], 0.0, 0.0
    for reward, value in zip(reversed(rewards_K), reversed(values_K), strict=True):
        tail = reward + gamma * next_value - value + gamma * lam * tail
        advantages_K.append(tail)
        next_value = value
    return advantages_K[::-1]


def token_rewards(rewards_K: Sequence[float], lengths_K: Sequence[int]) -> list[float]:
    """A reward for each action token: the turn's on its last token, 0 before."""
    rewards_N: list[float] = []
    for reward, length in zip(rewards_K, lengths_K, strict=True):
        rewards_N += [0.0] * (length - 1) + [reward]
    return rewards_N


def token_advantages(
    rewards_K: Sequence[float],
    lengths_K: Sequence[int],
    values_N: Sequence[float],
    *,
    gamma: float = 1.0,
    lam: float = 1.0,
) -> list[float]:
    """GAE over the action tokens of an episode, from turn to turn without a gap (appendix B.6)."""
    return turn_advantages(token_rewards(rewards_K, lengths_K), values_N, gamma=gamma, lam=lam)


def turn_kl(
    behaviour_N: Sequence[float] | Floats, reference_N: Sequence[float] | Floats, lengths_K: Sequence[int]
) -> list[float]:
    """Per turn the mean of ``log pi - log rho`` over its tokens (RLEF, appendix A.1).

    The log-ratio of geometric-mean token probabilities, on the sampled tokens (k1), so a
    turn may well have a negative one.
    """
    ratio_N = np.asarray(behaviour_N, dtype=np.float64) - np.asarray(reference_N, dtype=np.float64)
    if len(ratio_N) != sum(lengths_K):
        raise ValueError(f"{len(ratio_N)} log-probabilities for turns of {sum(lengths_K)} tokens")
    ends_K = np.cumsum(lengths_K)
    return [float(ratio_N[end - n : end].mean()) for end, n in zip(ends_K, lengths_K, strict=True)]


def leave_one_out(returns_E: Sequence[float], groups_E: Sequence[str]) -> list[float]:
    """RLOO: an episode's return minus the mean return of the others of its group.

    An episode alone in its group has nothing to be compared with: 0.
    """
    advantages_E = np.zeros(len(returns_E))
    for members in _groups(groups_E):
        own = np.asarray(returns_E, dtype=np.float64)[members]
        if len(own) > 1:
            advantages_E[members] = (own - own.mean()) * len(own) / (len(own) - 1)
    return [float(a) for a in advantages_E]


def group_scores(
    returns_E: Sequence[float], groups_E: Sequence[str], spread_E: Sequence[float] | None = None
) -> list[float]:
    """GRPO: an episode's return minus its group's mean, over the group's (population) deviation.

    ``spread_E`` are the returns whose deviation divides; ``credit`` passes the
    environment's. A group that is all solved or all failed differs by its KL terms alone,
    and dividing by their deviation would blow them up to the size of a solved problem.
    Where the deviation is 0 nothing is divided; an episode alone in its group gets 0.
    """
    advantages_E = np.zeros(len(returns_E))
    spread = np.asarray(returns_E if spread_E is None else spread_E, dtype=np.float64)
    for members in _groups(groups_E):
        own = np.asarray(returns_E, dtype=np.float64)[members]
        deviation = spread[members].std()
        advantages_E[members] = (own - own.mean()) / (deviation if deviation > _FLAT else 1.0)
    return [float(a) for a in advantages_E]


def normalise(
    advantages_EN: Sequence[Floats], lengths_EK: Sequence[Sequence[int]], *, centre: bool = True
) -> list[Floats]:
    """Advantages with mean 0 and deviation 1 over the turns of the batch.

    A turn counts once, however long: each token weighs one over its turn's length.
    ``centre=False`` only divides, by the root mean square. Equal advantages become 0
    (or stay as they are where they are not centred).
    """
    flat = np.concatenate([np.asarray(a, dtype=np.float64) for a in advantages_EN])
    lengths = np.concatenate([np.asarray(n, dtype=np.int64) for n in lengths_EK])
    weights = np.repeat(1.0 / (lengths * len(lengths)), lengths)
    moved = flat - float(weights @ flat) if centre else flat
    size = float(np.sqrt(weights @ moved**2))
    if size > _FLAT:
        moved = moved / size
    elif centre:
        moved = np.zeros_like(moved)
    return _split(moved, [sum(n) for n in lengths_EK])


def explained_variance(values: Sequence[float] | Floats, targets: Sequence[float] | Floats) -> float | None:
    """``1 - Var(target - value) / Var(target)``; None where the targets do not vary."""
    targets = np.asarray(targets, dtype=np.float64)
    if targets.size < 2 or targets.std() <= _FLAT:
        return None
    return float(1.0 - np.var(targets - np.asarray(values, dtype=np.float64)) / np.var(targets))


def credit(outcomes_E: Sequence[Outcome], algorithm: Algorithm) -> Credit:
    """Advantages of every action token, value targets and diagnostics of a batch.

    Value targets are ``A + V``: the return-to-go with its KL terms at ``lam = 1``.
    Normalisation keeps the zero of the group baselines (``rloo``, ``grpo``), where 0 says
    that there is nothing to learn: moving it would reward whatever was done in groups that
    failed altogether, because failures have more turns than successes.
    """
    advantages_EN, targets_ER = _ESTIMATORS[algorithm.credit](outcomes_E, algorithm)
    lengths_EK = [outcome.lengths_K for outcome in outcomes_E]
    raw = np.concatenate([np.zeros(0), *advantages_EN])
    if algorithm.normalise and len(raw):
        centre = algorithm.credit not in ("rloo", "grpo")
        advantages_EN = normalise(advantages_EN, lengths_EK, centre=centre)
    diagnostics = {
        "advantage/mean": float(raw.mean()) if len(raw) else 0.0,
        "advantage/deviation": float(raw.std()) if len(raw) else 0.0,
        "groups/flat": flat_groups(outcomes_E),
    }
    return Credit(advantages_EN=advantages_EN, targets_ER=targets_ER, diagnostics=diagnostics)


def flat_groups(outcomes_E: Sequence[Outcome]) -> float:
    """Share of groups whose episodes all earned the same from the environment, so that a
    group baseline learns nothing from them; an episode alone in its group is one.
    """
    earned = np.array([sum(outcome.rewards_K) for outcome in outcomes_E])
    groups = _groups([outcome.group for outcome in outcomes_E])
    return float(np.mean([earned[members].std() <= _FLAT for members in groups])) if groups else 0.0


_Estimates = tuple[list[Floats], list[Floats]]


def _by_turn(outcomes_E: Sequence[Outcome], algorithm: Algorithm) -> _Estimates:
    advantages_EN, targets_ER = [], []
    for outcome in outcomes_E:
        advantages_K = np.array(
            turn_advantages(outcome.paid_K, outcome.values_R, gamma=algorithm.gamma, lam=algorithm.lam)
        )
        advantages_EN.append(np.repeat(advantages_K, outcome.lengths_K))
        targets_ER.append(advantages_K + np.asarray(outcome.values_R, dtype=np.float64))
    return advantages_EN, targets_ER


def _by_token(outcomes_E: Sequence[Outcome], algorithm: Algorithm) -> _Estimates:
    advantages_EN, targets_ER = [], []
    for outcome in outcomes_E:
        advantages_N = np.array(
            token_advantages(
                outcome.paid_K,
                outcome.lengths_K,
                outcome.values_R,
                gamma=algorithm.gamma,
                lam=algorithm.lam,
            )
        )
        advantages_EN.append(advantages_N)
        targets_ER.append(advantages_N + np.asarray(outcome.values_R, dtype=np.float64))
    return advantages_EN, targets_ER


def _by_group(outcomes_E: Sequence[Outcome], algorithm: Algorithm) -> _Estimates:
    groups_E = [outcome.group for outcome in outcomes_E]
    returns_E = [turn_returns(outcome.paid_K, gamma=algorithm.gamma)[0] for outcome in outcomes_E]
    if algorithm.credit == "rloo":
        advantages_E = leave_one_out(returns_E, groups_E)
    else:
        earned_E = [turn_returns(outcome.rewards_K, gamma=algorithm.gamma)[0] for outcome in outcomes_E]
        advantages_E = group_scores(returns_E, groups_E, earned_E)
    spread = [np.full(sum(o.lengths_K), a) for o, a in zip(outcomes_E, advantages_E, strict=True)]
    return spread, [np.zeros(0) for _ in outcomes_E]


def _by_return(outcomes_E: Sequence[Outcome], algorithm: Algorithm) -> _Estimates:
    spread = [
        np.repeat(np.array(turn_returns(o.paid_K, gamma=algorithm.gamma)), o.lengths_K) for o in outcomes_E
    ]
    return spread, [np.zeros(0) for _ in outcomes_E]


_ESTIMATORS: dict[str, Callable[[Sequence[Outcome], Algorithm], _Estimates]] = {
    "turn": _by_turn,
    "token": _by_token,
    "rloo": _by_group,
    "grpo": _by_group,
    "none": _by_return,
}


def _groups(groups_E: Sequence[str]) -> list[list[int]]:
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups_E):
        members.setdefault(group, []).append(index)
    return list(members.values())


def _split(flat: Floats, counts: Sequence[int]) -> list[Floats]:
    return np.split(flat, np.cumsum(counts)[:-1])
