"""The clipped policy and value losses (RLEF paper, appendix A.1).

Both return sums, never means: the learner divides once, by what the whole minibatch
holds, so how episodes fall into micro-batches can't change the gradient.
"""

from __future__ import annotations

import math

import torch


def policy_loss(
    logp_N: torch.Tensor,
    old_N: torch.Tensor,
    behaviour_N: torch.Tensor,
    advantage_N: torch.Tensor,
    *,
    clip: float,
    truncate: float,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Sum over action tokens of the clipped surrogate, negated, and sums of statistics.

    With ``r = exp(logp - old) * min(exp(logp - behaviour), truncate)`` a token contributes
    ``-min(r A, clip(r, 1 - clip, 1 + clip) A)``. The second factor, the importance weight of
    the current against the behaviour policy, carries no gradient. A token that weighs less
    than ``1 - clip`` and has ``A < 0`` sits on the flat side already and gets no gradient:
    that follows from the formula.

    Statistics: ``clipped`` tokens on the flat side; ``approx_kl``, the sum of
    ``(q - 1) - log q`` with ``q = exp(logp - old)``; ``weight`` sum and ``weight_min`` of
    the importance weights; ``gap``, the sum of ``|old - behaviour|``.
    """
    log_ratio_N = logp_N - old_N.detach()
    gap_N = (old_N - behaviour_N).detach()
    # The cap goes on the exponent: exp of a large gap is inf, and only its minimum is wanted.
    weight_N = (logp_N - behaviour_N).detach().clamp(max=math.log(truncate)).exp()
    ratio_N = log_ratio_N.exp() * weight_N
    free_N = ratio_N * advantage_N
    clipped_N = ratio_N.clamp(1.0 - clip, 1.0 + clip) * advantage_N
    loss = -torch.minimum(free_N, clipped_N).sum()
    with torch.no_grad():
        statistics = {
            "clipped": float((clipped_N < free_N).sum()),
            "approx_kl": float((log_ratio_N.exp() - 1.0 - log_ratio_N).sum()),
            "weight": float(weight_N.sum()),
            "weight_min": float(weight_N.min()) if len(weight_N) else math.inf,
            "gap": float(gap_N.abs().sum()),
        }
    return loss, statistics


def value_loss(
    values_M: torch.Tensor, old_M: torch.Tensor, targets_M: torch.Tensor, *, clip: float
) -> torch.Tensor:
    """Sum over value reads of ``1/2 max((V - R)^2, (clip(V, V_old ± clip) - R)^2)``."""
    near_M = torch.maximum(torch.minimum(values_M, old_M + clip), old_M - clip)
    return 0.5 * torch.maximum((values_M - targets_M) ** 2, (near_M - targets_M) ** 2).sum()
