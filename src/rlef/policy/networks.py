"""The networks that a configuration asks for."""

from __future__ import annotations

from typing import Any

import torch

from rlef.config import Lora
from rlef.policy.actor_critic import ActorCritic
from rlef.policy.full import FullActorCritic


def build_actor_critic(
    model: Any,
    tokenizer: Any,
    *,
    lora: Lora,
    seed: int,
    autocast: torch.dtype | None = None,
    gradient_checkpointing: bool = False,
) -> ActorCritic:
    """Networks for ``lora.rank``: adapters above 0, all weights at 0.

    ``autocast`` is the type that float32 weights are computed in; None computes in their
    own. Takes ``model`` over. Raises ``ModelError`` for a model whose logits are not those
    of its output layer.
    """
    if lora.rank == 0:
        return FullActorCritic(
            model, tokenizer, seed=seed, autocast=autocast, gradient_checkpointing=gradient_checkpointing
        )
    from rlef.policy.lora import LoraActorCritic  # peft is slow to import

    return LoraActorCritic(
        model,
        tokenizer,
        lora=lora,
        seed=seed,
        autocast=autocast,
        gradient_checkpointing=gradient_checkpointing,
    )
