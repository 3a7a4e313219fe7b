"""PPO must learn to repeat the token it reads, from chance to nearly always, in seconds."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from learning_fakes import TinyNetworks, make_episode
from rlef.config import Algorithm, Lora, Reward
from rlef.learning.collate import pack
from rlef.learning.learner import Learner
from rlef.policy.networks import build_actor_critic

KINDS = 8


def llama():
    torch.manual_seed(0)
    shape = {"vocab_size": KINDS, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    config = LlamaConfig(**shape, num_attention_heads=2, max_position_embeddings=16)
    return build_actor_critic(LlamaForCausalLM(config), None, lora=Lora(), seed=0)


@torch.no_grad()
def distribution(networks):
    """Log-probability of each written token (column) after each observed one (row)."""
    table = [make_episode(([x], [y], 0.0)) for x in range(KINDS) for y in range(KINDS)]
    (one,) = pack(table, max_tokens=10_000, packed=False)
    return networks.logprobs(one.batch)[0].reshape(KINDS, KINDS)


def play(networks, generator, samples):
    logp = distribution(networks)
    episodes = []
    for x in range(KINDS):
        for y in torch.multinomial(logp[x].exp(), samples, replacement=True, generator=generator).tolist():
            turn = ([x], [y], 1.0 if y == x else -1.0)
            episodes.append(make_episode(turn, problem=str(x), logprob=min(0.0, float(logp[x, y]))))
    return episodes


def learn(networks, algorithm, *, samples, steps):
    """Chance of repeating the token before and after, and the figures of every step."""
    generator = torch.Generator().manual_seed(0)
    learner = Learner(networks, algorithm, Reward())
    before = float(distribution(networks).exp().diagonal().mean())
    figures = [learner.update(play(networks, generator, samples)) for _ in range(steps)]
    return before, float(distribution(networks).exp().diagonal().mean()), figures


@pytest.mark.parametrize("credit", ["turn", "token", "rloo", "grpo", "none"])
def test_ppo_learns_to_repeat_what_it_reads(credit):
    algorithm = Algorithm(credit=credit, lr=0.02, warmup=5, minibatches=2, weight_decay=0.0)
    before, after, figures = learn(TinyNetworks(KINDS), algorithm, samples=16, steps=40)
    assert before < 0.25 and after > 0.9
    assert figures[-1]["reward"] > 0.8 > 0 > figures[0]["reward"]
    if credit in ("turn", "token"):
        assert max(f.get("ev", 0.0) for f in figures) > 0.1  # the critic learnt something, too


def test_ppo_teaches_a_real_transformer_the_same():
    algorithm = Algorithm(lr=0.01, warmup=5, minibatches=2, weight_decay=0.0)
    before, after, _ = learn(llama(), algorithm, samples=32, steps=40)
    assert before < 0.25 and after > 0.9
