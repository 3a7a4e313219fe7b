"""Supervised warm start of the tiny model on synthesised episodes of ``conventions``.

A teacher plays the real environment: it starts from a convention drawn at random and, after
feedback, makes the right repair with a given probability and otherwise tries another
convention. So the warm-started model writes programs and has seen repairs, but reads its
feedback no better than it was shown: what is missing is left to reinforcement learning.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterator, Sequence
from random import Random
from typing import Any, Protocol

from rlef.config import Config
from rlef.episode.env import start, step
from rlef.episode.record import Episode
from rlef.judge import Judge
from rlef.judge.compare import answers
from rlef.judge.types import HiddenReport, PublicReport, TestReport, Verdict
from rlef.learning.learner import Networks, adamw
from rlef.learning.sft import sft_update
from rlef.policy.types import ChatCodec
from rlef.problems.conventions import FAMILIES, draw_problem
from rlef.problems.types import Problem, TestCase


class SpeakingCodec(ChatCodec, Protocol):
    """A codec that can also encode a turn as the model would have written it."""

    def write(self, text: str) -> tuple[int, ...]:
        """Ids of a model turn, its end-of-turn token included."""
        ...


class OracleJudge:
    """Judges programs of the problem's own family without running them.

    The family knows what each of its programs prints, so tens of thousands of episodes cost
    no sandbox time. Any other program, such as one that lost a character, goes to ``judge``.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    async def public(self, problem: Problem, code: str) -> PublicReport:
        """Report on all public tests."""
        tests = _known(problem, code, problem.public_tests)
        if tests is None:
            return await self._judge.public(problem, code)
        return PublicReport(tests=tests, total=len(tests))

    async def hidden(self, problem: Problem, code: str) -> HiddenReport:
        """Report on the hidden tests, up to the first failure."""
        tests = _known(problem, code, problem.hidden_tests)
        if tests is None:
            return await self._judge.hidden(problem, code)
        bad = next((i for i, test in enumerate(tests) if test.verdict is not Verdict.ACCEPTED), len(tests))
        return HiddenReport(tests=tests[: bad + 1], total=len(tests))


def _known(problem: Problem, code: str, tests: Sequence[TestCase]) -> tuple[TestReport, ...] | None:
    """Reports from the family's own oracle; None if the program is not one of the family's."""
    family, visible = FAMILIES[problem.provenance.family], problem.provenance.visible
    for hidden in family.conventions():
        if family.program(visible, hidden) == code.strip():
            got = [family.solve(test.input.strip(), visible, hidden) + "\n" for test in tests]
            return tuple(
                TestReport(
                    verdict=Verdict.ACCEPTED
                    if answers(test, out.encode(), problem.comparison)
                    else Verdict.WRONG_ANSWER,
                    input=test.input,
                    expected=test.output,
                    index=at,
                    got=out,
                )
                for at, (test, out) in enumerate(zip(tests, got, strict=True))
            )
    return None


class Teacher:
    """Chooses the programs of one episode."""

    def __init__(self, problem: Problem, random: Random, *, repair_right: float, broken: float) -> None:
        self._family = FAMILIES[problem.provenance.family]
        self._visible, self._truth = problem.provenance.visible, problem.provenance.hidden
        self._random, self._repair_right, self._broken = random, repair_right, broken
        self._left = list(self._family.conventions())

    def write(self, turn: int) -> str:
        """The program of this turn (0 for the first)."""
        right = turn > 0 and self._random.random() < self._repair_right
        choice = self._truth if right else self._random.choice(self._left)
        if choice in self._left and len(self._left) > 1:
            self._left.remove(choice)
        code = self._family.program(self._visible, choice)
        if self._random.random() < self._broken:
            at = self._random.randrange(len(code))
            code = code[:at] + code[at + 1 :]
        return code


async def synthesise(
    problem: Problem,
    codec: SpeakingCodec,
    judge: OracleJudge,
    config: Config,
    random: Random,
) -> Episode:
    """Play one episode of the real environment with the teacher as policy."""
    warm = config.warm_start
    teacher = Teacher(problem, random, repair_right=warm.repair_right, broken=warm.broken)
    state, text = start(problem, config.episode)
    episode = Episode(problem_id=problem.id, prompt=text, family=problem.provenance.family)
    episode.append_observation(codec.opening(text, max_tokens=config.episode.prompt_tokens))
    for turn in range(config.episode.turns):
        reply = f"```python\n{teacher.write(turn)}\n```"
        ids = codec.write(reply)
        episode.append_turn(ids, [0.0] * len(ids), text=reply, offsets=(0,) * len(ids), finish="stop")
        move = await step(state, reply, "stop", judge, config.episode, config.reward)
        state = move.state
        if move.observation is None:
            break
        episode.append_observation(
            codec.reply(move.observation, max_tokens=config.episode.feedback_tokens, closed=True)
        )
    return episode


def warm_start(
    networks: Networks,
    codec: SpeakingCodec,
    judge: Judge,
    config: Config,
    *,
    run: Callable[[Coroutine[Any, Any, list[Episode]]], list[Episode]],
    on_step: Callable[[int, dict[str, float]], None] = lambda step, figures: None,
) -> None:
    """Train the policy on ``config.warm_start.steps`` batches of synthesised episodes.

    ``run`` runs a coroutine in the event loop that the judge's sandbox lives in. The learning
    rate warms up over 50 steps and falls along a cosine to a twentieth.
    """
    warm = config.warm_start
    optimizer = adamw(networks.policy_parameters(), warm.lr, weight_decay=0.01)
    oracle = OracleJudge(judge)
    for index, problems in enumerate(_batches(config)):
        for group in optimizer.param_groups:
            group["lr"] = warm.lr * _rate(index, warm.steps)
        episodes = run(_all(problems, codec, oracle, config, index))
        figures = sft_update(
            networks, optimizer, episodes, microbatch_tokens=config.algorithm.microbatch_tokens
        )
        on_step(index, figures)


def _batches(config: Config) -> Iterator[list[Problem]]:
    for index in range(config.warm_start.steps):
        random = Random(f"{config.seed}/warm/{index}")
        yield [draw_problem(random) for _ in range(config.warm_start.batch)]


async def _all(
    problems: list[Problem],
    codec: SpeakingCodec,
    oracle: OracleJudge,
    config: Config,
    index: int,
) -> list[Episode]:
    return list(
        await asyncio.gather(
            *(
                synthesise(problem, codec, oracle, config, Random(f"{config.seed}/warm/{index}/{i}"))
                for i, problem in enumerate(problems)
            )
        )
    )


def _rate(index: int, steps: int) -> float:
    cosine = 0.5 * (1 + math.cos(math.pi * index / max(1, steps)))
    return min(1.0, (index + 1) / 50) * (0.05 + 0.95 * cosine)
