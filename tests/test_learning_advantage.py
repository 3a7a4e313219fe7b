"""Advantages against closed forms, double sums and invariances."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning_fakes import make_episode, random_outcome
from rlef.config import Algorithm
from rlef.learning.advantage import (
    Outcome,
    credit,
    explained_variance,
    flat_groups,
    group_scores,
    leave_one_out,
    normalise,
    token_advantages,
    turn_advantages,
    turn_kl,
    turn_returns,
)
from rlef.learning.collate import pack

RAW = {"normalise": False}
SETTINGS = [(1.0, 1.0), (1.0, 0.95), (0.9, 1.0), (0.99, 0.5), (0.7, 0.0), (0.0, 0.3)]


def double_sum(rewards, values, gamma, lam):
    """GAE as the definition has it: a sum of sums, no recursion."""
    steps = len(rewards)
    after = [*values[1:], 0.0]
    deltas = [rewards[i] + gamma * after[i] - values[i] for i in range(steps)]
    return [sum((gamma * lam) ** (i - t) * deltas[i] for i in range(t, steps)) for t in range(steps)]


def outcome(rewards, *, lengths=None, values=(), group="p", penalties=None):
    return Outcome(
        group=group,
        rewards_K=rewards,
        penalties_K=penalties or [0.0] * len(rewards),
        lengths_K=lengths or [1] * len(rewards),
        values_R=values,
    )


def test_the_paper_example_by_hand():
    # invalid, then wrong, then solved: returns-to-go 0.8, 1, 1
    rewards, values = [-0.2, 0.0, 1.0], [0.5, 0.25, 0.75]
    assert turn_returns(rewards) == pytest.approx([0.8, 1.0, 1.0])
    assert turn_advantages(rewards, values) == pytest.approx([0.3, 0.75, 0.25])
    assert turn_returns(rewards, gamma=0.5) == pytest.approx([0.05, 0.5, 1.0])


@pytest.mark.parametrize(("gamma", "lam"), SETTINGS)
def test_turn_advantages_equal_the_double_sum_on_ragged_episodes(gamma, lam):
    rng = np.random.default_rng(1)
    outcomes = [random_outcome(rng) for _ in range(100)]
    credited = credit(outcomes, Algorithm(gamma=gamma, lam=lam, **RAW))
    for one, advantages, targets in zip(outcomes, credited.advantages_EN, credited.targets_ER, strict=True):
        paid = np.subtract(one.rewards_K, one.penalties_K)
        expected = double_sum(paid, one.values_R, gamma, lam)
        assert advantages == pytest.approx(np.repeat(expected, one.lengths_K))
        assert targets == pytest.approx(np.add(expected, one.values_R))


@pytest.mark.parametrize(("gamma", "lam"), SETTINGS)
def test_token_advantages_equal_the_double_sum_with_each_reward_on_its_turns_last_token(gamma, lam):
    rng = np.random.default_rng(2)
    outcomes = [random_outcome(rng, values="token") for _ in range(100)]
    credited = credit(outcomes, Algorithm(credit="token", gamma=gamma, lam=lam, **RAW))
    for one, advantages, targets in zip(outcomes, credited.advantages_EN, credited.targets_ER, strict=True):
        rewards = np.zeros(sum(one.lengths_K))
        rewards[np.cumsum(one.lengths_K) - 1] = np.subtract(one.rewards_K, one.penalties_K)
        expected = double_sum(rewards, one.values_R, gamma, lam)
        assert advantages == pytest.approx(expected)
        assert targets == pytest.approx(np.add(expected, one.values_R))


@pytest.mark.parametrize(("gamma", "lam"), SETTINGS)
@pytest.mark.parametrize("kind", ["turn", "token"])
def test_exact_values_leave_no_advantage_whatever_lambda(gamma, lam, kind):
    rng = np.random.default_rng(3)
    one = random_outcome(rng, values=kind)
    if kind == "turn":
        exact = turn_returns(one.rewards_K, gamma=gamma)
        advantages = turn_advantages(one.rewards_K, exact, gamma=gamma, lam=lam)
    else:
        rewards = np.zeros(sum(one.lengths_K))
        rewards[np.cumsum(one.lengths_K) - 1] = one.rewards_K
        exact = turn_returns(list(rewards), gamma=gamma)
        advantages = token_advantages(one.rewards_K, one.lengths_K, exact, gamma=gamma, lam=lam)
    assert advantages == pytest.approx([0.0] * len(exact), abs=1e-12)


@pytest.mark.parametrize("kind", ["turn", "token"])
def test_without_discount_the_advantage_is_the_return_to_go_minus_the_value(kind):
    rng = np.random.default_rng(4)
    for _ in range(100):
        one = random_outcome(rng, values=kind)
        togo = np.repeat(turn_returns(one.paid_K), one.lengths_K)
        values = np.repeat(one.values_R, one.lengths_K) if kind == "turn" else np.array(one.values_R)
        credited = credit([one], Algorithm(credit=kind, **RAW))
        assert credited.advantages_EN[0] == pytest.approx(togo - values)
        reads = turn_returns(one.paid_K) if kind == "turn" else togo
        assert credited.targets_ER[0] == pytest.approx(reads)


def test_token_credit_reproduces_the_published_comparison_of_frameworks():
    # Four action tokens, reward 1 at the end; frameworks that step over observation
    # tokens get .518 or .711 for the first once five of those are in between.
    advantages = token_advantages([0.0, 1.0], [2, 2], [0.2, 0.3, 0.5, 0.6], lam=0.95)
    assert advantages == pytest.approx([0.723, 0.656, 0.48, 0.40], abs=5e-4)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), min_size=1, max_size=4),
    inserted=st.lists(st.integers(0, 5), min_size=4, max_size=4),
    kind=st.sampled_from(["turn", "token"]),
    gamma=st.sampled_from([1.0, 0.9]),
    lam=st.sampled_from([1.0, 0.6]),
    seed=st.integers(0, 99),
)
def test_inserted_observation_tokens_change_no_advantage(shape, inserted, kind, gamma, lam, seed):
    """Values are kept for every token of the episode; inserted ones get values of their own."""
    rng = np.random.default_rng(seed)
    plain, plain_values, longer, longer_values = [], [], [], []
    for (before, written), extra in zip(shape, inserted, strict=False):
        reward, old = float(rng.normal()), rng.normal(size=before + 1 + written)
        plain.append(([1] * (before + 1), [2] * written, reward))
        longer.append(([3] * extra + [1] * (before + 1), [2] * written, reward))
        plain_values += [*old]
        longer_values += [*rng.normal(size=extra), *old]

    def advantages(turns, values_T):
        episode = make_episode(*turns)
        (packed,) = pack([episode], max_tokens=100, read=kind)
        one = Outcome(
            group="p",
            rewards_K=[turn.reward for turn in episode.turns],
            penalties_K=[0.0] * len(turns),
            lengths_K=[turn.end - turn.start for turn in episode.turns],
            values_R=list(np.array(values_T)[packed.batch.read_value_BT[0].numpy()]),
        )
        return credit([one], Algorithm(credit=kind, gamma=gamma, lam=lam, **RAW)).advantages_EN[0]

    assert advantages(longer, longer_values) == pytest.approx(advantages(plain, plain_values), abs=1e-12)


def test_the_leave_one_out_baseline_is_the_mean_of_the_others():
    rng = np.random.default_rng(5)
    groups = [str(g) for g in rng.integers(0, 30, 100)]
    returns = [float(r) for r in rng.normal(size=100)]
    for e, advantage in enumerate(leave_one_out(returns, groups)):
        others = [returns[o] for o in range(100) if o != e and groups[o] == groups[e]]
        assert advantage == pytest.approx(returns[e] - sum(others) / len(others) if others else 0.0)


def test_group_scores_have_mean_0_and_deviation_1_in_every_group_that_differs():
    rng = np.random.default_rng(6)
    groups = [str(g) for g in rng.integers(0, 30, 100)]
    returns = [float(r) for r in rng.normal(size=100)]
    scores = np.array(group_scores(returns, groups))
    for group in set(groups):
        own = np.array([g == group for g in groups])
        values = np.array(returns)[own]
        assert scores[own].mean() == pytest.approx(0.0, abs=1e-12)
        assert scores[own].std() == pytest.approx(1.0 if own.sum() > 1 else 0.0)
        assert np.array_equal(np.argsort(scores[own]), np.argsort(values))


@pytest.mark.parametrize("kind", ["rloo", "grpo"])
def test_a_flat_group_and_a_lone_episode_teach_nothing(kind):
    outcomes = [
        *(outcome([0.0, 0.3 - 0.1 - 0.2 + 1.0], group="same") for _ in range(3)),
        outcome([-1.0], group="alone"),
        outcome([1.0], group="mixed"),
        outcome([0.0, 0.0, -1.0], group="mixed"),  # three turns: the batch's mean is not 0
    ]
    for normal in (False, True):
        advantages = credit(outcomes, Algorithm(credit=kind, normalise=normal)).advantages_EN
        assert all(np.abs(a).max() < 1e-12 for a in advantages[:4])
        assert advantages[4][0] > 0 > advantages[5][0]
    assert flat_groups(outcomes) == pytest.approx(2 / 3)


def test_grpo_does_not_blow_up_the_kl_of_a_group_that_is_all_solved():
    solved = [outcome([1.0], group="easy", penalties=[p]) for p in (0.001, 0.003)]
    mixed = [outcome([r], group="hard", penalties=[0.0]) for r in (1.0, -1.0)]
    advantages = credit([*solved, *mixed], Algorithm(credit="grpo", **RAW)).advantages_EN
    assert np.concatenate(advantages) == pytest.approx([0.001, -0.001, 1.0, -1.0])


def test_group_credit_gives_every_token_the_episodes_own_advantage():
    outcomes = [
        outcome([-0.2, 1.0], lengths=[3, 2], penalties=[0.1, 0.0]),
        outcome([-1.0], lengths=[4]),
        outcome([0.0, 0.0, -1.0], lengths=[1, 1, 1]),
    ]
    first, second, third = credit(outcomes, Algorithm(credit="rloo", **RAW)).advantages_EN
    assert first == pytest.approx([0.7 + 1.0] * 5)
    assert second == pytest.approx([-1.0 - (0.7 - 1.0) / 2] * 4)
    assert third == pytest.approx([-1.0 - (0.7 - 1.0) / 2] * 3)


def test_no_baseline_means_the_return_to_go_itself():
    rng = np.random.default_rng(7)
    outcomes = [random_outcome(rng, values="none") for _ in range(100)]
    credited = credit(outcomes, Algorithm(credit="none", gamma=0.9, **RAW))
    for one, advantages in zip(outcomes, credited.advantages_EN, strict=True):
        steps = len(one.rewards_K)
        paid = np.subtract(one.rewards_K, one.penalties_K)
        expected = [sum(0.9 ** (i - t) * paid[i] for i in range(t, steps)) for t in range(steps)]
        assert advantages == pytest.approx(np.repeat(expected, one.lengths_K))


@pytest.mark.parametrize("kind", ["turn", "none"])
def test_normalised_advantages_have_mean_0_and_deviation_1_over_turns_not_tokens(kind):
    rng = np.random.default_rng(8)
    outcomes = [random_outcome(rng, values="turn" if kind == "turn" else "none") for _ in range(50)]
    advantages = credit(outcomes, Algorithm(credit=kind)).advantages_EN
    ends = [np.cumsum(one.lengths_K) - 1 for one in outcomes]
    per_turn = np.concatenate([a[end] for a, end in zip(advantages, ends, strict=True)])
    assert per_turn.mean() == pytest.approx(0.0, abs=1e-12)
    assert per_turn.std() == pytest.approx(1.0)
    assert abs(np.concatenate(advantages).mean()) > 1e-4  # over tokens it is something else


def test_a_turns_length_does_not_change_how_it_is_normalised():
    short = credit([outcome([r], lengths=[1]) for r in (1.0, -1.0, 0.5)], Algorithm(credit="none"))
    long = credit(
        [outcome([r], lengths=[n]) for r, n in ((1.0, 9), (-1.0, 1), (0.5, 3))], Algorithm(credit="none")
    )
    assert [a[0] for a in long.advantages_EN] == pytest.approx([a[0] for a in short.advantages_EN])


def test_token_advantages_are_normalised_with_each_turn_counting_once():
    advantages = normalise([np.array([1.0, 3.0]), np.array([-2.0])], [[2], [1]])
    mean, size = 0.0, np.sqrt((0.5 * (1 + 9) + 4) / 2)
    assert np.concatenate(advantages) == pytest.approx((np.array([1.0, 3.0, -2.0]) - mean) / size)


def test_equal_advantages_become_0_and_are_not_divided():
    assert np.concatenate(normalise([np.full(3, 0.7), np.full(1, 0.7)], [[1, 2], [1]])) == pytest.approx(
        [0.0] * 4
    )


def test_the_kl_of_a_turn_is_the_log_ratio_of_geometric_means():
    behaviour, reference = np.log([0.5, 0.25, 0.8]), np.log([0.25, 0.25, 0.1])
    first = np.log(np.sqrt(0.5 * 0.25) / np.sqrt(0.25 * 0.25))
    assert turn_kl(behaviour, reference, [2, 1]) == pytest.approx([first, np.log(8)])
    with pytest.raises(ValueError, match="turns of 4 tokens"):
        turn_kl(behaviour, reference, [2, 2])


def test_the_kl_term_is_paid_in_its_own_turn_and_every_turn_before():
    one = outcome([0.0, 1.0], penalties=[0.05 * 2.0, 0.05 * 4.0], values=[0.0, 0.0])
    advantages = credit([one], Algorithm(**RAW)).advantages_EN[0]
    assert advantages == pytest.approx([1.0 - 0.1 - 0.2, 1.0 - 0.2])


def test_explained_variance_is_1_for_exact_0_for_constant_and_undefined_without_variance():
    targets = [1.0, -1.0, 0.5, 0.0]
    assert explained_variance(targets, targets) == pytest.approx(1.0)
    assert explained_variance([0.3] * 4, targets) == pytest.approx(0.0)
    assert explained_variance([-t for t in targets], targets) == pytest.approx(-3.0)
    assert explained_variance([0.0, 1.0], [1.0, 1.0]) is None
    assert explained_variance([0.0], [1.0]) is None


def test_advantages_need_no_torch():
    script = "import sys, rlef.learning.advantage; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
