"""The ways a model is measured at the same sample budget, as episode settings.

``multi_turn``       the loop with the problem's own feedback and ``evaluation.turns`` turns
``single_turn``      as many independent first responses, chosen by the public tests
``no_feedback``      the multi-turn loop in which a failure says nothing but "try again"
``random_feedback``  the multi-turn loop with feedback of another problem (paper, appendix C.2)
``pass_fail``        the multi-turn loop in which a failure says only how many public tests failed
``hidden_feedback``  the multi-turn loop in which hidden tests speak too (paper, appendix B.3)

All stop at a public pass, whatever the training did. In all but the last, the problem's own public
tests alone decide when. The last is no fair measure: it says how much better feedback could help.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

from rlef.config import Config
from rlef.config import Episode as EpisodeConfig
from rlef.errors import DataError, UserError
from rlef.evaluation.table import Condition
from rlef.problems.types import Problem, Solution
from rlef.rollout.spec import RolloutSpec

CONDITIONS: tuple[Condition, ...] = get_args(Condition)
FEEDBACK = {"no_feedback": "none", "random_feedback": "random", "pass_fail": "pass_fail"}
"""What the loop says after a failure, where it is not what the problem's own public tests found."""
HIDDEN_SPEAKING, HIDDEN_SHOWN = 20, 8
"""Tests that speak under ``hidden_feedback``, and the failures shown of them (paper, appendix B.3)."""


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
    changes: dict[str, object] = {
        "turns": samples_of(condition, config),
        "feedback": FEEDBACK.get(condition, "own"),
        "stop_on_public_pass": True,
    }
    if condition == "hidden_feedback":
        changes["shown_failures"] = HIDDEN_SHOWN
    return config.episode.model_copy(update=changes)


def samples_of(condition: str, config: Config) -> int:
    """What one rollout costs: its turns are the samples of the budget, used or not."""
    return 1 if condition == "single_turn" else config.evaluation.turns


def plan(
    condition: str,
    problems: Sequence[Problem],
    config: Config,
    seed: int,
    failed: Mapping[str, str] | None = None,
) -> list[RolloutSpec]:
    """The rollouts of a condition: ``rollouts`` episodes a problem, or as many samples in single turns.

    Seeds come from the problem and the index of the rollout, not from the condition or the
    model: rollout 0 of every condition makes its first attempt from the same draw, which
    takes noise out of the paired differences.

    ``failed`` has a program of the model's own that failed the public tests, by problem: random
    feedback comes from it where a problem has no known-bad solution.
    """
    rollouts = config.evaluation.rollouts * (config.evaluation.turns if condition == "single_turn" else 1)
    foreign = [_with_failure(problem, failed or {}) for problem in problems]
    telling = [problem for problem in foreign if _bad(problem)]
    return [
        RolloutSpec(
            problem=problem_of(condition, problem),
            draw=0,
            sample=sample,
            seed=_seed(seed, problem.id, sample),
            foreign=_other(problem, telling or foreign, foreign, f"{seed}/foreign/{problem.id}/{sample}")
            if condition == "random_feedback"
            else None,
        )
        for problem in problems
        for sample in range(rollouts)
    ]


def problem_of(condition: str, problem: Problem) -> Problem:
    """The problem that is played: under ``hidden_feedback`` hidden tests are among the public ones."""
    if condition != "hidden_feedback":
        return problem
    more = problem.hidden_tests[: max(0, HIDDEN_SPEAKING - len(problem.public_tests))]
    return replace(problem, public_tests=problem.public_tests + more)


def _bad(problem: Problem) -> bool:
    return any(solution.verdict != "accepted" for solution in problem.solutions)


def _with_failure(problem: Problem, failed: Mapping[str, str]) -> Problem:
    if _bad(problem) or problem.id not in failed:
        return problem
    program = Solution(code=failed[problem.id], verdict="wrong_answer", note="the model's own")
    return replace(problem, solutions=(*problem.solutions, program))


def _seed(seed: int, problem_id: str, sample: int) -> int:
    digest = hashlib.sha256(f"{seed}/evaluation/{problem_id}/{sample}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # 63 bits: fits a signed integer everywhere


def _other(problem: Problem, telling: Sequence[Problem], every: Sequence[Problem], draw: str) -> Problem:
    """A problem other than this one, one that has a program to fail if there is such a problem."""
    some = telling if any(other.id != problem.id for other in telling[:2]) else every
    chance = random.Random(draw)
    while (other := chance.choice(some)).id == problem.id:
        pass
    return other
