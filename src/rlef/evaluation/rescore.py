"""Judge recorded episodes once more, with the problems and the judge of today; nothing is sampled.

An episode ends at its first program that passes the public tests, as when it was played. Where
that is an earlier turn than it was, what came after is left out. Where no program passes any
more and there were turns left, the model would have been asked again: it can't be now, the episode is
unsolved, and it is counted (`Changes.cut_short`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace

from rlef.config import Config, Reward
from rlef.config import Episode as EpisodeConfig
from rlef.episode import env
from rlef.episode.record import Episode
from rlef.episode.rewards import terminal
from rlef.evaluation.conditions import CONDITIONS, problem_of, samples_of
from rlef.judge.judge import Judging
from rlef.problems.types import Problem

_AT_A_TIME = 64


@dataclass(slots=True, kw_only=True)
class Changes:
    """What the second look found."""

    episodes: int = 0
    solved_before: int = 0
    solved_now: int = 0
    changed: int = 0
    """Episodes that were solved and are not, or the other way round."""
    cut_short: int = 0
    """Episodes that would have gone on."""
    missing: int = 0
    """Episodes of problems that the data no longer have; they are left out."""

    def add(self, before: Episode, now: Episode, turns: int) -> None:
        """Count one episode that was judged again."""
        self.episodes += 1
        self.solved_before += before.solved
        self.solved_now += now.solved
        self.changed += before.solved != now.solved
        self.cut_short += now.stop == "turn_limit" and len(now.turns) < turns


_Waiting = tuple[str, Episode, asyncio.Task[Episode]]


async def rescored(
    episodes: Iterable[tuple[str, Episode]],
    problems: Iterable[Problem],
    judge: Judging,
    config: Config,
    changes: Changes,
) -> AsyncIterator[tuple[str, Episode]]:
    """Condition and episode as it is judged now, of each episode of a known problem, in order.

    ``config`` is the evaluation's own: it says how many turns an episode had, and what they were paid.
    """
    names: tuple[str, ...] = CONDITIONS
    known = {(name, p.id): problem_of(name, p) for p in problems for name in names}
    waiting: deque[_Waiting] = deque()
    try:
        for condition, episode in episodes:
            problem = known.get((condition, episode.problem_id))
            if problem is None:
                changes.missing += 1
                continue
            turns = samples_of(condition, config)
            task = asyncio.ensure_future(judged(episode, problem, judge, config.reward, turns))
            waiting.append((condition, episode, task))
            if len(waiting) >= _AT_A_TIME:
                yield await _first(waiting, config, changes)
        while waiting:
            yield await _first(waiting, config, changes)
    finally:
        for _, _, task in waiting:
            task.cancel()
        await asyncio.gather(*(task for _, _, task in waiting), return_exceptions=True)


async def _first(waiting: deque[_Waiting], config: Config, changes: Changes) -> tuple[str, Episode]:
    condition, before, task = waiting[0]
    now = await task
    waiting.popleft()
    changes.add(before, now, samples_of(condition, config))
    return condition, now


async def judged(episode: Episode, problem: Problem, judge: Judging, rewards: Reward, turns: int) -> Episode:
    """The episode with new reports, rewards and end: its answers, taken through the environment again."""
    now = replace(episode, turns=[])
    state, config = env.State(problem=problem), EpisodeConfig(turns=turns, feedback="none")
    for turn in episode.turns:
        now.turns.append(replace(turn))
        moved = await env.step(state, turn.text, turn.finish, judge, config, rewards)
        env.take(now, now.turns[-1], moved)
        state = moved.state
        if moved.done:
            return _ended(now)
    if episode.stop == "context_full":
        env.context_full(now, rewards)
        return now
    if episode.stop == "no_reply":
        env.no_reply(now, episode.meta.get("no_reply", ""))
        return now
    now.stop = "turn_limit"
    if now.turns:
        now.turns[-1].reward = terminal(False, rewards)
    return _ended(now)


def _ended(episode: Episode) -> Episode:
    """The episode without anything after its last turn."""
    end = 0
    if episode.turns:
        episode.turns[-1].feedback = ""
        end = episode.turns[-1].end
    return replace(
        episode,
        ids_T=episode.ids_T[:end],
        is_action_T=episode.is_action_T[:end],
        logprobs_T=episode.logprobs_T[:end],
    )
