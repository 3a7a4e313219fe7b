"""Our engine beside ``model.generate`` on turns of mixed lengths.

Both sample at temperature 1 from the same model and write the same number of tokens in
every turn. ``generate`` gets batches of ``--rows`` prompts, padded on the left, and runs
until the longest is done; in a later turn it reads the whole conversation again. The
engine also returns log-probabilities; ``generate`` is spared them. The two take turns
``--repeats`` times; medians are shown. Tokens written count, tokens read do not. With one
thread on a CPU, seconds are CPU seconds, so that other programs disturb the figures less.

    python benchmarks/engine_vs_generate.py [--model FOLDER] [--rows 128] [--threads 1]
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, StoppingCriteria

from rlef.policy.engine import CausalLMEngine
from rlef.policy.types import TurnRequest


@dataclass(frozen=True)
class Load:
    """``prompts[c][k]`` is read, and ``lengths[c][k]`` tokens are written, in turn k of conversation c."""

    prompts: list[list[tuple[int, ...]]]
    lengths: list[list[int]]

    @property
    def written(self) -> int:
        """Tokens that a run writes."""
        return sum(map(sum, self.lengths))


def make_load(
    vocabulary: int, *, conversations: int, turns: int, mean: int, longest: int, seed: int = 0
) -> Load:
    """Openings of 30 to 80 tokens, feedback of 10 to 30, turns of geometric length."""
    generator = random.Random(seed)

    def text(low: int, high: int) -> tuple[int, ...]:
        return tuple(generator.choices(range(3, vocabulary), k=generator.randint(low, high)))

    prompts = [[text(30, 80)] + [text(10, 30) for _ in range(turns - 1)] for _ in range(conversations)]
    lengths = [
        [min(longest, 1 + int(generator.expovariate(1 / mean))) for _ in range(turns)]
        for _ in range(conversations)
    ]
    return Load(prompts, lengths)


def run_engine(model: Any, load: Load, rows: int) -> None:
    """Conversations enter as others end; each goes on with its next turn at once."""
    engine = CausalLMEngine(
        model, (), rows=rows, max_context=512, pad_id=0, decode=lambda ids: ("", (0,) * len(ids))
    )
    waiting = list(range(len(load.prompts)))
    turn = dict.fromkeys(waiting, 0)
    ready: list[int] = []
    written = opened = 0
    while ready or waiting or engine.live:
        while waiting and opened < rows:
            ready.append(waiting.pop(0))
            opened += 1
        engine.submit(
            [
                TurnRequest(
                    key=key,
                    observation=load.prompts[key][turn[key]],
                    seed=key * 100 + turn[key],
                    max_new_tokens=load.lengths[key][turn[key]],
                )
                for key in ready
            ]
        )
        ready = []
        for key, completion in engine.step():
            written += len(completion.ids)
            turn[key] += 1
            if turn[key] < len(load.prompts[key]):
                ready.append(key)
            else:
                engine.release(key)
                opened -= 1
    assert written == load.written


class Lengths(StoppingCriteria):
    """Stops row r after ``lengths[r]`` new tokens, as an end token would."""

    def __init__(self, start: int, lengths: list[int]) -> None:
        self._stop = start + torch.tensor(lengths)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """True for the rows that have ended."""
        return input_ids.shape[1] >= self._stop.to(input_ids.device)


def run_generate(model: Any, load: Load, rows: int) -> None:
    """One batch after another, each turn after the one before has ended for the whole batch."""
    written = 0
    for first in range(0, len(load.prompts), rows):
        keys = range(first, min(first + rows, len(load.prompts)))
        contexts: dict[int, list[int]] = {key: [] for key in keys}
        for turn in range(len(load.prompts[first])):
            for key in keys:
                contexts[key] += load.prompts[key][turn]
            width = max(map(len, contexts.values()))
            ids = torch.tensor([[0] * (width - len(contexts[key])) + contexts[key] for key in keys])
            mask = torch.tensor(
                [[0] * (width - len(contexts[key])) + [1] * len(contexts[key]) for key in keys]
            )
            lengths = [load.lengths[key][turn] for key in keys]
            output = model.generate(
                ids.to(model.device),
                attention_mask=mask.to(model.device),
                do_sample=True,
                top_k=0,
                max_new_tokens=max(lengths),
                stopping_criteria=[Lengths(width, lengths)],
                pad_token_id=0,
                eos_token_id=None,
            )
            for key, length, row in zip(keys, lengths, output.tolist(), strict=True):
                contexts[key] += row[width : width + length]
                written += length
    assert written == load.written


def seconds(job: Callable[[], None], clock: Callable[[], float]) -> float:
    start = clock()
    job()
    return clock() - start


def compare(name: str, model: Any, load: Load, rows: int, repeats: int) -> None:
    taken: dict[str, list[float]] = {"generate": [], "engine": []}
    alone = model.device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    for _ in range(repeats):
        taken["generate"].append(seconds(lambda: run_generate(model, load, rows), clock))
        taken["engine"].append(seconds(lambda: run_engine(model, load, rows), clock))
    rate = {side: load.written / statistics.median(times) for side, times in taken.items()}
    print(
        f"{name:24}{load.written:>9}{rate['generate']:>14.0f}{rate['engine']:>14.0f}"
        f"{rate['engine'] / rate['generate']:>9.2f}x"
    )


def random_model() -> Any:
    """A Llama of the size of the bundled tiny model."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=768,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
    )
    return LlamaForCausalLM(config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="folder of a transformers model; without it a random tiny Llama")
    parser.add_argument("--rows", type=int, help="rows written at a time (128; 16 with --model)")
    parser.add_argument("--conversations", type=int, help="conversations (256; 32 with --model)")
    parser.add_argument("--repeats", type=int, help="times that both sides run (3; 1 with --model)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    real = options.model is not None
    model = AutoModelForCausalLM.from_pretrained(options.model) if real else random_model()
    model = model.eval().to(options.device)
    model.generation_config.eos_token_id = None
    rows = options.rows or (16 if real else 128)
    conversations = options.conversations or (32 if real else 256)
    mean, longest = (12, 48) if real else (16, 80)
    print(f"{options.model or 'random tiny Llama'}, {rows} rows, {options.threads} threads, {options.device}")
    print(f"{'load':24}{'tokens':>9}{'generate/s':>14}{'engine/s':>14}{'ratio':>10}")
    for name, turns in (("one turn", 1), ("three turns", 3)):
        count = max(rows, conversations // turns)
        load = make_load(
            model.config.vocab_size, conversations=count, turns=turns, mean=mean, longest=longest
        )
        compare(name, model, load, rows, options.repeats or (1 if real else 3))


if __name__ == "__main__":
    main()
