"""A small attention network behind the learner's interface, and episodes made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from rlef.episode.record import Episode
from rlef.learning.advantage import Outcome
from rlef.policy.batch import TokenBatch

torch.set_num_threads(1)


class TinyBody(nn.Module):
    """Embedding, one causal attention head inside each segment, a linear output."""

    def __init__(self, vocabulary: int, outputs: int, size: int = 12, longest: int = 64) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, size)
        self.positions = nn.Embedding(longest, size)
        self.attend = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, outputs)
        self.seen: torch.Tensor | None = None
        """Output of the last forward pass, its gradient kept."""

    def forward(self, batch: TokenBatch) -> torch.Tensor:
        x_BTH = self.tokens(batch.ids_BT) + self.positions(batch.position_BT)
        q, k, v = self.attend(x_BTH).chunk(3, dim=-1)
        width = batch.ids_BT.shape[1]
        same = batch.segment_BT[:, :, None] == batch.segment_BT[:, None, :]
        seen = same & torch.ones(width, width, dtype=torch.bool).tril()
        scores = (q @ k.transpose(1, 2)).masked_fill(~seen, -torch.inf)
        out = self.out(torch.tanh(x_BTH + scores.softmax(-1) @ v))
        if out.requires_grad:
            out.retain_grad()
        self.seen = out
        return out


class TinyNetworks:
    """Separate policy, value and reference bodies, in the given precision."""

    def __init__(self, vocabulary: int = 16, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        torch.manual_seed(seed)
        self.policy = TinyBody(vocabulary, vocabulary).to(dtype)
        self.reference = TinyBody(vocabulary, vocabulary).to(dtype).requires_grad_(False)
        self.reference.load_state_dict(self.policy.state_dict())
        self.value = TinyBody(vocabulary, 1).to(dtype)

    def _logprobs(
        self, body: TinyBody, batch: TokenBatch, temperature: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        all_BTV = torch.log_softmax(body(batch) / temperature, dim=-1)[:, :-1]
        wanted_BT = batch.is_action_BT[:, 1:]
        chosen_BT = all_BTV.gather(-1, batch.ids_BT[:, 1:, None]).squeeze(-1)
        entropy_BT = -(all_BTV.exp() * all_BTV).sum(-1)
        return chosen_BT[wanted_BT], entropy_BT[wanted_BT].detach()

    def logprobs(self, batch: TokenBatch, *, temperature: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
        return self._logprobs(self.policy, batch, temperature)

    def reference_logprobs(self, batch: TokenBatch, *, temperature: float = 1.0) -> torch.Tensor:
        with torch.no_grad():
            return self._logprobs(self.reference, batch, temperature)[0]

    def copy(self) -> TinyNetworks:
        """The same weights, apart."""
        other = TinyNetworks(self.policy.out.out_features, dtype=self.policy.out.weight.dtype)
        for name in ("policy", "reference", "value"):
            getattr(other, name).load_state_dict(getattr(self, name).state_dict())
        return other

    def values(self, batch: TokenBatch) -> torch.Tensor:
        return self.value(batch).squeeze(-1)[batch.read_value_BT]

    def policy_parameters(self) -> list[tuple[str, nn.Parameter]]:
        return list(self.policy.named_parameters())

    def value_parameters(self) -> list[tuple[str, nn.Parameter]]:
        return list(self.value.named_parameters())


def make_episode(
    *turns: tuple[Sequence[int], Sequence[int], float],
    problem: str = "p",
    logprob: float = -1.0,
    sample: int = 0,
) -> Episode:
    """An episode of (observed ids, written ids, reward) turns."""
    episode = Episode(problem_id=problem, sample=sample, stop="turn_limit")
    for observed, written, reward in turns:
        episode.append_observation(observed)
        turn = episode.append_turn(
            written, [logprob] * len(written), text="", offsets=(0,) * len(written), finish="stop"
        )
        turn.reward = reward
    return episode


def random_episode(rng: np.random.Generator, *, problem: str = "p", vocabulary: int = 16) -> Episode:
    """One to three turns of one to five tokens, with any rewards and log-probabilities."""
    turns = [
        (
            [int(i) for i in rng.integers(0, vocabulary, rng.integers(1, 6))],
            [int(i) for i in rng.integers(0, vocabulary, rng.integers(1, 6))],
            float(rng.normal()),
        )
        for _ in range(rng.integers(1, 4))
    ]
    episode = make_episode(*turns, problem=problem)
    draws = -rng.exponential(2.0, len(episode.ids_T))
    episode.logprobs_T = [float(p) if a else 0.0 for p, a in zip(draws, episode.is_action_T, strict=True)]
    return episode


def random_outcome(rng: np.random.Generator, *, values: str = "turn", group: str = "p") -> Outcome:
    """What credit assignment sees of a ragged episode. ``values`` is turn, token or none."""
    lengths_K = [int(n) for n in rng.integers(1, 6, rng.integers(1, 5))]
    reads = {"turn": len(lengths_K), "token": sum(lengths_K), "none": 0}[values]
    return Outcome(
        group=group,
        rewards_K=[float(r) for r in rng.normal(size=len(lengths_K))],
        penalties_K=[float(p) for p in 0.05 * rng.normal(size=len(lengths_K))],
        lengths_K=lengths_K,
        values_R=[float(v) for v in rng.normal(size=reads)],
    )
