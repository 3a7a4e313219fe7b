"""The four ways a model is measured at the same sample budget, as episode settings.

``multi_turn``       the configured episode with ``evaluation.turns`` turns
``single_turn``      as many independent first responses, chosen by the public tests
``no_feedback``      the multi-turn loop in which a failure says nothing but "try again"
``random_feedback``  the multi-turn loop with feedback of another problem (paper, appendix C.2)

In the last two the problem's own public tests still decide when to stop.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import get_args

from rlef.config import Config
from rlef.config import Episode as EpisodeConfig
from rlef.errors import DataError, UserError
from rlef.evaluation.table import Condition
from rlef.problems.types import Problem
from rlef.rollout import RolloutSpec

CONDITIONS: tuple[Condition, ...] = get_args(Condition)


def check_conditions(names: Sequence[str], problems: Sequence[Problem]) -> None:
    """Raise ``UserError`` on an unknown condition, an empty set, or no other problem to borrow from."""
    for name in names:
        if name not in CONDITIONS:
            raise UserError(f"no condition {name!r}; there are {', '.join(CONDITIONS)}")
    if not problems:
        raise DataError("there are no problems to evaluate on")
    if "random_feedback" in names and len(problems) < 2:
        raise DataError("random feedback comes from another problem; evaluate on two or more")


def episode_settings(condition: str, config: Config) -> EpisodeConfig:
    """The episode that a condition plays."""
    changes: dict[str, object] = {"turns": samples_of(condition, config)}
    if condition == "no_feedback":
        changes |= {"feedback": "none", "stop_on_public_pass": True}
    elif condition == "random_feedback":
        changes |= {"feedback": "random", "stop_on_public_pass": True}
    return config.episode.model_copy(update=changes)


def samples_of(condition: str, config: Config) -> int:
    """What one rollout costs: its turns are the samples of the budget, used or not."""
    return 1 if condition == "single_turn" else config.evaluation.turns


def plan(condition: str, problems: Sequence[Problem], config: Config, seed: int) -> list[RolloutSpec]:
    """The rollouts of a condition: ``rollouts`` episodes a problem, or as many samples in single turns.

    Seeds come from the problem and the index of the rollout, not from the condition or the
    model: rollout 0 of every condition makes its first attempt from the same draw, which
    takes noise out of the paired differences.
    """
    rollouts = config.evaluation.rollouts * (config.evaluation.turns if condition == "single_turn" else 1)
    return [
        RolloutSpec(
            problem=problem,
            draw=0,
            sample=sample,
            seed=_seed(seed, problem.id, sample),
            foreign=_other(problems, index, seed, sample) if condition == "random_feedback" else None,
        )
        for index, problem in enumerate(problems)
        for sample in range(rollouts)
    ]


def _seed(seed: int, problem_id: str, sample: int) -> int:
    digest = hashlib.sha256(f"{seed}/evaluation/{problem_id}/{sample}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # 63 bits: fits a signed integer everywhere


def _other(problems: Sequence[Problem], index: int, seed: int, sample: int) -> Problem:
    draw = random.Random(f"{seed}/foreign/{problems[index].id}/{sample}")
    return problems[(index + draw.randrange(1, len(problems))) % len(problems)]
