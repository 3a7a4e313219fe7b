"""All weights learn: a body each for policy, value and reference."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rlef.policy.actor_critic import ActorCritic, Role
from rlef.policy.transformer import copy_weights, enable_checkpointing


class FullActorCritic(ActorCritic):
    """All weights learn: separate bodies for policy and value, a frozen copy as reference."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        seed: int = 0,
        autocast: torch.dtype | None = None,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__(model, tokenizer, seed=seed, autocast=autocast)
        model.requires_grad_(True)
        self._value_body = copy.deepcopy(model.get_decoder())
        self._reference = copy.deepcopy(model).requires_grad_(False)
        self._shadow: Any = None
        if gradient_checkpointing:
            enable_checkpointing(model)
            enable_checkpointing(self._value_body)

    def policy_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Names and trainable parameters of the policy."""
        return list(self._model.named_parameters())

    def value_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Names and trainable parameters of the value network, its head included."""
        body = [(f"body.{name}", parameter) for name, parameter in self._value_body.named_parameters()]
        return body + [(f"head.{name}", parameter) for name, parameter in self.value_head.named_parameters()]

    def generation_model(self) -> Any:
        """The policy itself, or with autocast a low-precision copy of it made now."""
        if self._autocast is None:
            return self._model
        if self._shadow is None:
            self._shadow = copy.deepcopy(self._reference).to(self._autocast)
        copy_weights(self._model, self._shadow)
        return self._shadow

    def rebase(self) -> None:
        """Make the policy as it is now the reference and the value network's body."""
        copy_weights(self._model, self._reference)
        copy_weights(self._model.get_decoder(), self._value_body)
        self._rebased = True

    @contextlib.contextmanager
    def _role(self, role: Role) -> Iterator[Any]:
        if role == "value":
            yield self._value_body
        else:
            yield (self._model if role == "policy" else self._reference).get_decoder()

    def _head(self, role: Role) -> Any:
        return (self._reference if role == "reference" else self._model).get_output_embeddings()

    def _reference_parameters(self) -> list[tuple[str, nn.Parameter]]:
        return list(self._reference.named_parameters())

    def _save_weights(self, folder: Path) -> None:
        self._model.save_pretrained(folder)
