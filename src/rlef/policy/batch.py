"""Token batches as networks read them. The only place that knows padding and packing."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBatch:
    """Rows of tokens, each holding one episode or several packed one after another.

    All tensors have shape ``(B, T)``. A token attends to the earlier tokens of its own
    segment and to itself; padding (segment 0) is attended by nobody.
    """

    ids_BT: torch.Tensor
    """Token ids, int64; any valid id at padding."""
    segment_BT: torch.Tensor
    """0 at padding, else 1, 2, … for the first, second, … episode of the row."""
    position_BT: torch.Tensor
    """Position of the token in its own episode, from 0."""
    is_action_BT: torch.Tensor
    """True where the policy wrote the token and its log-probability is wanted."""
    read_value_BT: torch.Tensor
    """True where the value network is read (last prompt token of each turn, or the token
    before each action token for token-level values)."""
