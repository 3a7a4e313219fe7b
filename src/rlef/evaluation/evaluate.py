"""Measure a model: play every problem under each condition and make the table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rlef.config import Config
from rlef.episode.record import Episode
from rlef.errors import TooManyJudgeErrors
from rlef.evaluation import conditions as cond
from rlef.evaluation.behaviour import describe, ends_public
from rlef.evaluation.measure import Counts, bootstrap, mean, solved_at
from rlef.evaluation.table import Evaluation, FamilyRow, Row
from rlef.judge.judge import Judge
from rlef.policy.types import ChatCodec, Engine
from rlef.problems.types import Problem, ProblemSet
from rlef.rollout import roll_out

Budget = tuple[int, int]
"""n and k of n@k: programs submitted, and samples they are chosen from."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an evaluation stands; one is reported after every episode."""

    model: str
    condition: str
    done: int
    total: int
    solved: int
    dropped: int


async def evaluate(
    problems: ProblemSet | Sequence[Problem],
    engine: Engine,
    codec: ChatCodec,
    judge: Judge,
    config: Config,
    *,
    model: str,
    conditions: Sequence[str] | None = None,
    seed: int | None = None,
    budgets: Sequence[Budget] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_episode: Callable[[str, Episode], None] | None = None,
    max_context: int | None = None,
) -> Evaluation:
    """Play all problems under each condition and score them.

    ``model`` names the rows (``before``, ``after``, or any name). ``conditions`` defaults to
    the configured ones, ``seed`` to the run's, ``budgets`` to 1@turns alone. ``on_episode``
    gets the condition and each finished episode, for traces.

    Raises ``DataError`` for an empty set, ``UserError`` for an unknown condition, and
    ``TooManyJudgeErrors`` when the dropped share of a condition passes ``max_judge_errors``.
    """
    names = tuple(conditions if conditions is not None else config.evaluation.conditions)
    rows = list(problems)
    cond.check_conditions(names, rows)
    dataset, split = _origin(problems, rows)
    found = Evaluation()
    for name in names:
        report = _Reporter(model, name, on_progress, on_episode)
        specs = cond.plan(name, rows, config, config.seed if seed is None else seed)
        report.total = len(specs)
        sampling = config.sampling.model_copy(
            update={"temperature": config.evaluation.temperature, "top_p": config.evaluation.top_p}
        )
        episodes = await roll_out(
            specs,
            engine,
            codec,
            judge,
            cond.episode_settings(name, config),
            config.reward,
            sampling,
            on_episode=report,
            max_context=max_context,
        )
        _stop_loudly(episodes, name, config.max_judge_errors)
        found += score(
            episodes,
            rows,
            model=model,
            condition=name,
            dataset=dataset,
            split=split,
            turns=cond.samples_of(name, config),
            budgets=budgets or ((1, config.evaluation.turns),),
        )
    return found


def score(
    episodes: Sequence[Episode],
    problems: Sequence[Problem],
    *,
    model: str,
    condition: str,
    dataset: str,
    split: str,
    turns: int,
    budgets: Sequence[Budget],
) -> Evaluation:
    """Rows and statistics of one model and condition. ``turns`` is what a rollout costs in samples.

    A problem that lost so many rollouts to the judge that n@k can't be estimated is left
    out of that row, and the row's ``problems`` says so.
    """
    counts = count(episodes)
    dropped = sum(episode.dropped for episode in episodes)
    rates = [_rates(counts, n, k, turns) for n, k in budgets]
    rows = []
    for (n, k), values in zip(budgets, rates, strict=True):
        interval = bootstrap(values)
        rows.append(
            Row(
                model=model,
                dataset=dataset,
                split=split,
                condition=condition,
                n=n,
                k=k,
                solved=mean(values) if values else None,
                low=interval.low if values else None,
                high=interval.high if values else None,
                problems=len(values),
                rollouts=len(episodes),
                dropped=dropped,
            )
        )
    families = {problem.id: problem.provenance.family for problem in problems}
    return Evaluation(
        rows=rows,
        per_turn={model: {condition: describe(episodes)}} if condition != "single_turn" else {},
        by_family=_by_family(rates[0], families, model, condition),
        solved_by_problem={model: {condition: rates[0]}},
    )


def count(episodes: Iterable[Episode]) -> dict[str, Counts]:
    """Scored rollouts of each problem; a problem all of whose rollouts were dropped has none."""
    found: defaultdict[str, list[Episode]] = defaultdict(list)
    for episode in episodes:
        if not episode.dropped:
            found[episode.problem_id].append(episode)
    return {
        problem_id: Counts(
            rollouts=len(some),
            public=sum(ends_public(episode) for episode in some),
            solved=sum(episode.solved for episode in some),
        )
        for problem_id, some in found.items()
    }


def _rates(counts: dict[str, Counts], n: int, k: int, turns: int) -> dict[str, float]:
    return {
        problem_id: solved_at(n, k, some, turns=turns)
        for problem_id, some in counts.items()
        if some.rollouts >= k // turns
    }


def _by_family(
    values: dict[str, float], families: dict[str, str], model: str, condition: str
) -> list[FamilyRow]:
    grouped: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for problem_id, value in values.items():
        grouped[families[problem_id]][problem_id] = value
    return [
        FamilyRow(model=model, condition=condition, family=family, solved=mean(some), problems=len(some))
        for family, some in sorted(grouped.items())
    ]


def _origin(problems: ProblemSet | Sequence[Problem], rows: Sequence[Problem]) -> tuple[str, str]:
    if not isinstance(problems, Sequence):
        return problems.name, problems.split
    return rows[0].provenance.dataset, rows[0].provenance.split


def _stop_loudly(episodes: Sequence[Episode], condition: str, limit: float) -> None:
    dropped = sum(episode.dropped for episode in episodes)
    if dropped > limit * len(episodes):
        raise TooManyJudgeErrors(
            f"the judge failed on {dropped} of {len(episodes)} episodes of {condition}, more than the "
            f"share max_judge_errors={limit:g} allows; see `rlef doctor`"
        )


class _Reporter:
    """Counts finished episodes and tells who wants to know."""

    def __init__(
        self,
        model: str,
        condition: str,
        on_progress: Callable[[Progress], None] | None,
        on_episode: Callable[[str, Episode], None] | None,
    ) -> None:
        self.model, self.condition = model, condition
        self.on_progress, self.on_episode = on_progress, on_episode
        self.total = self.done = self.solved = self.dropped = 0

    def __call__(self, episode: Episode) -> None:
        self.done += 1
        self.solved += episode.solved
        self.dropped += episode.dropped
        if self.on_episode:
            self.on_episode(self.condition, episode)
        if self.on_progress:
            self.on_progress(
                Progress(self.model, self.condition, self.done, self.total, self.solved, self.dropped)
            )
