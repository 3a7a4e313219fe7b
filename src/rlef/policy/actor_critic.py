"""Policy, value and reference networks behind one interface (RLEF paper, section 2.2 and A.1).

The policy acts per token, the value is read per turn by a separate network that starts
from the same weights and ends in a random linear projection; the reference is the
policy as it was at the start. ``full.py`` holds three bodies, ``lora.py`` one frozen
body and an adapter for each role; ``networks.py`` chooses.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rlef.errors import CheckpointError
from rlef.policy.batch import TokenBatch
from rlef.policy.reading import Reading, read, token_logprobs
from rlef.policy.tensors import restore, write_tensors
from rlef.policy.transformer import (
    check_head,
    checkpointing,
    context_length,
    new_value_head,
    without_bars,
)

Role = Literal["policy", "value", "reference"]
POLICY_STATE, VALUE_STATE, REFERENCE_STATE = (
    "policy.safetensors",
    "value.safetensors",
    "reference.safetensors",
)


class ActorCritic(ABC):
    """The networks that learn. Log-probabilities, entropies and values are float32.

    Networks stay in evaluation mode (no dropout), so that what the learner computes is
    what the sampler computed; gradients flow all the same.
    """

    context_length: int
    """Most tokens of one episode."""

    def __init__(self, model: Any, tokenizer: Any, *, seed: int, autocast: torch.dtype | None) -> None:
        check_head(model.eval())
        # Many models pad with their end token, and torch then withholds its gradient.
        model.get_input_embeddings().padding_idx = None
        self._model = model
        self._tokenizer = tokenizer
        self._autocast = autocast
        self._rebased = False
        self._last: tuple[TokenBatch, Reading] | None = None
        self.context_length = context_length(model)
        self.value_head = new_value_head(model, seed)

    def logprobs(self, batch: TokenBatch, *, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        """Log-probability and entropy (nats) of each action token, each ``(N,)``.

        Order is row-major over ``is_action_BT``. The entropy carries no gradient.
        """
        return self._logprobs("policy", batch, temperature)

    @torch.no_grad()
    def reference_logprobs(self, batch: TokenBatch, *, temperature: float = 1.0) -> Tensor:
        """Log-probability of each action token under the initial policy, ``(N,)``, no gradient."""
        return self._logprobs("reference", batch, temperature)[0]

    def values(self, batch: TokenBatch) -> Tensor:
        """Value at each flagged position, ``(M,)``, row-major over ``read_value_BT``."""
        reading = self._read(batch)
        with self._role("value") as body:
            hidden_XH = self._hidden(body, reading)
        values_M: Tensor = self.value_head(hidden_XH[reading.value_M].float()).squeeze(-1)
        return values_M

    @abstractmethod
    def policy_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Names and trainable parameters of the policy."""

    @abstractmethod
    def value_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Names and trainable parameters of the value network, its head included."""

    @abstractmethod
    def generation_model(self) -> Any:
        """The policy as a causal language model to sample from, in evaluation mode.

        Ask again before each rollout: it may be a copy of the weights as they are now.
        """

    @abstractmethod
    def rebase(self) -> None:
        """Make the policy as it is now the reference and the value network's body.

        Called once, between a supervised warm start and reinforcement learning.
        """

    def save_policy(self, folder: Path) -> None:
        """Write the policy as an ordinary folder for ``AutoModelForCausalLM.from_pretrained``."""
        folder.mkdir(parents=True, exist_ok=True)
        with without_bars():
            self._save_weights(folder)
        self._tokenizer.save_pretrained(folder)

    def save_value(self, folder: Path) -> None:
        """Write the value network's trainable tensors to ``value.safetensors``."""
        write_tensors(folder / VALUE_STATE, dict(self.value_parameters()))

    def save_exact_state(self, folder: Path) -> None:
        """Write every trainable tensor, and the reference if it moved, to go on bit for bit."""
        write_tensors(folder / POLICY_STATE, dict(self.policy_parameters()))
        self.save_value(folder)
        if self._rebased:
            write_tensors(folder / REFERENCE_STATE, dict(self._reference_parameters()))

    def load_exact_state(self, folder: Path) -> None:
        """Restore what ``save_exact_state`` wrote. Raises ``CheckpointError`` if it doesn't fit."""
        if (folder / REFERENCE_STATE).exists():
            if not self._rebased:
                self.rebase()
            restore(folder / REFERENCE_STATE, self._reference_parameters())
        elif self._rebased:
            raise CheckpointError(
                f"{folder} is older than the change of the reference; load it into new networks"
            )
        restore(folder / POLICY_STATE, self.policy_parameters())
        restore(folder / VALUE_STATE, self.value_parameters())

    @abstractmethod
    def _role(self, role: Role) -> AbstractContextManager[Any]:
        """The transformer body that plays ``role``, for the length of a ``with`` block."""

    @abstractmethod
    def _head(self, role: Role) -> Any:
        """The language-model head of ``role``."""

    @abstractmethod
    def _reference_parameters(self) -> list[tuple[str, nn.Parameter]]: ...

    @abstractmethod
    def _save_weights(self, folder: Path) -> None: ...

    def _read(self, batch: TokenBatch) -> Reading:
        # A batch is read by up to three networks in a row: plan it, and make its mask, once.
        if self._last is None or self._last[0] is not batch:
            plan = read(batch, dtype=self._model.dtype, context_length=self.context_length)
            self._last = (batch, plan)
        return self._last[1]

    def _logprobs(self, role: Role, batch: TokenBatch, temperature: float) -> tuple[Tensor, Tensor]:
        if temperature <= 0:
            raise ValueError("log-probabilities need a temperature above 0")
        reading = self._read(batch)
        with self._role(role) as body:
            hidden_XH = self._hidden(body, reading)
        with self._precision():
            return token_logprobs(
                self._head(role), hidden_XH[reading.before_N], reading.action_N, temperature=temperature
            )

    def _hidden(self, body: Any, reading: Reading) -> Tensor:
        """Last hidden states, flattened to ``(B*T, H)``."""
        with self._precision(), checkpointing(body):
            output = body(
                input_ids=reading.ids_BT,
                attention_mask=reading.mask_B1TT,
                position_ids=reading.position_BT,
                use_cache=False,
            )
        hidden_BTH: Tensor = output[0]
        return hidden_BTH.flatten(0, 1)

    def _precision(self) -> AbstractContextManager[Any]:
        if self._autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(self._model.device.type, dtype=self._autocast)
