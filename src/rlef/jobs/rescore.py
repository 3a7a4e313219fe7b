"""Judge the episodes of a finished evaluation once more and make its table again, without a model."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlef.config import Config
from rlef.errors import RunError
from rlef.evaluation.conditions import CONDITIONS, samples_of
from rlef.evaluation.outcome import Outcome
from rlef.evaluation.rescore import Changes, rescored
from rlef.evaluation.score import score
from rlef.evaluation.store import Store
from rlef.evaluation.table import Evaluation
from rlef.jobs.data import Sets
from rlef.jobs.describe import describe
from rlef.jobs.measure import finish
from rlef.judge import Judge
from rlef.problems.types import ProblemSet
from rlef.runs import Run
from rlef.sandbox import Sandbox
from rlef.settings import load_config
from rlef.views.watcher import Watcher

CHANGES = "rescored.json"
"""What the second judgement changed; written last."""


def rescore_job(
    source: Run, target: Run, watcher: Watcher, *, command: str, data: str | None = None
) -> Changes:
    """Judge ``source``'s evaluation episodes again and write the results to ``target``.

    ``data`` names another version of the data set; problems are matched by id. Raises
    ``RunError`` where there are no episodes, or not all: a table of some would pass for one of all.
    """
    config = load_config(source.path / "config.yaml", [] if data is None else [f"data.test={data}"])
    labels = [path.stem.removeprefix("episodes-") for path in sorted(source.path.glob("episodes-*.jsonl"))]
    if not labels:
        raise RunError(f"{source.path} holds no episodes of an evaluation (episodes-*.jsonl)")
    if not (source.path / "results.json").is_file():
        raise RunError(
            f"{source.path} has not been measured to the end; first: rlef evaluate --resume {source.path}"
        )
    problems = Sets(config, watcher.stage).test()
    changes = Changes()
    with target.alone():
        found = asyncio.run(_judged(config, source, target, problems, labels, watcher, changes, command))
        finish(target, config, problems, found)
        target.write_json(CHANGES, {"from": str(source.path), **asdict(changes)})
    return changes


async def _judged(
    config: Config,
    source: Run,
    target: Run,
    problems: ProblemSet,
    labels: Sequence[str],
    watcher: Watcher,
    changes: Changes,
    command: str,
) -> Evaluation:
    found = Evaluation()
    async with await Sandbox.open(config.sandbox) as sandbox:
        facts: dict[str, Any] = {"rescored": str(source.path), "model": labels[0]}
        describe(target, config, command, facts | {"sandbox": {"rung": sandbox.rung.value}})
        judge = Judge(sandbox, order="kill_rate")
        for label in labels:
            watcher.stage(f"judging the episodes of {label} once more")
            outcomes: defaultdict[str, list[Outcome]] = defaultdict(list)
            recorded = Store(source, label).latest()
            with Store(target, label) as store:
                async for condition, episode in rescored(recorded, problems, judge, config, changes):
                    store.add(condition, episode)
                    outcomes[condition].append(Outcome.of(episode))
            for condition in CONDITIONS:
                if outcomes[condition]:
                    found += score(
                        outcomes[condition],
                        model=label,
                        condition=condition,
                        dataset=problems.name,
                        split=problems.split,
                        turns=samples_of(condition, config),
                        budgets=((1, config.evaluation.turns),),
                    )
    return found


def target_of(source: Path, out: Path | None) -> Run:
    """A new run for the second judgement, beside the first if nobody says. One that was cut off is replaced.

    Raises ``RunError`` if there is anything else.
    """
    path = out or source.resolve().with_name(f"{source.resolve().name}--rescored")
    left = Run(path).command() == "judge" and not (path / CHANGES).exists()
    return Run.create(path, overwrite=left, command=None)
