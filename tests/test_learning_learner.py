"""A learner's step against a plain loop over episodes, and what must not change it."""

from __future__ import annotations

import copy
import functools
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from learning_fakes import TinyNetworks, make_episode, random_episode
from rlef.config import Algorithm, Lora, Reward
from rlef.errors import CheckpointError, ConfigError, RlefError
from rlef.learning import learner as learner_module
from rlef.learning.collate import pack
from rlef.learning.figures import pool
from rlef.learning.learner import Learner
from rlef.policy.networks import build_actor_critic

CREDITS = ["turn", "token", "rloo", "grpo", "none"]


def settings(**changes):
    return Algorithm(**{"minibatches": 1, "lr": 0.1, "warmup": 0, "grad_clip": 1e9} | changes)


def batch(count=8, seed=0):
    rng = np.random.default_rng(seed)
    return [random_episode(rng, problem=f"p{e // 4}") for e in range(count)]


def real_networks():
    torch.manual_seed(0)
    shape = {"vocab_size": 16, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
    config = LlamaConfig(**shape, num_attention_heads=2, max_position_embeddings=64)
    return build_actor_critic(LlamaForCausalLM(config), None, lora=Lora(), seed=0)


def moved(networks, episodes, algorithm, **others):
    """Gradients that one update applied: the step of plain SGD over its learning rate."""
    learner = Learner(networks, algorithm, Reward(), **others)
    learner.policy_optimizer = torch.optim.SGD([p for _, p in networks.policy_parameters()], lr=1.0)
    if learner.value_optimizer is not None:
        learner.value_optimizer = torch.optim.SGD([p for _, p in networks.value_parameters()], lr=1.0)
    named = networks.policy_parameters() + networks.value_parameters()
    before = [p.detach().clone() for _, p in named]
    figures = learner.update(episodes)
    after = [p.detach() for _, p in named]
    return [(b - a) / algorithm.lr for a, b in zip(after, before, strict=True)], figures


def assert_close(left, right, rtol=1e-5):
    largest = max(float(x.abs().max()) for x in right)
    assert largest > 0
    for a, b in zip(left, right, strict=True):
        assert torch.allclose(a, b, rtol=rtol, atol=rtol * largest)


# --- the update itself -------------------------------------------------------------


def alone(episode, read):
    return pack([episode], max_tokens=1, read=read)[0].batch


def look(networks, episode, algorithm, beta, temperature):
    """One episode on its own: log-probabilities, values, returns-to-go with the KL in them."""
    read = "token" if algorithm.credit == "token" else "turn"
    one = alone(episode, read)
    logp, _ = networks.logprobs(one, temperature=temperature)
    reference = networks.reference_logprobs(one, temperature=temperature)
    behaviour = torch.tensor(episode.logprobs_T).double()[torch.tensor(episode.is_action_T)]
    paid, lengths, at = [], [], 0
    for turn in episode.turns:
        lengths.append(turn.end - turn.start)
        span = slice(at, at := at + lengths[-1])
        paid.append(turn.reward - beta * (behaviour - reference)[span].mean().item())
    togo = [sum(paid[t:]) for t in range(len(paid))]
    return SimpleNamespace(
        problem=episode.problem_id,
        earned=sum(turn.reward for turn in episode.turns),
        logp=logp,
        behaviour=behaviour,
        values=networks.values(one),
        togo=togo,
        targets=togo if read == "turn" else list(np.repeat(togo, lengths)),
        lengths=lengths,
    )


def advantages_by_hand(own, group, credit):
    """Advantage of every token of the episode ``own``; ``group`` holds its problem's episodes."""
    total = sum(own.lengths)
    others = [one.togo[0] for one in group if one is not own]
    if credit == "rloo":
        return [own.togo[0] - sum(others) / len(others)] * total
    if credit == "grpo":
        mean = (own.togo[0] + sum(others)) / len(group)
        return [(own.togo[0] - mean) / np.std([one.earned for one in group])] * total
    if credit == "none":
        return np.repeat(own.togo, own.lengths)
    per_read = [r - v for r, v in zip(own.targets, own.values.tolist(), strict=True)]
    return per_read if credit == "token" else np.repeat(per_read, own.lengths)


def step_by_hand(networks, episodes, algorithm, beta, temperature):
    """Gradients of one minibatch: no packing, no accumulation, one scalar at a time."""
    rows = [look(networks, episode, algorithm, beta, temperature) for episode in episodes]
    policy, value = [], []
    for own in rows:
        group = [one for one in rows if one.problem == own.problem]
        advantages = advantages_by_hand(own, group, algorithm.credit)
        for p, b, a in zip(own.logp, own.behaviour.tolist(), advantages, strict=True):
            ratio = torch.exp(p - p.detach()) * min(math.exp(p.item() - b), algorithm.truncate)
            policy.append(-torch.minimum(ratio * a, ratio.clamp(0.8, 1.2) * a))
        value += [0.5 * (v - r) ** 2 for v, r in zip(own.values, own.targets, strict=True)]
    (sum(policy) / len(policy)).backward()
    if algorithm.credit in ("turn", "token"):
        (sum(value) / len(value)).backward()
    named = networks.policy_parameters() + networks.value_parameters()
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for _, p in named]


@pytest.mark.parametrize("credit", CREDITS)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_an_update_equals_a_plain_loop_over_episodes_and_tokens(credit, temperature):
    networks = TinyNetworks(dtype=torch.float64)
    with torch.no_grad():
        networks.reference.out.bias += torch.linspace(-1, 1, 16)
    episodes, algorithm = batch(), settings(credit=credit, normalise=False)
    expected = step_by_hand(networks.copy(), episodes, algorithm, 0.05, temperature)
    found, _ = moved(networks, episodes, algorithm, temperature=temperature)
    assert_close(found, expected)


@pytest.mark.parametrize("make", [lambda: TinyNetworks(dtype=torch.float64), real_networks])
@pytest.mark.parametrize("credit", ["turn", "token", "rloo"])
def test_micro_batches_padding_and_packing_do_not_change_the_gradient(make, credit, monkeypatch):
    episodes = batch()
    pair = 2 * max(len(episode.ids_T) for episode in episodes)
    expected, figures = moved(make(), episodes, settings(credit=credit))
    for packed in (True, False):
        monkeypatch.setattr(learner_module, "pack", functools.partial(pack, packed=packed))
        for most in (1, pair, 10_000):
            found, same = moved(make(), episodes, settings(credit=credit, microbatch_tokens=most))
            assert_close(found, expected)
            assert same == pytest.approx(figures, rel=1e-4, abs=1e-6)


def test_long_and_short_episodes_are_divided_once_and_not_averaged_twice():
    """Lengths 1 and 3: a mean of two micro-batches' means would weigh the short one thrice."""
    networks = TinyNetworks(dtype=torch.float64)
    episodes = [make_episode(([1], [2], 1.0)), make_episode(([3], [4, 5, 6], -1.0))]
    for episode in episodes:
        logp, _ = networks.logprobs(alone(episode, "turn"))
        flat = iter(logp.tolist())
        episode.logprobs_T = [next(flat) if a else 0.0 for a in episode.is_action_T]
    copied = networks.copy()
    loss = -copied.logprobs(alone(episodes[0], "turn"))[0].sum()
    loss = (loss + copied.logprobs(alone(episodes[1], "turn"))[0].sum()) / 4
    loss.backward()
    algorithm = settings(credit="none", normalise=False, microbatch_tokens=1)
    learner = Learner(networks, algorithm, Reward(kl=0.0))
    learner.policy_optimizer = torch.optim.SGD([p for _, p in networks.policy_parameters()], lr=1.0)
    before = [p.detach().clone() for _, p in networks.policy_parameters()]
    learner.update(episodes)
    found = [(b - p.detach()) / 0.1 for b, (_, p) in zip(before, networks.policy_parameters(), strict=True)]
    assert_close(found, [p.grad for _, p in copied.policy_parameters()])


def test_nothing_that_the_environment_wrote_gets_a_gradient():
    networks, episodes = TinyNetworks(), batch()
    Learner(networks, settings(), Reward()).update(episodes)
    (one,) = learner_packs(episodes)
    gradient_BT = networks.policy.seen.grad.abs().sum(-1)
    predicts_action_BT = torch.zeros_like(one.batch.is_action_BT)
    predicts_action_BT[:, :-1] = one.batch.is_action_BT[:, 1:]
    assert (gradient_BT[~predicts_action_BT] == 0).all()
    assert (gradient_BT[predicts_action_BT] > 0).float().mean() > 0.5  # some sit on the flat side
    value_BT = networks.value.seen.grad.abs().sum(-1)
    assert torch.equal(value_BT > 0, one.batch.read_value_BT)


def test_the_real_policy_gets_no_gradient_from_the_environments_tokens_either():
    networks, episodes, seen = real_networks(), batch(), []

    def keep(module, inputs, output):
        if output[0].requires_grad:
            output[0].retain_grad()
            seen.append(output[0])

    networks.generation_model().get_decoder().register_forward_hook(keep)
    Learner(networks, settings(), Reward()).update(episodes)
    (one,) = learner_packs(episodes)
    predicts_action_BT = torch.zeros_like(one.batch.is_action_BT)
    predicts_action_BT[:, :-1] = one.batch.is_action_BT[:, 1:]
    gradient_BT = seen[-1].grad.abs().sum(-1)
    assert (gradient_BT[~predicts_action_BT] == 0).all()
    assert (gradient_BT[predicts_action_BT] > 0).any()


def learner_packs(episodes):
    """The one pack of a first update with one minibatch (seed 0)."""
    order = np.random.default_rng([0, 0, 0]).permutation(len(episodes))
    return pack(episodes, max_tokens=8192, members=[int(e) for e in order])


# --- minibatches, epochs, schedule --------------------------------------------------


class Watched(TinyNetworks):
    """Remembers which episodes (by their first token) each gradient pass held."""

    def __init__(self):
        super().__init__(vocabulary=64)
        self.passes = []

    def logprobs(self, batch, *, temperature=1.0):
        if torch.is_grad_enabled():
            self.passes.append(
                sorted(batch.ids_BT[batch.position_BT.eq(0) & batch.segment_BT.ne(0)].tolist())
            )
        return super().logprobs(batch, temperature=temperature)


def numbered(count):
    return [make_episode(([e], [40, 41], float(e % 2))) for e in range(count)]


def test_each_episode_is_used_once_an_epoch_in_minibatches_of_even_size():
    networks = Watched()
    figures = Learner(networks, settings(minibatches=4, epochs=2), Reward()).update(numbered(10))
    assert figures["updates"] == 8 and len(networks.passes) == 8
    assert [len(p) for p in networks.passes[:4]] == [3, 3, 2, 2]
    for epoch in (networks.passes[:4], networks.passes[4:]):
        assert sorted(itertools.chain(*epoch)) == list(range(10))
    assert networks.passes[:4] != networks.passes[4:]


def test_the_split_into_minibatches_depends_on_seed_and_step_alone():
    def splits(seed, steps):
        networks = Watched()
        learner = Learner(networks, settings(minibatches=3), Reward(), seed=seed)
        for _ in range(steps):
            learner.update(numbered(9))
        return [networks.passes[i : i + 3] for i in range(0, 3 * steps, 3)]

    first = splits(1, 2)
    assert first == splits(1, 2)
    assert first[0] != first[1] and first[0] != splits(2, 1)[0]


def test_fewer_episodes_than_minibatches_make_fewer_updates():
    assert Learner(TinyNetworks(64), settings(minibatches=4), Reward()).update(numbered(2))["updates"] == 2


def test_the_learning_rate_warms_up_by_updates_and_then_stays():
    learner = Learner(TinyNetworks(64), settings(warmup=4, lr=0.4, value_lr=0.8, minibatches=2), Reward())
    rates = []
    for _ in range(3):
        figures = learner.update(numbered(6))
        rates.append((learner.policy_optimizer.param_groups[0]["lr"], figures["warmup"]))
        assert learner.value_optimizer.param_groups[0]["lr"] == pytest.approx(2 * rates[-1][0])
    assert rates == [pytest.approx(r) for r in ((0.2, 0.5), (0.4, 1.0), (0.4, 1.0))]


def test_gradients_are_clipped_network_by_network():
    networks = TinyNetworks(dtype=torch.float64)
    found, figures = moved(networks, batch(), settings(grad_clip=1e-3))
    count = len(networks.policy_parameters())
    for part, name in ((found[:count], "policy"), (found[count:], "value")):
        norm = math.sqrt(sum(float((g**2).sum()) for g in part))
        assert norm == pytest.approx(1e-3, rel=1e-3) and figures[f"grad_norm/{name}"] > 1e-3


# --- what must not matter, and what must stop ---------------------------------------


def weights(networks):
    named = networks.policy_parameters() + networks.value_parameters()
    return {f"{i}{name}": p.detach().clone() for i, (name, p) in enumerate(named)}


def same(left, right):
    return all(torch.equal(left[name], right[name]) for name in left)


def test_an_episode_whose_judge_failed_changes_nothing_and_is_counted():
    broken = make_episode(([1, 2], [3, 4], 1e6), problem="p0")
    broken.stop = "judge_error"
    clean, dirty = TinyNetworks(), TinyNetworks()
    figures = Learner(clean, settings(), Reward()).update(batch())
    with_broken = Learner(dirty, settings(), Reward()).update([*batch()[:3], broken, *batch()[3:]])
    assert same(weights(clean), weights(dirty))
    assert with_broken == figures | {"episodes/dropped": 1.0}


def test_a_step_in_which_every_judge_failed_makes_no_update():
    networks, broken = TinyNetworks(), make_episode(([1, 2], [3, 4], 1.0))
    broken.stop = "judge_error"
    before, learner = weights(networks), Learner(networks, settings(), Reward())
    assert learner.update([broken]) == {"episodes/used": 0.0, "episodes/dropped": 1.0}
    assert same(before, weights(networks))
    assert learner.counters() == {"step": 1, "updates": 0}


@pytest.mark.parametrize("credit", ["rloo", "grpo", "none"])
def test_group_baselines_neither_read_nor_train_the_value_network(credit):
    networks = TinyNetworks()
    networks.values = None  # calling it would be a TypeError
    before, learner = weights(networks), Learner(networks, settings(credit=credit), Reward())
    figures = learner.update(batch())
    count = len(networks.policy_parameters())
    names = list(before)
    after = weights(networks)
    assert all(torch.equal(before[name], after[name]) for name in names[count:])
    assert not same(before, after)
    assert learner.value_optimizer is None and not {"value_loss", "ev"} & set(figures)


@pytest.mark.parametrize("credit", CREDITS)
def test_the_same_batches_give_the_same_bits(credit):
    runs = []
    for _ in range(2):
        networks = TinyNetworks()
        learner = Learner(networks, settings(credit=credit, minibatches=3, microbatch_tokens=50), Reward())
        figures = [learner.update(batch(seed=step)) for step in range(3)]
        runs.append((figures, weights(networks)))
    assert runs[0][0] == runs[1][0] and same(runs[0][1], runs[1][1])


def test_a_restored_learner_continues_bit_for_bit():
    def build(networks):
        return Learner(networks, settings(minibatches=3, warmup=8), Reward(), seed=5)

    straight = TinyNetworks()
    learner = build(straight)
    figures = [learner.update(batch(seed=step)) for step in range(4)][2:]

    stopped = TinyNetworks()
    first = build(stopped)
    for step in range(2):
        first.update(batch(seed=step))
    resumed = TinyNetworks(seed=9)
    for body in ("policy", "reference", "value"):
        getattr(resumed, body).load_state_dict(getattr(stopped, body).state_dict())
    second = build(resumed)
    second.policy_optimizer.load_state_dict(copy.deepcopy(first.policy_optimizer.state_dict()))
    second.value_optimizer.load_state_dict(copy.deepcopy(first.value_optimizer.state_dict()))
    second.restore(first.counters())
    assert [second.update(batch(seed=step)) for step in (2, 3)] == figures
    assert same(weights(straight), weights(resumed))


def test_counters_of_something_else_are_refused():
    learner = Learner(TinyNetworks(), settings(), Reward())
    with pytest.raises(CheckpointError, match="step and updates"):
        learner.restore({"step": 3})


def test_a_gradient_that_is_not_finite_is_refused_before_it_reaches_the_weights():
    episodes, networks = batch(), TinyNetworks()
    episodes[3].turns[0].reward = math.inf
    before, learner = weights(networks), Learner(networks, settings(), Reward())
    with np.errstate(invalid="ignore"), pytest.raises(RlefError, match="not applied"):
        learner.update(episodes)
    assert same(before, weights(networks))
    assert all(p.grad is None for _, p in networks.policy_parameters() + networks.value_parameters())


def test_a_broken_value_network_keeps_the_policy_from_being_updated_too():
    networks = TinyNetworks()
    honest, calls = networks.values, []

    def values(batch):
        calls.append(batch)
        return honest(batch) * (1.0 if len(calls) == 1 else math.nan)

    networks.values = values
    before = weights(networks)
    with pytest.raises(RlefError, match="value loss is nan in step 0"):
        Learner(networks, settings(), Reward()).update(batch())
    assert same(before, weights(networks))


def test_broken_weights_are_named_before_anything_is_learnt():
    networks = TinyNetworks()
    with torch.no_grad():
        networks.policy.out.bias[3] = math.nan
    with pytest.raises(RlefError, match="policy's log-probabilities are not finite at step 0"):
        Learner(networks, settings(), Reward()).update(batch())


@pytest.mark.parametrize(
    ("algorithm", "temperature", "key"),
    [
        (settings(), 0.0, "sampling.temperature"),
        (settings(credit="rloo", samples=1), 1.0, "algorithm.samples"),
        (settings(credit="grpo", samples=1), 1.0, "algorithm.samples"),
    ],
)
def test_settings_that_cannot_learn_are_refused_with_their_key(algorithm, temperature, key):
    with pytest.raises(ConfigError, match=key):
        Learner(TinyNetworks(), algorithm, Reward(), temperature=temperature)


# --- figures --------------------------------------------------------------------------


def test_the_figures_of_a_step_by_hand():
    networks = TinyNetworks(dtype=torch.float64)
    with torch.no_grad():
        networks.reference.out.bias += torch.linspace(-1, 1, 16)
    episodes = [
        make_episode(([1, 2], [3, 4], -0.2), ([5], [6], 1.0), problem="a"),
        make_episode(([1, 2], [7], -1.0), problem="a"),
        make_episode(([8], [9], 1.0), problem="b"),
        make_episode(([8], [9, 10], 1.0), problem="b"),
    ]
    ratios, gaps, values = [], [], []
    for episode in episodes:
        one = alone(episode, "turn")
        reference, (old, _) = networks.reference_logprobs(one), networks.logprobs(one)
        gaps += (old + 1.0).abs().tolist()
        values.append(networks.values(one).tolist())
        at = 0
        for turn in episode.turns:
            span = slice(at, at := at + turn.end - turn.start)
            ratios.append(float((-1.0 - reference[span]).mean()))
    figures = Learner(networks, settings(), Reward(kl=0.5)).update(episodes)
    returns = [0.8 - 0.5 * (ratios[0] + ratios[1]), -1 - 0.5 * ratios[2]]
    returns += [1 - 0.5 * ratios[3], 1 - 0.5 * ratios[4]]
    first = np.array([v[0] for v in values])
    assert figures["reward"] == pytest.approx((0.8 - 1.0 + 1.0 + 1.0) / 4)
    assert figures["kl"] == pytest.approx(np.mean(ratios))
    assert figures["return"] == pytest.approx(np.mean(returns))
    assert figures["ev/turn1"] == pytest.approx(1 - np.var(returns - first) / np.var(returns))
    assert "ev/turn2" not in figures  # one second turn: no variance to explain
    assert figures["groups/flat"] == 0.5
    assert (figures["tokens"], figures["turns"], figures["episodes/used"]) == (7, 5, 4)
    assert figures["weight/gap"] == pytest.approx(np.mean(gaps))
    assert figures["approx_kl"] == pytest.approx(0.0, abs=1e-6)


def test_figures_of_several_updates_are_divided_once_by_tokens_or_by_reads():
    names = ("policy_loss", "clipped", "approx_kl", "entropy", "weight", "gap")
    fits = [
        {name: float(i + k) for i, name in enumerate(names)}
        | {"tokens": tokens, "reads": reads, "value_loss": 3.0, "weight_min": 0.5 / tokens}
        | {"grad_norm/policy": tokens, "grad_norm/value": reads, "warmup": 0.1 * k}
        for k, (tokens, reads) in enumerate([(10.0, 1.0), (30.0, 4.0)], start=1)
    ]
    assert pool(fits) == pytest.approx(
        {
            "policy_loss": 3 / 40,
            "clip_fraction": 5 / 40,
            "approx_kl": 7 / 40,
            "entropy": 9 / 40,
            "weight/mean": 11 / 40,
            "weight/gap": 13 / 40,
            "weight/min": 0.5 / 30,
            "value_loss": 6 / 5,
            "grad_norm/policy": 20.0,
            "grad_norm/value": 2.5,
            "tokens": 40.0,
            "updates": 2.0,
            "warmup": 0.2,
        }
    )


def test_token_values_are_explained_by_the_turn_that_they_stand_in():
    episodes = [make_episode(([1], [2, 3], 0.5 * e), ([4], [5], float(e))) for e in range(3)]
    figures = Learner(TinyNetworks(), settings(credit="token"), Reward(kl=0.0)).update(episodes)
    assert {"ev", "ev/turn1", "ev/turn2"} <= set(figures) and "ev/turn3" not in figures


@pytest.mark.parametrize(
    ("changes", "policy_stops", "value_stops"),
    [
        ({}, False, False),
        ({"clip": 1e-6}, True, False),
        ({"value_clip": 1e-6}, False, True),
    ],
)
def test_a_second_pass_stops_where_the_clip_range_ends(changes, policy_stops, value_stops):
    """One token, one read: the first pass carries both over the end of a tiny range."""

    def run(epochs):
        networks = TinyNetworks(dtype=torch.float64)
        episode = make_episode(([1, 2], [3], 1.0))
        logp, _ = networks.logprobs(alone(episode, "turn"))
        episode.logprobs_T[2] = logp.item()
        algorithm = settings(normalise=False, lr=1e-3, epochs=epochs, **changes)
        found, _ = moved(networks, [episode], algorithm)
        count = len(networks.policy_parameters())
        return torch.cat([g.flatten() for g in found[:count]]), torch.cat(
            [g.flatten() for g in found[count:]]
        )

    (policy, value), (policy_twice, value_twice) = run(1), run(2)
    assert policy.abs().sum() > 0 and value.abs().sum() > 0
    assert torch.equal(policy, policy_twice) == policy_stops
    assert torch.equal(value, value_twice) == value_stops


def test_further_updates_move_the_ratio_and_clip_it():
    figures = Learner(TinyNetworks(), settings(minibatches=2, epochs=3), Reward()).update(batch(16))
    assert figures["approx_kl"] > 0 and 0 < figures["clip_fraction"] < 1


def test_all_figures_are_finite_numbers():
    for credit in CREDITS:
        figures = Learner(TinyNetworks(), settings(credit=credit), Reward()).update(batch())
        assert all(type(value) is float and math.isfinite(value) for value in figures.values())
