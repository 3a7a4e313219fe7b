"""Drawing one token a row, from draws that the caller made.

The inverse of the cumulative distribution at a given uniform draw: on a CPU a tenth of
the time of ``torch.multinomial``, and each row's token depends on its own draw alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

Doubles = npt.NDArray[np.float64]

_BLOCK = 256
"""Wide vocabularies are searched in two levels: blocks of this many ids, then ids."""
_NARROW = 1024
"""Vocabularies up to this wide are searched in one level."""
_NUCLEUS = 512
"""Most ids that a nucleus is first looked for in; wider ones fall back to a full sort."""


def uniform_draws(seed: int, count: int) -> Doubles:
    """``count`` draws from [0, 1) that only ``seed`` decides (Philox, counter-based)."""
    return np.random.Generator(np.random.Philox(key=seed & (2**64 - 1))).random(count)


def sample(
    logits_BV: torch.Tensor, draws_B: Doubles, temperature_B: Doubles, top_p_B: Doubles
) -> tuple[torch.Tensor, torch.Tensor]:
    """One id a row, and its log-probability under the distribution it was drawn from.

    The distribution is the softmax of ``logits / temperature``, cut to the smallest set
    of likeliest ids that holds ``top_p`` and renormalised. Temperature 0 takes the
    likeliest id, whose probability is 1. Returns int64 ids and float32 log-probabilities,
    both of shape (B,) and on the device of the logits.
    """
    logits_BV = logits_BV.float()
    greedy_B = temperature_B == 0
    nucleus_B = ~greedy_B & (top_p_B < 1)
    ids_B = torch.empty(len(draws_B), dtype=torch.int64, device=logits_BV.device)
    logprobs_B = torch.zeros(len(draws_B), dtype=torch.float32, device=logits_BV.device)
    for chosen_B, draw in ((~greedy_B & ~nucleus_B, _draw), (nucleus_B, _draw_nucleus)):
        if not chosen_B.any():
            continue
        rows, scaled = _scale(logits_BV, chosen_B, temperature_B)
        probs = torch.softmax(scaled, dim=-1)
        at = torch.from_numpy(draws_B[chosen_B]).to(probs.device)
        mass = torch.from_numpy(top_p_B[chosen_B]).to(probs.device)
        ids_B[rows], logprobs_B[rows] = draw(probs, at, mass)
    if greedy_B.any():
        rows = torch.from_numpy(np.flatnonzero(greedy_B)).to(logits_BV.device)
        ids_B[rows] = logits_BV[rows].argmax(dim=-1)
    return ids_B, logprobs_B


def _scale(
    logits_BV: torch.Tensor, chosen_B: npt.NDArray[np.bool_], temperature_B: Doubles
) -> tuple[torch.Tensor | slice, torch.Tensor]:
    """The chosen rows and their logits over temperature, copying only where that is needed."""
    rows: torch.Tensor | slice = slice(None)
    if not chosen_B.all():
        rows = torch.from_numpy(np.flatnonzero(chosen_B)).to(logits_BV.device)
    chosen = logits_BV[rows]
    temperature = temperature_B[chosen_B]
    if (temperature != 1).any():
        chosen = chosen / torch.from_numpy(temperature).to(chosen)[:, None]
    return rows, chosen


def _draw(
    probs_BV: torch.Tensor, draws_B: torch.Tensor, _top_p_B: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    ids_B = _search_blocks(probs_BV, draws_B) if probs_BV.shape[1] > _NARROW else _search(probs_BV, draws_B)
    return ids_B, probs_BV.gather(1, ids_B[:, None])[:, 0].log()


def _search(weights_BV: torch.Tensor, draws_B: torch.Tensor) -> torch.Tensor:
    """The first id whose cumulative weight passes ``draw * total``; never one of weight 0."""
    cumulative_BV = weights_BV.cumsum(dim=-1, dtype=torch.float64)
    total_B = cumulative_BV[:, -1]
    # A draw just below 1 may round up to the total, which no cumulative weight passes.
    below_B = torch.nextafter(total_B, torch.zeros_like(total_B))
    target_B1 = torch.minimum(draws_B * total_B, below_B)[:, None]
    return torch.searchsorted(cumulative_BV, target_B1, right=True)[:, 0]


def _search_blocks(probs_BV: torch.Tensor, draws_B: torch.Tensor) -> torch.Tensor:
    """``_search`` in two levels: only sums of blocks and one block a row are accumulated."""
    padded_BV = torch.nn.functional.pad(probs_BV, (0, -probs_BV.shape[1] % _BLOCK))
    blocks_BKV = padded_BV.view(len(padded_BV), -1, _BLOCK)
    sums_BK = blocks_BKV.sum(dim=-1, dtype=torch.float64)
    block_B = _search(sums_BK, draws_B)
    each_B = torch.arange(len(block_B), device=block_B.device)
    sum_B = sums_BK[each_B, block_B]
    before_B = sums_BK.cumsum(dim=-1)[each_B, block_B] - sum_B
    # What is left of the draw, as a share of the block.
    inside_B = ((draws_B * sums_BK.sum(dim=-1) - before_B) / sum_B).clamp(0, 1)
    return block_B * _BLOCK + _search(blocks_BKV[each_B, block_B], inside_B)


def _draw_nucleus(
    probs_BV: torch.Tensor, draws_B: torch.Tensor, top_p_B: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    width = min(_NUCLEUS, probs_BV.shape[1])
    values_BN, order_BN = probs_BV.topk(width, dim=-1)
    if bool((values_BN.sum(dim=-1, dtype=torch.float64) < top_p_B).any()):
        values_BN, order_BN = probs_BV.sort(dim=-1, descending=True)
    cumulative_BN = values_BN.cumsum(dim=-1, dtype=torch.float64)
    # An id is in while the likelier ones do not hold top_p yet, so the likeliest always is.
    kept_BN = torch.where(cumulative_BN - values_BN < top_p_B[:, None], values_BN, 0.0)
    place_B1 = _search(kept_BN, draws_B)[:, None]
    total_B = kept_BN.sum(dim=-1, dtype=torch.float64)
    logprobs_B = (kept_BN.gather(1, place_B1)[:, 0] / total_B).log().float()
    return order_BN.gather(1, place_B1)[:, 0], logprobs_B
