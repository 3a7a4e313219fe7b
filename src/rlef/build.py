"""Make the bundled tiny model again: ``rlef model build``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

from rlef.config import Config
from rlef.errors import RunError
from rlef.judge import Judge
from rlef.learning.train import Figures, learning_threads, torch_threads
from rlef.learning.warmstart import warm_start
from rlef.policy.codec import HfChatCodec
from rlef.policy.networks import build_actor_critic
from rlef.policy.tiny import build_model, build_tokenizer
from rlef.problems.conventions import WORDS
from rlef.problems.load import load
from rlef.problems.types import ProblemSet
from rlef.sandbox import Sandbox


def build_tiny(config: Config, out: Path, say: Callable[[str], None]) -> None:
    """Make the tiny model from nothing: learn a tokenizer, then warm-start the weights.

    Writes an ordinary model folder. Raises ``RunError`` if ``out`` exists.
    """
    if out.exists():
        raise RunError(f"{out} exists already; remove it or choose another folder")
    tokenizer = build_tokenizer(tiny_corpus(load("conventions", "train")))
    networks = build_actor_critic(
        build_model(tokenizer, seed=config.seed), tokenizer, lora=config.model.lora, seed=config.seed
    )

    def told(index: int, figures: Figures) -> None:
        if index % 10 == 9:
            say(f"step {index + 1}/{config.warm_start.steps}  loss {figures['loss']:.3f}")

    with asyncio.Runner() as runner, torch_threads(learning_threads(config)):
        sandbox = runner.run(Sandbox.open(config.sandbox))
        try:
            codec = HfChatCodec(tokenizer, config.model.system)
            warm_start(networks, codec, Judge(sandbox), config, run=runner.run, on_step=told)
        finally:
            runner.run(sandbox.close())
    networks.save_policy(out)


def tiny_corpus(problems: ProblemSet) -> Iterator[str]:
    """Text that the tiny model's tokenizer is learnt on: training problems only."""
    for problem in problems:
        yield problem.statement
        yield from (solution.code for solution in problem.solutions[:2])
        for test in problem.public_tests:
            yield f"in: {test.input}want: {test.output}got: {test.output}"
    yield from (text for number in range(100) for text in [str(number), f"{number:02d}"] * 30)
    yield from WORDS * 30  # as in programs, where a quotation mark and no space stands before them
