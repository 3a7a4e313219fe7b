"""Engine: the same tokens and log-probabilities as plain passes over whole conversations."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

from rlef.errors import ModelError
from rlef.policy.engine import CausalLMEngine
from rlef.policy.sampling import sample, uniform_draws
from rlef.policy.types import Completion, TurnRequest

torch.set_num_threads(1)

VOCABULARY = 97
END_IDS = frozenset({1, 5, 9})
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 0,
}


def build(config: Any, *, attention: str = "sdpa", seed: int = 0) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


LLAMA = build(LlamaConfig(**SIZES))


def spell(ids: Sequence[int]) -> tuple[str, tuple[int, ...]]:
    return "".join(chr(64 + token) for token in ids), tuple(range(len(ids)))


def engine_of(model: Any = LLAMA, *, rows: int = 4, max_context: int = 400) -> CausalLMEngine:
    return CausalLMEngine(model, END_IDS, rows=rows, max_context=max_context, pad_id=0, decode=spell)


@dataclass(frozen=True)
class Turn:
    observation: tuple[int, ...]
    limit: int = 12
    wait: int = 0
    temperature: float = 1.0
    top_p: float = 1.0


Script = dict[int, list[Turn]]


def text(generator: random.Random, shortest: int, longest: int) -> tuple[int, ...]:
    return tuple(generator.choices(range(10, VOCABULARY), k=generator.randint(shortest, longest)))


def random_script(seed: int, conversations: int, *, turns: int = 3, **kwargs: Any) -> Script:
    """Conversations of several turns; ``wait`` steps pass before a turn is submitted."""
    generator = random.Random(seed)
    return {
        key: [
            Turn(text(generator, 1, 40), generator.randint(1, 20), generator.randint(0, 9), **kwargs)
            for _ in range(turns)
        ]
        for key in range(conversations)
    }


def play(engine: CausalLMEngine, script: Script, *, release: bool = True) -> dict[int, list[Completion]]:
    """Drive every conversation to its end; as many are open at a time as the engine takes."""
    written: dict[int, list[Completion]] = {key: [] for key in script}
    waiting, due = list(script), dict.fromkeys(script, 0)
    opened: set[int] = set()
    busy: set[int] = set()
    for step in range(10_000):
        if not opened and not waiting:
            return written
        while waiting and len(opened) < engine.capacity:
            key = waiting.pop(0)
            opened.add(key)
            due[key] = step + script[key][0].wait
        ready = [key for key in sorted(opened - busy) if due[key] <= step]
        engine.submit([request_of(key, len(written[key]), script) for key in ready])
        busy |= set(ready)
        for key, completion in engine.step():
            busy.remove(key)
            written[key].append(completion)
            if len(written[key]) < len(script[key]):
                due[key] = step + 1 + script[key][len(written[key])].wait
            else:
                opened.remove(key)
                if release:
                    engine.release(key)
    raise AssertionError("the engine does not come to an end")


def request_of(key: int, turn: int, script: Script) -> TurnRequest:
    wanted = script[key][turn]
    return TurnRequest(
        key=key,
        observation=wanted.observation,
        seed=1000 * key + turn,
        max_new_tokens=wanted.limit,
        temperature=wanted.temperature,
        top_p=wanted.top_p,
    )


def conversation(turns: Sequence[Turn], written: Sequence[Completion]) -> tuple[list[int], list[int]]:
    """All ids of a conversation, and where its sampled tokens are."""
    ids: list[int] = []
    places: list[int] = []
    for turn, completion in zip(turns, written, strict=True):
        ids += turn.observation
        places += range(len(ids), len(ids) + len(completion.ids))
        ids += completion.ids
    return ids, places


def full_logprobs(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """Row t is the distribution of token t+1, from one pass without any cache."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
    return logits[0].float().log_softmax(-1)


def assert_logprobs_agree(model: Any, script: Script, written: dict[int, list[Completion]]) -> None:
    for key, turns in script.items():
        ids, places = conversation(turns, written[key])
        full = full_logprobs(model, ids)
        reported = [logprob for completion in written[key] for logprob in completion.logprobs]
        expected = [full[place - 1, ids[place]].item() for place in places]
        assert reported == pytest.approx(expected, abs=1e-4)


def lora_llama() -> Any:
    model = get_peft_model(
        build(LlamaConfig(**SIZES)), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    generator = torch.Generator().manual_seed(3)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data = torch.randn(weight.shape, generator=generator) * 0.1
    return model.eval()


FAMILIES = {
    "llama": lambda: LLAMA,
    "llama eager": lambda: build(LlamaConfig(**SIZES), attention="eager"),
    "llama one key head": lambda: build(LlamaConfig(**{**SIZES, "num_key_value_heads": 1})),
    "llama lora": lora_llama,
    "qwen2": lambda: build(Qwen2Config(**SIZES)),
    "qwen3": lambda: build(Qwen3Config(**SIZES, head_dim=16)),
    "gemma": lambda: build(GemmaConfig(**SIZES, head_dim=8)),
    "gpt2 learned positions": lambda: build(
        GPT2Config(
            vocab_size=VOCABULARY,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=512,
            initializer_range=0.3,
            bos_token_id=0,
            eos_token_id=1,
        )
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_logprobs_are_those_of_a_full_pass_over_the_whole_conversation(family: str) -> None:
    model = FAMILIES[family]()
    script = random_script(seed=1, conversations=7)
    written = play(engine_of(model), script)
    assert {completion.finish for turns in written.values() for completion in turns} == {"stop", "length"}
    assert_logprobs_agree(model, script, written)


def test_greedy_turns_are_those_of_generate_fed_the_whole_conversation_again() -> None:
    script = random_script(seed=2, conversations=6, temperature=0.0)
    written = play(engine_of(), script)
    for key, turns in script.items():
        ids: list[int] = []
        for turn, completion in zip(turns, written[key], strict=True):
            ids += turn.observation
            prompt = torch.tensor([ids])
            whole = LLAMA.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=turn.limit,
                do_sample=False,
                eos_token_id=sorted(END_IDS),
                pad_token_id=0,
            )
            assert completion.ids == tuple(whole[0, len(ids) :].tolist())
            assert set(completion.logprobs) == {0.0}
            ids += completion.ids


def test_company_in_the_batch_does_not_change_a_conversation() -> None:
    script = random_script(seed=3, conversations=12)
    together = play(engine_of(rows=5), script)
    for key, turns in script.items():
        alone = play(engine_of(rows=1), {key: turns})[key]
        for one, other in zip(alone, together[key], strict=True):
            assert one.ids == other.ids
            assert one.finish == other.finish
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_the_same_calls_give_the_same_bits() -> None:
    script = random_script(seed=4, conversations=12)
    engine = engine_of(rows=5)
    first, second = play(engine_of(rows=5), script), play(engine, script)
    assert first == second
    engine.refresh()
    assert play(engine, script) == first


def test_global_generators_neither_matter_nor_move() -> None:
    script = random_script(seed=5, conversations=3)
    torch.manual_seed(1)
    np.random.seed(1)
    state = torch.get_rng_state(), np.random.get_state()[2]
    first = play(engine_of(), script)
    assert torch.equal(torch.get_rng_state(), state[0]) and np.random.get_state()[2] == state[1]
    torch.manual_seed(2)
    assert play(engine_of(), script) == first


def test_the_seed_decides_the_draws() -> None:
    base = TurnRequest(key=0, observation=(20, 21, 22), seed=7, max_new_tokens=16)
    engine = engine_of(rows=8)
    engine.submit([replace(base, key=key, seed=seed) for key, seed in enumerate([7, 7, 8, -1, 2**70])])
    written = dict(finish(engine))
    assert written[0] == written[1]
    assert len({completion.ids for completion in written.values()}) == 4


def test_after_a_turn_cut_by_its_limit_the_last_token_is_still_read() -> None:
    """Regression: the last sampled token is in no pass of its own turn."""
    turns = [Turn((20, 30), limit=1), Turn((40,), limit=1), Turn((50, 60, 70), limit=5)]
    written = play(engine_of(), {0: turns})
    assert_logprobs_agree(LLAMA, {0: turns}, written)


def test_a_turn_may_follow_with_nothing_new_to_read() -> None:
    """Writing on after ``length`` gives what one longer turn gives."""
    turns = [Turn((20, 30), limit=4, temperature=0.0), Turn((), limit=4, temperature=0.0)]
    pieces = play(engine_of(), {0: turns})[0]
    whole = play(engine_of(), {0: [Turn((20, 30), limit=8, temperature=0.0)]})[0]
    assert pieces[0].finish == "length"
    assert pieces[0].ids + pieces[1].ids == whole[0].ids


def test_only_what_is_new_is_read_and_equal_openings_are_read_once() -> None:
    read: list[int] = []

    def count(module: Any, args: Any, kwargs: Any) -> None:
        read.append(kwargs["input_ids"].numel())

    engine = engine_of()
    opening, feedback = tuple(range(10, 50)), tuple(range(50, 61))
    requests = [TurnRequest(key=key, observation=opening, seed=key, max_new_tokens=1) for key in range(4)]
    hook = LLAMA.register_forward_pre_hook(count, with_kwargs=True)
    try:
        engine.submit(requests)
        assert len(engine.step()) == 4
        assert read == [39, 4]  # all but the last token once; then the last one in each row
        read.clear()
        engine.submit([replace(requests[2], observation=feedback, seed=9)])
        engine.step()
        assert read == [11, 1]  # the sampled token and ten of the feedback's, then its last
    finally:
        hook.remove()


def test_equal_feedback_after_different_turns_is_read_for_each() -> None:
    script = {key: [Turn((10 + key, 20), limit=1), Turn((60, 61, 62), limit=3)] for key in range(40)}
    written = play(engine_of(rows=40), script)
    last = [turns[0].ids[-1] for turns in written.values()]
    assert len(set(last)) < len(last)  # some have the same tokens to read, after different ones
    assert_logprobs_agree(LLAMA, script, written)


def test_rows_grow_with_the_longest_conversation() -> None:
    engine = engine_of(rows=3)
    script = {0: [Turn((20,) * 10, 3)], 1: [Turn((30,) * 300, 20), Turn((31,) * 40, 20)]}
    written = play(engine, script, release=False)
    assert 360 <= engine._cache.tokens < 600
    assert_logprobs_agree(LLAMA, script, written)
    engine.release_all()
    engine.refresh()
    assert engine._cache.tokens == 0


def test_a_conversation_released_in_mid_turn_leaves_the_others_alone() -> None:
    script = random_script(seed=6, conversations=3, turns=1)
    script = {key: [replace(turns[0], limit=20, wait=0)] for key, turns in script.items()}
    expected = play(engine_of(), script)
    engine = engine_of()
    engine.submit([request_of(key, 0, script) for key in script])
    assert engine.live == 3
    engine.step()
    engine.release(1)
    assert engine.live == 2
    assert {key: done.ids for key, done in finish(engine)} == {key: expected[key][0].ids for key in (0, 2)}
    with pytest.raises(KeyError):
        engine.release(1)


def test_a_queued_turn_can_be_withdrawn() -> None:
    engine = engine_of(rows=1)
    engine.submit([TurnRequest(key=0, observation=(20,), seed=0, max_new_tokens=3)])
    engine.release(0)
    assert engine.live == 0
    assert engine.step() == []
    engine.submit([TurnRequest(key=1, observation=(20,), seed=0, max_new_tokens=1)])
    assert [key for key, _ in engine.step()] == [1]


def test_a_full_engine_takes_nobody_and_parked_conversations_count() -> None:
    engine = engine_of(rows=2)
    start = TurnRequest(key=0, observation=(20, 21), seed=0, max_new_tokens=1)
    with pytest.raises(ValueError, match="3 more can't be"):
        engine.submit([replace(start, key=key) for key in range(3)])
    assert engine.live == 0  # all or none
    engine.submit([start, replace(start, key=1)])
    engine.step()
    assert (engine.live, engine.capacity) == (0, 2)
    with pytest.raises(ValueError, match="2 of 2 conversations are open"):
        engine.submit([replace(start, key=2)])
    engine.submit([replace(start, key=1)])  # a parked one may go on
    engine.release(0)
    engine.submit([replace(start, key=2)])
    assert len(finish(engine)) == 2


def test_requests_that_mean_nothing_are_refused() -> None:
    engine = engine_of(max_context=30)
    start = TurnRequest(key=0, observation=(20, 21), seed=0, max_new_tokens=5)
    with pytest.raises(ValueError, match="nothing to read"):
        engine.submit([replace(start, observation=())])
    with pytest.raises(ValueError, match="at least 1"):
        engine.submit([replace(start, max_new_tokens=0)])
    with pytest.raises(ValueError, match="being written already"):
        engine.submit([start, start])
    with pytest.raises(ModelError, match="may reach 31 tokens but the context is 30"):
        engine.submit([replace(start, max_new_tokens=29)])
    engine.submit([replace(start, max_new_tokens=28)])
    with pytest.raises(ValueError, match="being written already"):
        engine.submit([start])


def test_the_weights_may_change_only_when_no_conversation_is_open() -> None:
    engine = engine_of()
    script = random_script(seed=7, conversations=2)
    play(engine, script, release=False)
    with pytest.raises(ValueError, match="2 conversations are open"):
        engine.refresh()
    engine.release_all()
    other = build(LlamaConfig(**SIZES), seed=5)
    engine.refresh(other)
    assert_logprobs_agree(other, script, play(engine, script))


def test_a_model_that_sees_only_a_window_or_too_few_positions_is_refused() -> None:
    window = build(MistralConfig(**SIZES, sliding_window=64))
    with pytest.raises(ModelError, match="64 tokens at most"):
        engine_of(window, max_context=65)
    engine_of(window, max_context=64)
    with pytest.raises(ModelError, match="knows 512 positions"):
        engine_of(max_context=513)


def test_a_model_left_in_training_mode_samples_without_dropout() -> None:
    model = build(LlamaConfig(**SIZES, attention_dropout=0.5))
    script = random_script(seed=8, conversations=2)
    model.train()
    written = play(engine_of(model), script)
    assert_logprobs_agree(model.eval(), script, written)


def test_half_precision_weights_give_float_logprobs() -> None:
    model = build(LlamaConfig(**SIZES)).to(torch.bfloat16)
    written = play(engine_of(model), random_script(seed=9, conversations=3))
    assert all(np.isfinite(done.logprobs).all() for turns in written.values() for done in turns)


@pytest.mark.parametrize(("temperature", "top_p"), [(0.7, 1.0), (1.0, 0.8), (0.3, 0.95), (2.0, 0.5)])
def test_logprobs_are_of_the_distribution_sampled_from(temperature: float, top_p: float) -> None:
    script = random_script(seed=10, conversations=6, temperature=temperature, top_p=top_p)
    written = play(engine_of(), script)
    for key, turns in script.items():
        ids, places = conversation(turns, written[key])
        reported = [logprob for done in written[key] for logprob in done.logprobs]
        full = full_logprobs(LLAMA, ids)
        for place, logprob in zip(places, reported, strict=True):
            allowed = nucleus((full[place - 1] / temperature).softmax(-1).tolist(), top_p)
            assert ids[place] in allowed
            assert logprob == pytest.approx(np.log(allowed[ids[place]]), abs=1e-4)


def test_rows_of_one_batch_may_be_sampled_in_different_ways() -> None:
    ways = [{}, {"temperature": 0.0}, {"temperature": 0.5}, {"top_p": 0.7}]
    script = {key: [Turn((20, 30 + key), limit=15, **way)] for key, way in enumerate(ways)}
    together = play(engine_of(), script)
    for key, turns in script.items():
        assert play(engine_of(), {key: turns})[key][0].ids == together[key][0].ids


def nucleus(probs: Sequence[float], top_p: float) -> dict[int, float]:
    """The smallest set of likeliest ids that holds ``top_p``, by the definition."""
    chosen: dict[int, float] = {}
    for token in sorted(range(len(probs)), key=lambda token: -probs[token]):
        if top_p < 1 and sum(chosen.values()) >= top_p:
            break
        chosen[token] = probs[token]
    total = sum(chosen.values())
    return {token: prob / total for token, prob in chosen.items()}


def draw(
    logits: torch.Tensor, draws: Sequence[float], *, temperature: float = 1.0, top_p: float = 1.0
) -> Any:
    rows = len(draws)
    return sample(logits.expand(rows, -1), np.array(draws), np.full(rows, temperature), np.full(rows, top_p))


@pytest.mark.parametrize("width", [1, 7, 442, 1024, 1025, 5000])
def test_a_draw_takes_the_id_at_its_place_in_the_cumulative_distribution(width: int) -> None:
    logits = torch.randn(1, width, generator=torch.Generator().manual_seed(width)) * 3
    draws = np.concatenate([uniform_draws(width, 200), [0.0, np.nextafter(1.0, 0.0)]])
    ids, logprobs = draw(logits, draws)
    exact = np.exp(logits[0].double().numpy() - logits[0].double().numpy().max())
    exact /= exact.sum()
    above = np.cumsum(exact)
    # Rounding may move a boundary between two ids, never further.
    chosen = ids.numpy()
    assert (draws <= above[chosen] + 1e-6).all()
    assert (draws >= above[chosen] - exact[chosen] - 1e-6).all()
    assert logprobs.numpy() == pytest.approx(np.log(exact[chosen]), abs=1e-5)


@pytest.mark.parametrize("width", [50, 5000])
@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_an_impossible_id_is_never_drawn(width: int, top_p: float) -> None:
    logits = torch.full((1, width), -torch.inf)
    logits[0, [3, width // 2, width - 2]] = torch.tensor([0.0, 1.0, -1.0])
    edges = [0.0, 0.5, 1 - 2**-53, *uniform_draws(0, 300)]
    ids, logprobs = draw(logits, edges, top_p=top_p)
    assert set(ids.tolist()) == {3, width // 2, *([width - 2] if top_p == 1.0 else [])}
    assert logprobs.isfinite().all()


def test_frequencies_are_the_probabilities() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, -1.0]])
    ids, _ = draw(logits, uniform_draws(1, 40_000), temperature=0.5)
    share = torch.bincount(ids, minlength=4) / 40_000
    assert share.tolist() == pytest.approx((logits[0] / 0.5).softmax(-1).tolist(), abs=0.01)


def test_a_nucleus_wider_than_the_first_look_is_found_whole() -> None:
    ids, logprobs = draw(torch.zeros(1, 3000), uniform_draws(2, 500), top_p=0.9)
    assert logprobs.exp().tolist() == pytest.approx([1 / 2700] * 500, rel=1e-3)
    assert len(set(ids.tolist())) > 400


def finish(engine: CausalLMEngine) -> list[tuple[int, Completion]]:
    done: list[tuple[int, Completion]] = []
    while engine.live:
        done += engine.step()
    return done
