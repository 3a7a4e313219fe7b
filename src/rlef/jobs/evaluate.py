"""Measure a model: in this process, behind an endpoint, or a transcript; no torch for the last two."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlef.config import Config
from rlef.evaluation.table import Evaluation
from rlef.jobs.data import Sets
from rlef.jobs.describe import describe
from rlef.jobs.measure import finish, measured
from rlef.judge import Judge
from rlef.policy.chat import ChatModel
from rlef.policy.journal import REPLIES, Journal
from rlef.problems.types import ProblemSet
from rlef.rollout.chat import ChatPlayer, opening_messages
from rlef.runs import Run
from rlef.sandbox import Sandbox
from rlef.views.trackers import check_trackers, tracked
from rlef.views.watcher import Watcher

REPLAY = "replay:"
"""A model path that begins with this is a run whose turns are played again."""
USAGE = "usage.json"
Facts = dict[str, Any]
"""What ``provenance.json`` says."""


def evaluate_job(config: Config, run: Run, watcher: Watcher, sets: Sets, *, command: str) -> Evaluation:
    """Measure a model on the test split. One that was measured before is read, and needs no model.

    Raises ``RunError`` if another process is at it.
    """
    check_trackers(config.track)
    problems = sets.test()
    with run.alone():
        before = sorted(run.path.glob("evaluation-*.json"))
        if before:
            found = Evaluation.from_json(json.loads(before[0].read_text()))
        elif gives_text(config):
            found = asyncio.run(_by_text(config, run, problems, watcher, command, sets.facts))
        else:
            found = _in_process(config, run, problems, watcher, command, sets.facts)
        sets.note(run)
        finish(run, config, problems, found)
    return found


def gives_text(config: Config) -> bool:
    """True if the model takes messages and gives text: an endpoint or a transcript."""
    return bool(config.endpoint.url) or config.model.path.startswith(REPLAY)


def _in_process(
    config: Config, run: Run, problems: ProblemSet, watcher: Watcher, command: str, more: Facts
) -> Evaluation:
    from rlef.jobs.bench import open_bench
    from rlef.learning.train import torch_threads

    label = Path(config.model.path).name
    with open_bench(config) as bench:
        describe(run, config, command, bench.facts | more)
        with tracked(watcher, run, config, first=0) as told, torch_threads(config.sampling.threads):
            return bench.runner.run(measured(run, config, problems, label, told, bench.player))


async def _by_text(
    config: Config, run: Run, problems: ProblemSet, watcher: Watcher, command: str, more: Facts
) -> Evaluation:
    async with open_text_model(config) as (model, facts), await Sandbox.open(config.sandbox) as sandbox:
        # The name that the server gave, so that a resumed run asks no other model.
        config = config.model_copy(update={"model": config.model.model_copy(update={"path": facts["model"]})})
        label = Path(config.model.path).name
        jail = {"rung": sandbox.rung.value, "slots": sandbox.slots}
        describe(run, config, command, {**facts, **more, "sandbox": jail})
        with _journal(run, model) as journal, tracked(watcher, run, config, first=0) as told:
            player = ChatPlayer(
                model=journal,
                judge=Judge(sandbox, order="kill_rate"),
                rewards=config.reward,
                before=opening_messages(config.model),
            )
            return await measured(run, config, problems, label, told, lambda: player)


@asynccontextmanager
async def open_text_model(config: Config) -> AsyncIterator[tuple[ChatModel, dict[str, Any]]]:
    """The model, ready, and what ``provenance.json`` says of it. A wrong URL, key or name shows here."""
    if config.model.path.startswith(REPLAY):
        from rlef.rollout.replay import Replay

        source = Run.open(Path(config.model.path.removeprefix(REPLAY)))
        yield Replay(source, len(opening_messages(config.model))), {"model": config.model.path}
        return
    from rlef.policy.endpoint import Endpoint

    async with Endpoint(config.model.path, config.endpoint) as endpoint:
        await endpoint.check(config.episode.response_tokens)
        yield endpoint, {"model": endpoint.model, "endpoint": config.endpoint.url}


@contextmanager
def _journal(run: Run, model: ChatModel) -> Iterator[Journal]:
    """The run's journal; what its replies cost is written when it closes, also after a Ctrl-C."""
    with Journal(run.path / REPLIES, model) as journal:
        try:
            yield journal
        finally:
            run.write_json(USAGE, asdict(journal.spent))
