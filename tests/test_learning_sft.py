"""Supervised steps: mean cross-entropy on the policy's tokens and on nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from learning_fakes import TinyNetworks, make_episode, random_episode
from rlef.errors import RlefError
from rlef.judge.types import HiddenReport, PublicReport, TestReport, Verdict
from rlef.learning.collate import pack
from rlef.learning.sft import sft_update


def sgd(networks, lr=1.0):
    return torch.optim.SGD([p for _, p in networks.policy_parameters()], lr=lr)


def judged(episode, verdict=Verdict.ACCEPTED):
    tests = (TestReport(verdict=verdict, input="", expected=""),)
    episode.turns[-1].public = PublicReport(tests=tests, total=1)
    episode.turns[-1].hidden = HiddenReport(tests=tests, total=1)
    return episode


def gradient(networks, episodes, **options):
    before = [p.detach().clone() for _, p in networks.policy_parameters()]
    figures = sft_update(
        networks, sgd(networks), episodes, **{"microbatch_tokens": 10_000, "grad_clip": 1e9} | options
    )
    return [b - p.detach() for b, (_, p) in zip(before, networks.policy_parameters(), strict=True)], figures


def by_hand(networks, episodes, last=False):
    """Cross-entropy of all logits at once, an episode at a time, over their token count."""
    total, count = 0.0, 0
    for episode in episodes:
        one = pack([episode], max_tokens=1)[0].batch
        wanted = torch.tensor(episode.is_action_T)
        if last:
            wanted[: episode.turns[-1].start] = False
        logits = networks.policy(one)[0, :-1][wanted[1:]]
        total = total + cross_entropy(logits, one.ids_BT[0, 1:][wanted[1:]], reduction="sum")
        count += int(wanted.sum())
    (total / count).backward()
    return [p.grad for _, p in networks.policy_parameters()], float(total.detach()) / count


def close(left, right):
    return all(torch.allclose(a, b, rtol=1e-6, atol=1e-9) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("most", [1, 30, 10_000])
def test_the_gradient_is_that_of_mean_cross_entropy_over_the_written_tokens(most):
    rng = np.random.default_rng(0)
    episodes = [random_episode(rng) for _ in range(6)]
    networks = TinyNetworks(dtype=torch.float64)
    expected, loss = by_hand(networks.copy(), episodes)
    found, figures = gradient(networks, episodes, microbatch_tokens=most)
    assert close(found, expected)
    assert figures["loss"] == pytest.approx(loss)
    assert figures["tokens"] == sum(sum(e.is_action_T) for e in episodes)


def test_rejection_sampling_learns_the_last_response_of_solved_episodes_alone():
    rng = np.random.default_rng(1)
    solved = [judged(random_episode(rng)) for _ in range(4)]
    failed = [judged(random_episode(rng), Verdict.WRONG_ANSWER), random_episode(rng)]
    networks = TinyNetworks(dtype=torch.float64)
    expected, loss = by_hand(networks.copy(), solved, last=True)
    found, figures = gradient(networks, [failed[0], *solved, failed[1]], which="last")
    assert close(found, expected)
    assert figures["loss"] == pytest.approx(loss) and figures["episodes"] == 4


def test_only_positions_that_predict_written_tokens_get_a_gradient():
    networks = TinyNetworks()
    episode = make_episode(([1, 2, 3], [4, 5], 0.0), ([6, 7], [8], 0.0))
    gradient(networks, [episode])
    flagged = networks.policy.seen.grad[0].abs().sum(-1) > 0
    assert flagged.tolist() == [False, False, True, True, False, False, True, False]


def test_without_an_episode_to_learn_from_nothing_moves():
    networks = TinyNetworks()
    broken = judged(make_episode(([1], [2], 1.0)))
    broken.stop = "judge_error"
    for episodes, which in (([], "all"), ([broken], "all"), ([make_episode(([1], [2], 1.0))], "last")):
        found, figures = gradient(networks, episodes, which=which)
        assert figures == {"episodes": 0.0, "tokens": 0.0}
        assert all((g == 0).all() for g in found)


def test_a_loss_that_is_not_finite_is_refused():
    networks = TinyNetworks()
    with torch.no_grad():
        networks.policy.out.bias[2] = math.nan
    before = networks.policy.tokens.weight.detach().clone()
    with pytest.raises(RlefError, match="loss is nan in a supervised update"):
        gradient(networks, [make_episode(([1], [2], 1.0))])
    assert torch.equal(before, networks.policy.tokens.weight)


def test_supervised_steps_learn_a_mapping_by_heart():
    networks = TinyNetworks()
    optimizer = torch.optim.AdamW([p for _, p in networks.policy_parameters()], lr=0.01)
    records = [make_episode(([x, 15], [(3 * x + 1) % 8, 8 + x], 0.0)) for x in range(8)]
    losses = [sft_update(networks, optimizer, records, microbatch_tokens=20)["loss"] for _ in range(200)]
    assert losses[0] > 2.0 and losses[-1] < 0.05
