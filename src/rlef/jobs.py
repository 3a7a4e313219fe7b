"""Whole jobs, from a configuration to a finished run directory. The rooms meet here.

    train     measure before → (warm start) → reinforcement learning → measure after → report
    evaluate  measure a model → report

Every stage leaves a file, and a resumed job skips the stages whose files are there.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from random import Random
from typing import Any

import rlef
from rlef.config import Config, dump_config
from rlef.episode.record import Episode
from rlef.episode.trace import to_row
from rlef.evaluation.ceiling import Prior, no_feedback_ceiling, write_ceiling
from rlef.evaluation.evaluate import evaluate
from rlef.evaluation.table import Evaluation, write_evaluation
from rlef.judge import Judge
from rlef.learning.checkpoints import latest_checkpoint, latest_step, save_checkpoint, save_final
from rlef.learning.learner import Learner
from rlef.learning.train import Figures, Hooks, Workshop, learning_threads, torch_threads, train
from rlef.learning.warmstart import warm_start
from rlef.policy.actor_critic import ActorCritic
from rlef.policy.codec import HfChatCodec
from rlef.policy.engine import CausalLMEngine
from rlef.policy.loading import LoadedModel, autocast_type, load_model
from rlef.policy.networks import build_actor_critic
from rlef.problems.conventions import blind_masses
from rlef.problems.load import load
from rlef.problems.types import Problem, ProblemSet
from rlef.runs import Run
from rlef.sandbox import Sandbox
from rlef.views.report import write_report
from rlef.views.trackers import check_trackers, tracked
from rlef.views.watcher import Watcher

SHOWN_EPISODES = 200
"""Evaluation episodes of each model kept in ``traces.jsonl`` for the report."""

HELD_OUT = "held out"
"""Model name of the readings on ``valid`` during training."""


@dataclass(kw_only=True)
class Bench:
    """A model and a judge, set up."""

    workshop: Workshop
    runner: asyncio.Runner
    networks: ActorCritic
    codec: HfChatCodec
    config: Config
    model_name: str
    notes: dict[str, Any] = field(default_factory=dict)


def train_job(config: Config, run: Run, watcher: Watcher, *, command: str) -> bool:
    """Train and measure. Returns False if ``watcher.stop`` ended it early; resume goes on."""
    check_trackers(config.track)
    train_set, test_set, valid_set = problem_sets(config)
    with open_bench(config) as bench, _described(run, bench, command, watcher) as told:
        if config.warm_start.steps:
            _warm(run, bench, told)
        before = _measured(run, bench, test_set, "before", told)
        done = _reinforce(run, bench, train_set, valid_set, told)
        if done < config.steps:
            return False
        save_final(run, bench.networks)
        after = _measured(run, bench, test_set, "after", told, step=done)
    _finish(run, config, test_set, before + after)
    return True


def evaluate_job(config: Config, run: Run, watcher: Watcher, *, command: str, label: str) -> Evaluation:
    """Measure a model on the test split."""
    check_trackers(config.track)
    test_set = _load(config, config.data.test or config.data.train, "test")
    with open_bench(config) as bench, _described(run, bench, command, watcher) as told:
        found = _measured(run, bench, test_set, label, told)
    _finish(run, config, test_set, found)
    return found


def problem_sets(config: Config) -> tuple[ProblemSet, ProblemSet, ProblemSet]:
    """Train, test and valid splits of the configured data."""
    test = config.data.test or config.data.train
    return (
        _load(config, config.data.train, "train"),
        _load(config, test, "test"),
        _load(config, test, "valid"),
    )


@contextmanager
def open_bench(config: Config) -> Iterator[Bench]:
    """Load the model, open the sandbox, and close it again whatever happens."""
    loaded = load_model(config.model, seed=config.seed)
    networks = build_actor_critic(
        loaded.model,
        loaded.tokenizer,
        lora=config.model.lora,
        seed=config.seed,
        autocast=autocast_type(config.model),
    )
    codec = _codec(config, loaded)
    learner = Learner(
        networks,
        config.algorithm,
        config.reward,
        temperature=config.sampling.temperature,
        seed=config.seed,
    )

    def new_engine() -> CausalLMEngine:
        return CausalLMEngine(
            networks.generation_model(),
            codec.end_ids,
            rows=config.sampling.rows,
            max_context=networks.context_length,
            pad_id=codec.pad_id,
            decode=codec.decode,
        )

    with asyncio.Runner() as runner, torch_threads(learning_threads(config)):
        sandbox = runner.run(Sandbox.open(config.sandbox))
        try:
            workshop = Workshop(
                networks=networks,
                codec=codec,
                judge=Judge(sandbox),
                learner=learner,
                new_engine=new_engine,
                runner=runner,
                threads=learning_threads(config),
            )
            yield Bench(
                workshop=workshop,
                runner=runner,
                networks=networks,
                codec=codec,
                config=config,
                model_name=loaded.name,
                notes={"rung": sandbox.rung.value, "slots": sandbox.slots, "revision": loaded.revision},
            )
        finally:
            runner.run(sandbox.close())


def _codec(config: Config, loaded: LoadedModel) -> HfChatCodec:
    ends = loaded.model.generation_config.eos_token_id
    return HfChatCodec(
        loaded.tokenizer,
        config.model.system,
        eos_ids=[] if ends is None else [ends] if isinstance(ends, int) else ends,
        demonstrations=[(shot.user, shot.assistant) for shot in config.model.demonstrations],
    )


def _load(config: Config, name: str, split: str) -> ProblemSet:
    return load(name, split, families=config.data.families, limit=config.data.limit)


def _described(run: Run, bench: Bench, command: str, watcher: Watcher) -> AbstractContextManager[Watcher]:
    """Say what this run is, in its directory and to its trackers, which are then told as ``watcher`` is."""
    if not (run.path / "config.yaml").exists():
        _describe(run, bench, command)
    return tracked(watcher, run, bench.config, first=latest_step(run))


def _describe(run: Run, bench: Bench, command: str) -> None:
    run.write_json(
        "provenance.json",
        {
            "command": command,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "rlef": rlef.__version__,
            "git": _git_revision(),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "packages": {
                name: metadata.version(name)
                for name in ("torch", "transformers", "tokenizers", "numpy", "peft")
            },
            "model": bench.model_name,
            "chat_fingerprint": bench.codec.fingerprint,
            "sandbox": bench.notes,
            "seed": bench.config.seed,
        },
    )
    run.write("config.yaml", dump_config(bench.config))


def _git_revision() -> str | None:
    try:
        found = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


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
        return held_out_figures(_evaluate(bench, valid, HELD_OUT, ("multi_turn",), Watcher()))

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


def _measured(
    run: Run, bench: Bench, problems: ProblemSet, label: str, watcher: Watcher, step: int = 0
) -> Evaluation:
    """Evaluate under every condition, or read what an interrupted job has measured already."""
    path = run.path / f"evaluation-{label}.json"
    if not path.exists():
        _measure(run, bench, problems, label, watcher)
    found = Evaluation.from_json(json.loads(path.read_text()))
    watcher.on_rows(step, [asdict(row) for row in found.rows])
    return found


def _measure(run: Run, bench: Bench, problems: ProblemSet, label: str, watcher: Watcher) -> None:
    watcher.stage(f"measuring {label} on {len(problems)} held-out problems")
    kept: list[dict[str, Any]] = []

    def keep(condition: str, episode: Episode) -> None:
        if condition == "multi_turn" and len(kept) < SHOWN_EPISODES:
            kept.append({"phase": label, "condition": condition} | to_row(episode))

    found = _evaluate(bench, problems, label, None, watcher, keep)
    run.write(f"episodes-{label}.jsonl", "".join(json.dumps(row) + "\n" for row in kept))
    run.write_json(f"evaluation-{label}.json", found.to_json())


def _evaluate(
    bench: Bench,
    problems: ProblemSet | list[Problem],
    label: str,
    conditions: tuple[str, ...] | None,
    watcher: Watcher,
    on_episode: Callable[[str, Episode], None] | None = None,
) -> Evaluation:
    turns = bench.config.evaluation.turns
    episode = bench.config.episode.model_copy(
        update={"turns": turns, "feedback": "own", "stop_on_public_pass": True}
    )
    config = bench.config.model_copy(update={"episode": episode})
    shop = bench.workshop
    with torch_threads(config.sampling.threads):
        return bench.runner.run(
            evaluate(
                problems,
                shop.new_engine(),
                shop.codec,
                shop.judge,
                config,
                model=label,
                conditions=conditions,
                on_progress=watcher.on_progress,
                on_episode=on_episode,
                max_context=bench.networks.context_length,
            )
        )


def _finish(run: Run, config: Config, problems: ProblemSet, found: Evaluation) -> None:
    write_evaluation(run, found)
    if problems.name == "conventions":
        rows = list(problems)
        masses = blind_masses(rows)
        priors = [Prior(family=p.provenance.family, masses=masses[p.id]) for p in rows]
        ceiling = no_feedback_ceiling(
            priors, dataset=problems.name, split=problems.split, budget=config.evaluation.turns
        )
        write_ceiling(run, ceiling)
    write_report(run)
