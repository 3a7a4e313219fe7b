"""Supervised steps on token records: the warm start, and rejection-sampled SFT (appendix A.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rlef.episode.record import Episode
from rlef.learning.collate import Which, pack, usable
from rlef.learning.learner import Networks, clip_gradients, require_finite


def sft_update(
    networks: Networks,
    optimizer: torch.optim.Optimizer,
    episodes: Sequence[Episode],
    *,
    which: Which = "all",
    microbatch_tokens: int,
    grad_clip: float = 1.0,
) -> dict[str, float]:
    """One optimiser update of mean cross-entropy over the policy's tokens.

    ``which="all"`` learns every turn of every record. ``which="last"`` is rejection sampling:
    it learns the last response of the episodes that were solved and ignores the others.
    Episodes whose judge failed are ignored. The learning rate is the optimiser's own.

    Returns ``loss`` (nats a token), ``tokens``, ``episodes`` and ``grad_norm``; without an
    episode to learn from, no update is made and only ``tokens`` and ``episodes`` (0) come
    back. Raises ``RlefError`` if the loss or the gradient is not finite, before it is applied.
    """
    used = [e for e in episodes if usable(e) and (which == "all" or e.solved)]
    figures = {"episodes": float(len(used)), "tokens": 0.0}
    if not used:
        return figures
    device = networks.policy_parameters()[0][1].device
    packs = pack(used, max_tokens=microbatch_tokens, which=which, device=device)
    tokens = sum(sum(micro.actions) for micro in packs)
    total = 0.0
    try:
        for micro in packs:
            logp_N, _ = networks.logprobs(micro.batch, temperature=1.0)
            loss = -logp_N.sum()
            (loss / tokens).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        figures |= {"tokens": float(tokens), "loss": total / tokens}
        figures["grad_norm"] = clip_gradients(optimizer, grad_clip)
        require_finite({"loss": figures["loss"], "gradient": figures["grad_norm"]}, "in a supervised update")
        optimizer.step()
    finally:
        optimizer.zero_grad(set_to_none=True)
    return figures
