"""The multi-turn environment as plain functions (RLEF paper, sections 2.1 and 2.2).

    state, message = start(problem, config)
    while not state.done:
        moved = await step(state, answer(message), "stop", judge, config, rewards)
        state, message = moved.state, moved.observation

Text in, text out: no tokens here, so a person can be the policy too. Public tests decide
what is said and when to stop. Hidden tests are run once, on the last program, after
everything that the policy will ever read has been written.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from rlef.config import Episode, Reward
from rlef.episode import prompts
from rlef.episode import rewards as pay
from rlef.episode.extract import Invalid, extract
from rlef.episode.record import Episode as Record
from rlef.episode.record import StopReason, Turn
from rlef.judge.judge import Judging
from rlef.judge.types import HiddenReport, PublicReport, Verdict
from rlef.problems.types import Problem

NOT_WRITTEN = "raise NotImplementedError()\n"
"""What gives foreign feedback where no known-bad program fails a public test (appendix C.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where an episode stands."""

    problem: Problem
    turn: int = 0
    """Turns taken so far."""
    done: bool = False
    foreign: Problem | None = None
    """The other problem whose feedback is shown when ``Episode.feedback`` is ``random``."""
    seed: int = 0
    """Fixes the choice of foreign feedback; nothing else is random here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What one turn led to."""

    state: State
    observation: str | None
    """The next message to the policy; None when the episode is over."""
    reward: float
    done: bool
    stop: StopReason | None
    code: str | None
    """The turn's program; None if it holds no valid code."""
    invalid: Invalid
    public: PublicReport | None
    hidden: HiddenReport | None


def start(
    problem: Problem, config: Episode, *, foreign: Problem | None = None, seed: int = 0
) -> tuple[State, str]:
    """The first state and the opening message.

    Raises ``ValueError`` if the feedback is to be random and no ``foreign`` problem is given.
    """
    if config.feedback == "random" and foreign is None:
        raise ValueError("random feedback needs another problem to come from")
    return State(problem=problem, foreign=foreign, seed=seed), prompts.opening(problem, config)


async def step(
    state: State, text: str, finish: str, judge: Judging, config: Episode, rewards: Reward
) -> Transition:
    """Take one turn: extract the program, run the public tests, then go on or settle.

    ``finish`` is ``length`` if the turn was cut off. A judge error ends the episode with
    ``stop="judge_error"`` and no reward. Raises ``ValueError`` when the episode is over.
    """
    if state.done:
        raise ValueError("the episode is over")
    found = extract(text, finish)
    public = None if found.code is None else await judge.public(state.problem, found.code)
    not_compiled = public is not None and public.verdict is Verdict.COMPILE_ERROR
    seen = Transition(
        state=replace(state, turn=state.turn + 1),
        observation=None,
        reward=0.0,
        done=False,
        stop=None,
        code=None if not_compiled else found.code,
        invalid="syntax" if not_compiled else found.invalid,
        public=public,
        hidden=None,
    )
    if _judge_failed(public):
        return _over(seen, "judge_error", 0.0)
    if public is not None and public.passed and config.stop_on_public_pass:
        return await _settle(seen, "public_passed", judge, rewards)
    if seen.state.turn >= config.turns:
        return await _settle(seen, "turn_limit", judge, rewards)
    return await _go_on(seen, judge, config, rewards)


def take(episode: Record, turn: Turn, moved: Transition) -> None:
    """Write what a turn led to into the episode's record; the message to the policy is the caller's."""
    turn.code, turn.invalid, turn.reward = moved.code, moved.invalid, moved.reward
    turn.public, turn.hidden = moved.public, moved.hidden
    episode.stop = moved.stop


def context_full(episode: Record, rewards: Reward) -> None:
    """End an episode whose next turn does not fit: a failure, and its last message was never read."""
    if episode.turns:
        episode.turns[-1].feedback = ""
        episode.turns[-1].reward = pay.terminal(False, rewards)
    episode.stop = "context_full"


def no_reply(episode: Record, why: str) -> None:
    """End an episode that the model's server can't go on with: nothing is known of what would have come."""
    if episode.turns:
        episode.turns[-1].feedback = ""
    episode.stop = "no_reply"
    episode.meta["no_reply"] = why


async def foreign_feedback(problem: Problem, judge: Judging, seed: int | str) -> PublicReport:
    """Public tests failed by a random known-bad program of ``problem`` (appendix C.2).

    Programs that only hidden tests tell from good ones are passed over. Slow ones come last:
    they cost their whole limit on every test, and "too slow" says nothing that could mislead.
    """
    bad = [s for s in problem.solutions if s.verdict != Verdict.ACCEPTED.value and s.language == "python"]
    random.Random(f"foreign feedback/{seed}").shuffle(bad)
    bad.sort(key=lambda solution: solution.verdict in (Verdict.TIME_LIMIT.value, Verdict.IDLE_LIMIT.value))
    for solution in bad:
        report = await judge.public(problem, solution.code)
        if not report.passed:
            return report
    return await judge.public(problem, NOT_WRITTEN)


async def _settle(seen: Transition, stop: StopReason, judge: Judging, rewards: Reward) -> Transition:
    """The last turn: hidden tests for a program that passed the public ones, failure for others."""
    if seen.public is None or not seen.public.passed or seen.code is None:
        return _over(seen, stop, pay.terminal(False, rewards))
    hidden = await judge.hidden(seen.state.problem, seen.code)
    seen = replace(seen, hidden=hidden)
    if _judge_failed(hidden):
        return _over(seen, "judge_error", 0.0)
    return _over(seen, stop, pay.terminal(hidden.passed, rewards))


async def _go_on(seen: Transition, judge: Judging, config: Episode, rewards: Reward) -> Transition:
    reward = pay.intermediate(bool(seen.invalid), rewards)
    state = seen.state
    if config.feedback == "none":
        return replace(seen, reward=reward, observation=prompts.retry_only(config))
    problem, report = state.problem, seen.public
    if config.feedback == "random":
        assert state.foreign is not None, "start() saw to it"
        problem = state.foreign
        report = await foreign_feedback(problem, judge, f"{state.seed}/{state.turn}")
        if _judge_failed(report):
            return _over(seen, "judge_error", 0.0)
    if report is None:
        message = prompts.parse_failure(config, seen.invalid)
    elif config.feedback == "pass_fail":
        message = prompts.pass_fail(report, config)
    else:
        message = prompts.feedback(report, config, entry_point=_called(problem))
    return replace(seen, reward=reward, observation=message)


def _called(problem: Problem) -> str | None:
    return problem.entry_point if problem.form == "call" else None


def _judge_failed(report: PublicReport | HiddenReport | None) -> bool:
    return report is not None and report.verdict is Verdict.JUDGE_ERROR


def _over(seen: Transition, stop: StopReason, reward: float) -> Transition:
    return replace(seen, state=replace(seen.state, done=True), done=True, stop=stop, reward=reward)
