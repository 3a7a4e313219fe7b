"""How networks read a ``TokenBatch``: attention mask, positions, and which outputs are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from rlef.policy.batch import TokenBatch

CHUNK_LOGITS = 2**25
"""Most logits held at a time (128 MB in float32); more are made in pieces and made
again in the backward pass. A whole batch of a 128k vocabulary would not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one forward pass over a batch needs. Flat indices count row-major over ``(B, T)``."""

    ids_BT: Tensor
    mask_B1TT: Tensor | None
    """Additive mask, 0 or -inf; None where plain causal attention is the same."""
    position_BT: Tensor
    before_N: Tensor
    """Flat index of the token before each action token: its output predicts the action."""
    action_N: Tensor
    """Id of each action token."""
    value_M: Tensor
    """Flat index of each position at which the value is read."""


def read(batch: TokenBatch, *, dtype: torch.dtype, context_length: int) -> Reading:
    """Plan the forward pass over ``batch``.

    Raises ``ValueError`` for a batch that can't mean anything: an action token with no
    token of its own episode before it, a value read at padding, or an episode longer
    than the model's context.
    """
    ids_BT, segment_BT, position_BT = batch.ids_BT, batch.segment_BT, batch.position_BT
    width = ids_BT.shape[1]
    action = batch.is_action_BT.reshape(-1).nonzero().squeeze(1)
    value_M = batch.read_value_BT.reshape(-1).nonzero().squeeze(1)
    segment = segment_BT.reshape(-1)
    before_N = action - 1
    if ((action % width == 0) | (segment[before_N] != segment[action]) | (segment[action] == 0)).any():
        raise ValueError("an action token must follow a token of its own episode")
    if (segment[value_M] == 0).any():
        raise ValueError("the value can't be read at padding")
    if position_BT.numel() and int(position_BT.max()) >= context_length:
        raise ValueError(
            f"an episode of {int(position_BT.max()) + 1} tokens exceeds the context of {context_length}"
        )
    causal = _is_plain(segment_BT, position_BT)
    return Reading(
        ids_BT=ids_BT,
        mask_B1TT=None if causal else _mask(segment_BT, dtype),
        # Positions at padding are free; running on through it keeps transformers from
        # taking a jump for the start of a packed episode and building a mask after all.
        position_BT=torch.arange(width, device=ids_BT.device).expand_as(ids_BT) if causal else position_BT,
        before_N=before_N,
        action_N=ids_BT.reshape(-1)[action],
        value_M=value_M,
    )


def _is_plain(segment_BT: Tensor, position_BT: Tensor) -> bool:
    """Whether every row is one episode from column 0, padded on the right only."""
    columns = torch.arange(segment_BT.shape[1], device=segment_BT.device)
    one = (segment_BT <= 1).all() & (segment_BT[:, 1:] <= segment_BT[:, :-1]).all()
    return bool(one & ((position_BT == columns) | (segment_BT == 0)).all())


def _mask(segment_BT: Tensor, dtype: torch.dtype) -> Tensor:
    """Additive attention mask ``(B, 1, T, T)`` of a packed batch.

    Every token sees itself, padding too: a row of nothing but -inf would be NaN.
    """
    width = segment_BT.shape[1]
    ones_TT = torch.ones(width, width, dtype=torch.bool, device=segment_BT.device)
    same_BTT = (segment_BT[:, :, None] == segment_BT[:, None, :]) & (segment_BT != 0)[:, None, :]
    seen_BTT = (same_BTT & ones_TT.tril()) | torch.eye(width, dtype=torch.bool, device=segment_BT.device)
    zero = torch.zeros((), dtype=dtype, device=segment_BT.device)
    return torch.where(seen_BTT, zero, float("-inf"))[:, None]


def token_logprobs(
    head: Any, hidden_NH: Tensor, ids_N: Tensor, *, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probability of each id and entropy (nats, no gradient) of its distribution.

    ``head`` maps hidden states to logits; both results have shape ``(N,)``, float32.
    """
    rows = max(1, CHUNK_LOGITS // head.weight.shape[0])
    if len(ids_N) <= rows:
        return _chunk(head, hidden_NH, ids_N, temperature)
    pieces = [
        checkpoint(_chunk, head, hidden, ids, temperature, use_reentrant=False, preserve_rng_state=False)
        for hidden, ids in zip(torch.split(hidden_NH, rows), torch.split(ids_N, rows), strict=True)
    ]
    return torch.cat([piece[0] for piece in pieces]), torch.cat([piece[1] for piece in pieces])


def _chunk(head: Any, hidden_NH: Tensor, ids_N: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    logits_NV = head(hidden_NH).float()
    if temperature != 1.0:
        logits_NV = logits_NV / temperature
    logprob_NV = functional.log_softmax(logits_NV, dim=-1)
    with torch.no_grad():
        entropy_N = -(logprob_NV.exp() * logprob_NV).sum(-1)
    return logprob_NV.gather(1, ids_N[:, None]).squeeze(1), entropy_N
