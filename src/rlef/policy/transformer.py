"""What rlef needs to know and change about a transformers model, whatever its family."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils import logging as transformers_logging

from rlef.errors import ModelError


@contextlib.contextmanager
def without_bars() -> Iterator[None]:
    """No progress bars of transformers in the block; whoever set something else finds it again."""
    before = transformers_logging.set_tqdm_hook(
        lambda factory, args, options: factory(*args, **(options | {"disable": True}))
    )
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(before)


def enable_checkpointing(network: Any, context_fn: Callable[[], Any] | None = None) -> None:
    """Have ``network`` recompute its layers in the backward pass instead of storing them."""
    options: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False}
    if context_fn is not None:
        options["context_fn"] = context_fn
    with warnings.catch_warnings():
        # its new name is younger than the oldest transformers that rlef runs with
        warnings.simplefilter("ignore", FutureWarning)
        network.gradient_checkpointing_enable(options)


@contextlib.contextmanager
def checkpointing(body: Any) -> Iterator[None]:
    """Open transformers' gate for gradient checkpointing, which is a layer's training flag.

    Only the layers' own flag is set, not that of the modules in them, so dropout stays off.
    """
    gated: list[Any] = []
    if torch.is_grad_enabled() and getattr(body, "gradient_checkpointing", False):
        gated = [module for module in body.modules() if isinstance(module, GradientCheckpointingLayer)]
    try:
        for layer in gated:
            layer.training = True
        yield
    finally:
        for layer in gated:
            layer.training = False


@torch.no_grad()
def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Overwrite a network's weights with another's of the same build, converting types."""
    for old, new in zip(target.parameters(), source.parameters(), strict=True):
        old.copy_(new)


def new_value_head(model: Any, seed: int) -> nn.Linear:
    """A random projection to a scalar, so small that all values start near 0."""
    size = model.config.get_text_config().hidden_size
    with torch.random.fork_rng():  # Linear draws weights of its own
        head = nn.Linear(size, 1)
    with torch.no_grad():
        head.weight.normal_(0.0, 0.01 / size**0.5, generator=torch.Generator().manual_seed(seed))
        head.bias.zero_()
    return head.to(model.device)


def context_length(model: Any) -> int:
    """Positions the model has; fewer where a sliding window would cut attention off sooner."""
    config = model.config.get_text_config()
    positions: int = config.max_position_embeddings
    window = getattr(config, "sliding_window", None)
    slides = "sliding_attention" in (getattr(config, "layer_types", None) or ["sliding_attention"])
    return min(positions, window) if window and slides else positions


@torch.no_grad()
def check_head(model: Any) -> None:
    """Refuse models that change logits behind their output layer (scaling, soft caps)."""
    ids = torch.arange(8, device=model.device)[None] % model.config.get_text_config().vocab_size
    body, head = model.get_decoder(), model.get_output_embeddings()
    if not torch.allclose(head(body(input_ids=ids, use_cache=False)[0]), model(ids).logits, 1e-3, 1e-3):
        raise ModelError(
            f"{type(model).__name__} scales or caps its logits behind the output layer, "
            f"which rlef does not train; choose a model without"
        )
