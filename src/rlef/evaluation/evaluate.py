"""Measure a model: play every problem under each condition and make the table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlef.config import Config
from rlef.episode.record import Episode
from rlef.errors import EndpointError, TooManyJudgeErrors
from rlef.evaluation import conditions as cond
from rlef.evaluation.outcome import Outcome, public_passed
from rlef.evaluation.score import Budget, score
from rlef.evaluation.store import Store
from rlef.evaluation.table import Evaluation
from rlef.judge.types import Verdict
from rlef.problems.types import Problem, ProblemSet
from rlef.rollout.player import Player
from rlef.rollout.spec import RolloutSpec

Key = tuple[str, int]
"""Problem id and sample."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an evaluation stands; one is reported after every episode."""

    model: str
    condition: str
    done: int
    total: int
    solved: int
    dropped: int
    seconds_left: float | None = None
    """At the pace so far; None before there is one."""


async def evaluate(
    problems: ProblemSet | Sequence[Problem],
    player: Player,
    config: Config,
    *,
    model: str,
    conditions: Sequence[str] | None = None,
    seed: int | None = None,
    budgets: Sequence[Budget] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_episode: Callable[[str, Episode], None] | None = None,
    store: Store | None = None,
) -> Evaluation:
    """Play all problems under each condition and score them.

    ``model`` names the rows (``before``, ``after``, or any name). ``conditions`` defaults to
    the configured ones, ``seed`` to the run's, ``budgets`` to 1@turns alone. ``on_episode``
    gets the condition and each episode as it finishes. Episodes are written to ``store`` as
    they end, and those that it holds already are not played again.

    Raises ``DataError`` for an empty set, ``UserError`` for an unknown condition, and
    ``TooManyJudgeErrors`` as soon as the share of a condition that the judge failed on passes
    ``max_judge_errors``, ``EndpointError`` for what the model's server can't answer.
    """
    names = tuple(conditions if conditions is not None else config.evaluation.conditions)
    rows = list(problems)
    cond.check_conditions(names, rows)
    dataset, split = _origin(problems, rows)
    sampling = config.sampling.model_copy(
        update={"temperature": config.evaluation.temperature, "top_p": config.evaluation.top_p}
    )
    seed = config.seed if seed is None else seed
    reports = {
        name: _Reporter(
            model,
            name,
            cond.plan(name, rows, config, seed),
            config,
            on_progress,
            on_episode,
            store,
        )
        for name in names
    }
    for name, episode in store.episodes() if store else ():
        if name in reports:
            reports[name].recall(episode)
    found, failed = Evaluation(), dict[str, str]()
    for name, report in reports.items():
        left = report.left(cond.plan(name, rows, config, seed, failed))
        if left:
            await player.play(left, cond.episode_settings(name, config), sampling, report)
        outcomes = report.outcomes()
        if name == "multi_turn":
            failed = report.failures()
        found += score(
            outcomes,
            model=model,
            condition=name,
            dataset=dataset,
            split=split,
            turns=cond.samples_of(name, config),
            budgets=budgets or ((1, config.evaluation.turns),),
        )
    return found


def _origin(problems: ProblemSet | Sequence[Problem], rows: Sequence[Problem]) -> tuple[str, str]:
    if not isinstance(problems, Sequence):
        return problems.name, problems.split
    return rows[0].provenance.dataset, rows[0].provenance.split


def _failure(episode: Episode) -> str | None:
    """The episode's first program, if it failed the public tests: what random feedback is made of."""
    first = episode.turns[0] if episode.turns else None
    judged = first and first.public and first.public.verdict is not Verdict.JUDGE_ERROR
    if first and first.code and judged and not public_passed(first):
        return first.code
    return None


class _Reporter:
    """Takes finished episodes in: writes them down, reduces them and tells who wants to know."""

    def __init__(
        self,
        model: str,
        condition: str,
        specs: Sequence[RolloutSpec],
        config: Config,
        on_progress: Callable[[Progress], None] | None,
        on_episode: Callable[[str, Episode], None] | None,
        store: Store | None,
    ) -> None:
        self.model, self.condition = model, condition
        self.on_progress, self.on_episode, self.store = on_progress, on_episode, store
        self.wanted = {_key(spec): spec.seed for spec in specs}
        self.judge_errors = config.max_judge_errors
        self.unanswered = config.endpoint.max_unanswered if config.endpoint.url else 1.0
        """Largest shares of the episodes that may be dropped. A transcript has what it has."""
        self.done: dict[Key, Outcome] = {}
        self.failed: dict[str, tuple[int, str]] = {}
        """By problem, the first sample whose first program failed the public tests, and that program."""
        self.known = self.solved = self.dropped = self.silent = 0
        """``known``: episodes that were there before; ``silent``: those dropped for want of a reply."""
        self.began = time.monotonic()

    def recall(self, episode: Episode) -> None:
        """Take an episode that was played before. A dropped one is not: it is tried again."""
        if self.wanted.get((episode.problem_id, episode.sample)) == episode.seed and not episode.dropped:
            self._take(episode)

    def left(self, specs: Sequence[RolloutSpec]) -> list[RolloutSpec]:
        """The specs that are still to be played, from now on."""
        self.known, self.began = len(self.done), time.monotonic()
        return [spec for spec in specs if _key(spec) not in self.done]

    def outcomes(self) -> list[Outcome]:
        """In the order of the specs, whatever the order in which they ended."""
        return [self.done[key] for key in self.wanted]

    def failures(self) -> dict[str, str]:
        """A program of the model's own that failed, by problem."""
        return {problem_id: code for problem_id, (_, code) in self.failed.items()}

    def __call__(self, episode: Episode) -> None:
        self._take(episode)
        if self.store:
            self.store.add(self.condition, episode)
        if self.on_episode:
            self.on_episode(self.condition, episode)
        if self.on_progress:
            self.on_progress(self._progress())
        self._stop_loudly(episode.meta.get("no_reply", ""))

    def _stop_loudly(self, why: str) -> None:
        """End the evaluation as soon as it can't be valid any more: the replies cost something."""
        total = len(self.wanted)
        if self.silent > self.unanswered * total:
            raise EndpointError(
                f"the model's server has no reply to {self.silent} of {total} conversations of "
                f"{self.condition} so far ({why}), more than the share "
                f"endpoint.max_unanswered={self.unanswered:g} of the run's config.yaml allows"
            )
        if (failed := self.dropped - self.silent) > self.judge_errors * total:
            raise TooManyJudgeErrors(
                f"the judge failed on {failed} of {total} episodes of {self.condition} so far, more "
                f"than the share max_judge_errors={self.judge_errors:g} allows; see `rlef doctor`"
            )

    def _take(self, episode: Episode) -> None:
        self.done[episode.problem_id, episode.sample] = Outcome.of(episode)
        code = _failure(episode)
        if code is not None:
            known = self.failed.get(episode.problem_id, (episode.sample, code))
            self.failed[episode.problem_id] = min(known, (episode.sample, code))
        self.solved += episode.solved
        self.dropped += episode.dropped
        self.silent += episode.stop == "no_reply"

    def _progress(self) -> Progress:
        done, played = len(self.done), len(self.done) - self.known
        return Progress(
            self.model,
            self.condition,
            done,
            len(self.wanted),
            self.solved,
            self.dropped,
            (time.monotonic() - self.began) / played * (len(self.wanted) - done),
        )


def _key(spec: RolloutSpec) -> Key:
    return spec.problem.id, spec.sample
