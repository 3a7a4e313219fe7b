"""Rewards of the environment (RLEF paper, section 2.2; KL is added by learning)."""

from __future__ import annotations

from rlef.config import Reward


def terminal(solved: bool, rewards: Reward) -> float:
    """Reward of the last turn. Invalid code there is a failure and nothing more."""
    return rewards.solved if solved else rewards.failed


def intermediate(invalid: bool, rewards: Reward) -> float:
    """Reward of a turn after which the episode goes on."""
    return rewards.invalid if invalid else 0.0
