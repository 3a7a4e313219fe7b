"""Train a model, measured before and after."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from rlef.config import Config
from rlef.evaluation.evaluate import evaluate
from rlef.evaluation.table import Evaluation
from rlef.jobs.bench import Bench, open_bench
from rlef.jobs.data import Sets
from rlef.jobs.describe import describe
from rlef.jobs.measure import finish, measured
from rlef.learning.checkpoints import latest_checkpoint, latest_step, save_checkpoint, save_final
from rlef.learning.train import Figures, Hooks, torch_threads, train
from rlef.learning.warmstart import warm_start
from rlef.problems.types import Problem, ProblemSet
from rlef.runs import Run
from rlef.views.trackers import check_trackers, tracked
from rlef.views.watcher import Watcher

HELD_OUT = "held out"
"""Model name of the readings on ``valid`` during training."""


def train_job(config: Config, run: Run, watcher: Watcher, *, command: str, sets: Sets | None = None) -> bool:
    """Train and measure. Returns False if ``watcher.stop`` ended it early; resume goes on.

    Raises ``RunError`` if another process is at it.
    """
    check_trackers(config.track)
    sets = sets or Sets(config, watcher.stage)
    train_set, test_set, valid_set = sets.train(), sets.test(), sets.valid()
    with run.alone(), open_bench(config) as bench:
        describe(run, config, command, bench.facts | sets.facts)
        sets.note(run)
        with tracked(watcher, run, config, first=latest_step(run)) as told:
            found = _trained(config, run, bench, told, (train_set, test_set, valid_set))
        if found is None:
            return False
        finish(run, config, test_set, found)
    return True


def _trained(
    config: Config, run: Run, bench: Bench, told: Watcher, sets: tuple[ProblemSet, ProblemSet, ProblemSet]
) -> Evaluation | None:
    """Both measurements; None if it was stopped in between."""
    train_set, test_set, valid_set = sets
    if config.warm_start.steps:
        _warm(run, bench, told)
    before = _measured(run, bench, test_set, "before", told)
    done = _reinforce(run, bench, train_set, valid_set, told)
    if done < config.steps:
        return None
    save_final(run, bench.networks)
    return before + _measured(run, bench, test_set, "after", told, step=done)


def _measured(
    run: Run, bench: Bench, problems: ProblemSet, label: str, told: Watcher, step: int = 0
) -> Evaluation:
    config = bench.config
    with torch_threads(config.sampling.threads):
        return bench.runner.run(measured(run, config, problems, label, told, bench.player, step))


def _warm(run: Run, bench: Bench, watcher: Watcher) -> None:
    """Supervised warm start, saved as the checkpoint of step 0 so that it is done once."""
    if latest_checkpoint(run):
        return
    config, shop = bench.config, bench.workshop
    watcher.stage("warm start on synthesised episodes")

    def told(index: int, figures: Figures) -> None:
        run.append("warm_start.jsonl", [{"step": index} | figures])
        watcher.on_warm(index, config.warm_start.steps, figures)

    (run.path / "warm_start.jsonl").unlink(missing_ok=True)
    warm_start(bench.networks, bench.codec, shop.judge, config, run=bench.runner.run, on_step=told)
    bench.networks.rebase()
    save_checkpoint(run, 0, bench.networks, shop.learner)


def _reinforce(run: Run, bench: Bench, train_set: ProblemSet, valid_set: ProblemSet, watcher: Watcher) -> int:
    config = bench.config
    watcher.stage(f"reinforcement learning on {train_set.name}, {len(train_set)} problems")
    valid = [
        problem
        for problem, _ in zip(_spread(valid_set), range(config.evaluation.valid_problems), strict=False)
    ]

    def held_out() -> Figures:
        with torch_threads(config.sampling.threads):
            work = evaluate(valid, bench.player(), config, model=HELD_OUT, conditions=("multi_turn",))
            return held_out_figures(bench.runner.run(work))

    hooks = Hooks(
        on_step=lambda step, figures: watcher.on_step(step, config.steps, figures),
        held_out=held_out if config.evaluation.every else None,
        stop=watcher.stop,
    )
    return train(config, run, train_set, bench.workshop, hooks)


def held_out_figures(found: Evaluation) -> Figures:
    """``heldout/solved`` and ``heldout/first`` (in the first turn); none if every episode was dropped."""
    solved = found.rows[0].solved
    turns = found.per_turn[HELD_OUT]["multi_turn"].turns
    if solved is None or not turns:
        return {}
    return {"heldout/solved": solved, "heldout/first": turns[0].solved}


def _spread(problems: ProblemSet) -> Iterator[Problem]:
    """Problems in an order that mixes families, the same every time."""
    ids = problems.ids()
    return (problems.get(problem_id) for problem_id in Random(0).sample(ids, len(ids)))
