"""One measurement of one model: played, written down, scored; or read, where that was done before."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

from rlef.config import Config
from rlef.evaluation.ceiling import Prior, no_feedback_ceiling, write_ceiling
from rlef.evaluation.evaluate import evaluate
from rlef.evaluation.store import Store
from rlef.evaluation.table import Evaluation, write_evaluation
from rlef.problems.types import ProblemSet
from rlef.rollout.player import Player
from rlef.runs import Run
from rlef.views.report import write_report
from rlef.views.watcher import Watcher


async def measured(
    run: Run,
    config: Config,
    problems: ProblemSet,
    label: str,
    watcher: Watcher,
    new_player: Callable[[], Player],
    step: int = 0,
) -> Evaluation:
    """Evaluate under every condition, or read what an interrupted job has measured already.

    ``new_player`` is called if there is something to play.
    """
    path = run.path / f"evaluation-{label}.json"
    if not path.exists():
        watcher.stage(f"measuring {label} on {len(problems)} held-out problems")
        with Store(run, label) as store:
            found = await evaluate(
                problems,
                new_player(),
                config,
                model=label,
                on_progress=watcher.on_progress,
                store=store,
            )
        run.write_json(path.name, found.to_json())
    found = Evaluation.from_json(json.loads(path.read_text()))
    watcher.on_rows(step, [asdict(row) for row in found.rows])
    return found


def finish(run: Run, config: Config, problems: ProblemSet, found: Evaluation) -> None:
    """Write the table, the ceiling where the set has one, and the report."""
    write_evaluation(run, found)
    if problems.name == "conventions":
        from rlef.problems.conventions import blind_masses

        rows = list(problems)
        masses = blind_masses(rows)
        priors = [Prior(family=p.provenance.family, masses=masses[p.id]) for p in rows]
        ceiling = no_feedback_ceiling(
            priors, dataset=problems.name, split=problems.split, budget=config.evaluation.turns
        )
        write_ceiling(run, ceiling)
    write_report(run)
