"""Losses against loops over scalars, and their gradients against the formula's."""

from __future__ import annotations

import math

import pytest
import torch

from rlef.learning.losses import policy_loss, value_loss

torch.set_num_threads(1)
CLIP = 0.2


def draws(count, seed, scale=0.5):
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(4, count, generator=generator, dtype=torch.float64) * scale
    return numbers[0] - 2, numbers[1] - 2, numbers[2] - 2, numbers[3] * 3


def loop(logp, old, behaviour, advantage, truncate):
    """Loss and d loss / d logp of one token, straight from the formula."""
    weight = min(math.exp(logp - behaviour), truncate)
    ratio = math.exp(logp - old) * weight
    free = ratio * advantage
    held = min(max(ratio, 1 - CLIP), 1 + CLIP) * advantage
    if held < free:
        return -held, 0.0, True
    return -free, -free, False  # d ratio / d logp is the ratio itself


@pytest.mark.parametrize("truncate", [1.0, 2.0, 0.5])
def test_policy_loss_and_gradient_equal_a_loop_over_tokens(truncate):
    logp, old, behaviour, advantage = draws(500, 1)
    logp.requires_grad_(True)
    loss, statistics = policy_loss(logp, old, behaviour, advantage, clip=CLIP, truncate=truncate)
    loss.backward()
    rows = zip(*(x.tolist() for x in (logp.detach(), old, behaviour, advantage)), strict=True)
    expected = [loop(*row, truncate) for row in rows]
    assert loss.item() == pytest.approx(sum(row[0] for row in expected))
    assert logp.grad.tolist() == pytest.approx([row[1] for row in expected])
    assert statistics["clipped"] == sum(row[2] for row in expected)
    assert 0 < statistics["clipped"] < 500


def test_statistics_are_sums_over_tokens():
    logp, old, behaviour, advantage = draws(50, 2)
    _, statistics = policy_loss(logp, old, behaviour, advantage, clip=CLIP, truncate=1.0)
    rows = list(zip(logp.tolist(), old.tolist(), behaviour.tolist(), strict=True))
    weights = [min(math.exp(p - b), 1.0) for p, _, b in rows]
    assert statistics["weight"] == pytest.approx(sum(weights))
    assert statistics["weight_min"] == pytest.approx(min(weights))
    assert statistics["gap"] == pytest.approx(sum(abs(o - b) for _, o, b in rows))
    assert statistics["approx_kl"] == pytest.approx(sum(math.exp(p - o) - 1 - (p - o) for p, o, _ in rows))


@pytest.mark.parametrize(("advantage", "gradient"), [(-1.0, 0.0), (1.0, -0.5)])
def test_a_token_that_weighs_less_than_the_clip_range_learns_only_upwards(advantage, gradient):
    logp = torch.tensor([-1.0], dtype=torch.float64, requires_grad=True)
    old, behaviour = torch.tensor([-1.0]).double(), torch.tensor([-1.0 + math.log(2)]).double()
    loss, _ = policy_loss(logp, old, behaviour, torch.tensor([advantage]).double(), clip=CLIP, truncate=1.0)
    loss.backward()
    assert logp.grad.item() == pytest.approx(gradient)


def test_at_ratio_1_the_gradient_is_that_of_reinforce():
    logp, _, _, advantage = draws(40, 3)
    ours, plain = logp.clone().requires_grad_(True), logp.clone().requires_grad_(True)
    policy_loss(ours, logp, logp, advantage, clip=CLIP, truncate=1.0)[0].backward()
    (-(plain * advantage).sum()).backward()
    assert torch.allclose(ours.grad, plain.grad)


def test_the_importance_weight_and_the_old_policy_carry_no_gradient():
    logp, old, behaviour, advantage = draws(40, 4)
    for tensor in (logp, old, behaviour):
        tensor.requires_grad_(True)
    policy_loss(logp, old, behaviour, advantage, clip=CLIP, truncate=1.0)[0].backward()
    assert old.grad is None and behaviour.grad is None and logp.grad.abs().sum() > 0


def test_an_absurd_gap_to_the_behaviour_policy_is_capped_and_not_infinite():
    logp = torch.tensor([-1.0], requires_grad=True)
    loss, statistics = policy_loss(
        logp, torch.tensor([-1.0]), torch.tensor([-500.0]), torch.tensor([1.0]), clip=CLIP, truncate=1.0
    )
    loss.backward()
    assert loss.item() == pytest.approx(-1.0) and logp.grad.item() == pytest.approx(-1.0)
    assert statistics["weight_min"] == pytest.approx(1.0)


def test_value_loss_and_gradient_equal_a_loop_over_reads():
    generator = torch.Generator().manual_seed(5)
    values, old, targets = torch.randn(3, 300, generator=generator, dtype=torch.float64) * 0.5
    values = values.clone().requires_grad_(True)
    loss = value_loss(values, old, targets, clip=CLIP)
    loss.backward()
    total, gradients = 0.0, []
    for v, o, r in zip(values.tolist(), old.tolist(), targets.tolist(), strict=True):
        near = min(max(v, o - CLIP), o + CLIP)
        total += 0.5 * max((v - r) ** 2, (near - r) ** 2)
        gradients.append(v - r if near == v or (v - r) ** 2 >= (near - r) ** 2 else 0.0)
    assert loss.item() == pytest.approx(total)
    assert values.grad.tolist() == pytest.approx(gradients)
    assert 0 < sum(g == 0 for g in gradients) < 300


def test_a_value_that_ran_past_its_clip_range_towards_the_target_stops():
    values = torch.tensor([0.5, -0.5], requires_grad=True)
    loss = value_loss(values, torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0]), clip=CLIP)
    loss.backward()
    # first: clipped error 0.8 counts; second: went the wrong way, its own error 1.5 counts
    assert loss.item() == pytest.approx(0.5 * (0.8**2 + 1.5**2))
    assert values.grad.tolist() == pytest.approx([0.0, -1.5])
