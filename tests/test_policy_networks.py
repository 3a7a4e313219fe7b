from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.utils import logging as transformers_logging

from policy_models import VOCABULARY, batch_of, random_episodes, random_llama, word_tokenizer
from rlef.config import Lora, Model
from rlef.errors import CheckpointError, ModelError
from rlef.policy import reading
from rlef.policy.actor_critic import ActorCritic
from rlef.policy.batch import TokenBatch
from rlef.policy.loading import load_model
from rlef.policy.networks import build_actor_critic
from rlef.policy.tensors import load_optimizer, read_tensors, save_optimizer, write_tensors

torch.set_num_threads(1)
EPISODES = random_episodes(7, [9, 5, 12, 4])


def networks(rank: int = 0, model: Any = None, **options: Any) -> ActorCritic:
    model = random_llama() if model is None else model
    built = build_actor_critic(model, word_tokenizer(), lora=Lora(rank=rank, alpha=4.0), seed=3, **options)
    if rank:  # adapters begin as zero, which would hide a confusion of roles
        generator = torch.Generator().manual_seed(11)
        with torch.no_grad():
            for name, parameter in built.policy_parameters() + built.value_parameters():
                if "lora_B" in name:
                    parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return built


def gradients(parameters: list[tuple[str, torch.nn.Parameter]]) -> dict[str, Tensor | None]:
    return {name: None if p.grad is None else p.grad.clone() for name, p in parameters}


def forget_gradients(built: ActorCritic) -> None:
    for _, parameter in built.policy_parameters() + built.value_parameters():
        parameter.grad = None


def snapshot(parameters: list[tuple[str, torch.nn.Parameter]]) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in parameters}


def plain_logprobs(model: Any, episode: list[int], temperature: float) -> tuple[Tensor, Tensor]:
    """The textbook way: whole logits of one episode on its own."""
    with torch.no_grad():
        logits_TV = model(torch.tensor([episode])).logits[0].double() / temperature
    logp_TV = logits_TV - logits_TV.exp().sum(-1, keepdim=True).log()
    entropy_T = -(logp_TV.exp() * logp_TV).sum(-1)
    actions = range(3, len(episode))
    return (
        torch.stack([logp_TV[t - 1, episode[t]] for t in actions]).float(),
        torch.stack([entropy_T[t - 1] for t in actions]).float(),
    )


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("rank", [0, 4])
def test_logprobs_and_entropies_are_those_of_a_plain_forward_pass(rank: int, temperature: float) -> None:
    built = networks(rank)
    logprob_N, entropy_N = built.logprobs(batch_of([[e] for e in EPISODES]), temperature=temperature)
    plain = [plain_logprobs(built.generation_model(), e, temperature) for e in EPISODES]
    torch.testing.assert_close(logprob_N, torch.cat([p[0] for p in plain]), atol=1e-5, rtol=0)
    torch.testing.assert_close(entropy_N, torch.cat([p[1] for p in plain]), atol=1e-5, rtol=0)
    assert logprob_N.requires_grad and not entropy_N.requires_grad


def test_a_uniform_policy_has_the_entropy_of_its_vocabulary() -> None:
    model = random_llama(tied=False)
    torch.nn.init.zeros_(model.lm_head.weight)
    logprob_N, entropy_N = networks(model=model).logprobs(batch_of([EPISODES]))
    expected = torch.log(torch.tensor(float(VOCABULARY))).expand_as(entropy_N)
    torch.testing.assert_close(entropy_N, expected)
    torch.testing.assert_close(logprob_N, -expected)


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_packing_and_padding_change_nothing(family: str) -> None:
    model = random_llama() if family == "llama" else random_qwen2()
    built = networks(model=model)
    layouts = {
        "padded right": batch_of([[e] for e in EPISODES]),
        "padded left": batch_of([[e] for e in EPISODES], left=3),
        "packed in one row": batch_of([EPISODES]),
        "packed in uneven rows": batch_of([EPISODES[:3], EPISODES[3:]]),
    }
    alone = [batch_of([[e]]) for e in EPISODES]
    logprob_N = torch.cat([built.logprobs(batch)[0] for batch in alone])
    value_M = torch.cat([built.values(batch) for batch in alone])
    for name, batch in layouts.items():
        torch.testing.assert_close(built.logprobs(batch)[0], logprob_N, atol=1e-5, rtol=0, msg=name)
        torch.testing.assert_close(built.values(batch), value_M, atol=1e-5, rtol=0, msg=name)
        torch.testing.assert_close(built.reference_logprobs(batch), logprob_N.detach(), atol=1e-5, rtol=0)


def random_qwen2() -> Any:
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return Qwen2ForCausalLM(config)


def test_eager_attention_reads_packed_rows_the_same() -> None:
    sdpa, eager = networks(), networks()
    eager.generation_model().set_attn_implementation("eager")
    batch = batch_of([EPISODES[:3], EPISODES[3:]], left=2)  # eager attention makes NaN of an unseen row
    torch.testing.assert_close(eager.logprobs(batch)[0], sdpa.logprobs(batch)[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("rank", [0, 4])
def test_gradients_do_not_depend_on_packing(rank: int) -> None:
    found = []
    for batch in (batch_of([[e] for e in EPISODES]), batch_of([EPISODES], left=2)):
        built = networks(rank)
        (built.logprobs(batch)[0].square().sum() + built.values(batch).square().sum()).backward()
        found.append(gradients(built.policy_parameters() + built.value_parameters()))
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, atol=1e-4, rtol=1e-4, msg=name)


def test_an_end_token_that_is_also_the_padding_token_learns() -> None:
    built = networks(model=random_llama(tied=False))
    episode = [5, 1, 7, 8]  # id 1 ends a turn and is the model's padding id
    built.logprobs(batch_of([[episode]]))[0].sum().backward()
    gradient = dict(built.policy_parameters())["model.embed_tokens.weight"].grad
    assert gradient is not None and gradient[1].abs().sum() > 0


def test_no_gradient_comes_from_another_episode_or_a_later_token() -> None:
    built = networks()
    seen: list[Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    built.generation_model().get_input_embeddings().register_forward_hook(keep)
    logprob_N, _ = built.logprobs(batch_of([EPISODES[:2]]))
    # Episode 0 has 9 tokens, 6 of them written; the next is the first action of episode 1.
    logprob_N[6].backward()
    assert seen[0].grad is not None
    reached = seen[0].grad[0].abs().sum(-1) > 0
    assert reached.nonzero().flatten().tolist() == [9, 10, 11]


def changed_values(built: ActorCritic, batch: TokenBatch, column: int) -> list[bool]:
    ids_BT = batch.ids_BT.clone()
    ids_BT[0, column] = (ids_BT[0, column] + 1) % VOCABULARY
    after = built.values(dataclasses.replace(batch, ids_BT=ids_BT))
    return ((after - built.values(batch)).abs() > 1e-7).tolist()


@pytest.mark.parametrize("rank", [0, 4])
def test_a_value_depends_on_its_prompt_and_on_nothing_after_it(rank: int) -> None:
    built = networks(rank)
    batch = batch_of([EPISODES[:2]])  # values at columns 2 and 9 + 2
    assert changed_values(built, batch, 0) == [True, False]
    assert changed_values(built, batch, 2) == [True, False]
    assert changed_values(built, batch, 3) == [False, False]
    assert changed_values(built, batch, 11) == [False, True]
    assert changed_values(built, batch, 12) == [False, False]


def test_values_are_read_at_exactly_the_flagged_positions() -> None:
    built = networks()
    everywhere = dataclasses.replace(batch_of([EPISODES]), read_value_BT=torch.ones(1, 30, dtype=torch.bool))
    all_T = built.values(everywhere)
    some = torch.zeros(1, 30, dtype=torch.bool)
    some[0, [0, 8, 9, 29]] = True
    torch.testing.assert_close(
        built.values(dataclasses.replace(everywhere, read_value_BT=some)), all_T[[0, 8, 9, 29]]
    )


@pytest.mark.parametrize("rank", [0, 4])
def test_values_start_near_zero_but_not_at_zero(rank: int) -> None:
    values_M = networks(rank).values(batch_of([EPISODES]))
    assert 0 < values_M.abs().max() < 0.1


def test_policy_and_reference_agree_at_the_start_with_fresh_adapters() -> None:
    model = random_llama().eval()
    plain = [plain_logprobs(model, e, 1.0)[0] for e in EPISODES]
    built = build_actor_critic(model, None, lora=Lora(rank=4), seed=0)
    batch = batch_of([EPISODES])
    torch.testing.assert_close(built.logprobs(batch)[0], torch.cat(plain), atol=1e-5, rtol=0)
    assert torch.equal(built.logprobs(batch)[0], built.reference_logprobs(batch))


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_each_loss_reaches_only_its_own_parameters(rank: int, checkpointing: bool) -> None:
    built = networks(rank, gradient_checkpointing=checkpointing)
    batch = batch_of([EPISODES])
    policy, value = built.policy_parameters(), built.value_parameters()
    built.logprobs(batch)[0].sum().backward()
    alone_policy = gradients(policy)
    assert all(g is not None and g.abs().sum() > 0 for g in alone_policy.values())
    assert all(g is None for g in gradients(value).values())
    forget_gradients(built)
    built.values(batch).sum().backward()
    alone_value = gradients(value)
    assert all(g is not None and g.abs().sum() > 0 for g in alone_value.values())
    assert all(g is None for g in gradients(policy).values())

    # Both graphs are alive, and the active adapter is neither's, when they are walked.
    forget_gradients(built)
    policy_loss, value_loss = built.logprobs(batch)[0].sum(), built.values(batch).sum()
    built.reference_logprobs(batch)
    (policy_loss + value_loss).backward()
    for name, gradient in (gradients(policy) | gradients(value)).items():
        torch.testing.assert_close(gradient, (alone_policy | alone_value)[name], msg=name)


def test_trainable_parameters_are_all_there_are_and_do_not_overlap() -> None:
    for rank in (0, 4):
        built = networks(rank)
        policy = {id(p) for _, p in built.policy_parameters()}
        value = {id(p) for _, p in built.value_parameters()}
        trainable = {id(p) for p in built.generation_model().parameters() if p.requires_grad}
        assert policy and value and not policy & value
        assert policy <= trainable <= policy | value


@pytest.mark.parametrize("rank", [0, 4])
def test_gradient_checkpointing_changes_no_gradient(rank: int) -> None:
    found = []
    for checkpointing in (False, True):
        built = networks(rank, gradient_checkpointing=checkpointing)
        batch = batch_of([EPISODES])
        (built.logprobs(batch)[0].sum() + built.values(batch).sum()).backward()
        found.append(gradients(built.policy_parameters() + built.value_parameters()))
        assert not built.generation_model().training
        assert not any(module.training for module in built.generation_model().modules())
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, msg=name)


def test_gradient_checkpointing_does_run_layers_again() -> None:
    counts = []
    for checkpointing in (False, True):
        built = networks(gradient_checkpointing=checkpointing)
        runs: list[int] = []
        layer = built.generation_model().model.layers[0].self_attn
        layer.register_forward_hook(lambda *_, runs=runs: runs.append(1))
        built.logprobs(batch_of([EPISODES]))[0].sum().backward()
        counts.append(len(runs))
    assert counts == [1, 2]


def test_logits_made_in_pieces_give_the_same_figures_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, pieces = networks(), networks()
    batch = batch_of([EPISODES])
    expected = whole.logprobs(batch, temperature=0.7)
    expected[0].square().sum().backward()
    monkeypatch.setattr(reading, "CHUNK_LOGITS", 4 * VOCABULARY)
    found = pieces.logprobs(batch, temperature=0.7)
    found[0].square().sum().backward()
    torch.testing.assert_close(found, expected)
    for name, gradient in gradients(whole.policy_parameters()).items():
        torch.testing.assert_close(
            gradients(pieces.policy_parameters())[name], gradient, atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize("rank", [0, 4])
def test_an_update_moves_policy_and_value_and_never_the_reference(rank: int) -> None:
    built = networks(rank)
    batch = batch_of([EPISODES])
    optimizer = torch.optim.AdamW(
        [p for _, p in built.policy_parameters() + built.value_parameters()], lr=0.05
    )
    before = built.logprobs(batch)[0].detach(), built.values(batch).detach(), built.reference_logprobs(batch)
    (built.logprobs(batch)[0].sum() + built.values(batch).sum()).backward()
    optimizer.step()
    assert not torch.allclose(built.logprobs(batch)[0], before[0], atol=1e-2)
    assert not torch.allclose(built.values(batch), before[1], atol=1e-2)
    assert torch.equal(built.reference_logprobs(batch), before[2])


@pytest.mark.parametrize("rank", [0, 4])
def test_rebasing_makes_the_policy_the_reference_once_and_for_all(rank: int) -> None:
    built = networks(rank)
    batch = batch_of([EPISODES])
    built.rebase()
    assert torch.equal(built.reference_logprobs(batch), built.logprobs(batch)[0])
    body = dict(built.value_parameters())
    copied = [name for name, p in built.policy_parameters() if any(torch.equal(p, q) for q in body.values())]
    assert copied
    with torch.no_grad():
        for _, parameter in built.policy_parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    assert not torch.allclose(built.reference_logprobs(batch), built.logprobs(batch)[0], atol=1e-3)
    (built.logprobs(batch)[0].sum() + built.values(batch).sum()).backward()
    assert all(
        g is not None for g in gradients(built.policy_parameters() + built.value_parameters()).values()
    )


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("tied", [True, False])
def test_a_saved_policy_is_an_ordinary_folder(rank: int, tied: bool, tmp_path: Path) -> None:
    built = networks(rank, random_llama(tied=tied))
    batch = batch_of([[e] for e in EPISODES])
    expected = built.logprobs(batch)[0]
    base = built.reference_logprobs(batch)
    built.save_policy(tmp_path)
    loaded, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    again = torch.cat([plain_logprobs(loaded, e, 1.0)[0] for e in EPISODES])
    torch.testing.assert_close(again, expected, atol=1e-5, rtol=0)
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template == word_tokenizer().chat_template
    assert torch.equal(built.reference_logprobs(batch), base)
    assert torch.equal(built.logprobs(batch)[0], expected)


def test_a_saved_adapter_is_one_that_peft_loads(tmp_path: Path) -> None:
    from peft import PeftModel

    from rlef.policy.lora import LoraActorCritic

    built = networks(4)
    assert isinstance(built, LoraActorCritic)
    built.save_adapter(tmp_path)
    loaded = PeftModel.from_pretrained(random_llama(), tmp_path / "policy").eval()
    again = torch.cat([plain_logprobs(loaded, e, 1.0)[0] for e in EPISODES])
    torch.testing.assert_close(
        again, built.logprobs(batch_of([[e] for e in EPISODES]))[0].detach(), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("rebased", [False, True])
@pytest.mark.parametrize("rank", [0, 4])
def test_training_goes_on_bit_for_bit_from_a_saved_state(rank: int, rebased: bool, tmp_path: Path) -> None:
    batch = batch_of([EPISODES])

    def optimizer_of(built: ActorCritic) -> torch.optim.Optimizer:
        groups = [
            {"params": [p for _, p in built.policy_parameters()], "lr": 0.01},
            {"params": [p for _, p in built.value_parameters()], "lr": 0.02},
        ]
        return torch.optim.AdamW(groups, betas=(0.8, 0.9))

    def update(built: ActorCritic, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        gap = built.logprobs(batch)[0] - built.reference_logprobs(batch)
        (built.logprobs(batch)[0].sum() + gap.square().sum() + built.values(batch).sum()).backward()
        optimizer.step()

    straight = networks(rank)
    if rebased:
        straight.rebase()
    optimizer = optimizer_of(straight)
    update(straight, optimizer)
    straight.save_exact_state(tmp_path)
    save_optimizer(tmp_path / "optimizer.safetensors", optimizer)
    update(straight, optimizer)

    resumed = networks(rank)
    resumed.load_exact_state(tmp_path)
    second = optimizer_of(resumed)
    load_optimizer(tmp_path / "optimizer.safetensors", second)
    update(resumed, second)
    everything = snapshot(straight.policy_parameters() + straight.value_parameters())
    again = snapshot(resumed.policy_parameters() + resumed.value_parameters())
    assert everything.keys() == again.keys()
    assert all(torch.equal(everything[name], again[name]) for name in everything)
    assert torch.equal(straight.reference_logprobs(batch), resumed.reference_logprobs(batch))
    assert second.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]


def test_a_state_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    built, deeper = networks(), networks(model=random_llama(layers=3))
    deeper.save_exact_state(tmp_path)
    before = snapshot(built.policy_parameters())
    with pytest.raises(CheckpointError, match="does not fit this model"):
        built.load_exact_state(tmp_path)
    assert all(torch.equal(before[name], p) for name, p in built.policy_parameters())
    optimizer = torch.optim.AdamW([p for _, p in built.policy_parameters()])
    save_optimizer(tmp_path / "optimizer.safetensors", optimizer)
    with pytest.raises(CheckpointError, match="other parameters"):
        load_optimizer(
            tmp_path / "optimizer.safetensors",
            torch.optim.AdamW([p for _, p in deeper.policy_parameters()]),
        )


def test_a_torn_or_missing_file_is_a_checkpoint_error(tmp_path: Path) -> None:
    path = write_tensors(tmp_path / "a.safetensors", {"x": torch.arange(100.0)}, {"step": 3})
    tensors, note = read_tensors(path)
    assert torch.equal(tensors["x"], torch.arange(100.0)) and note == {"step": 3}
    path.write_bytes(path.read_bytes()[:-10])
    for broken in (path, tmp_path / "none.safetensors"):
        with pytest.raises(CheckpointError, match="can't be read"):
            read_tensors(broken)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("rank", [0, 4])
def test_building_networks_leaves_the_global_generator_alone_and_repeats(rank: int) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, second = networks(rank), networks(rank)
    assert torch.equal(torch.get_rng_state(), before)
    one, other = snapshot(first.value_parameters()), snapshot(second.value_parameters())
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_meaningless_batches_are_refused() -> None:
    built = networks()
    batch = batch_of([EPISODES[:2]])
    first = batch.is_action_BT.clone()
    first[0, 9] = True  # the first token of the second episode
    padding = batch_of([[EPISODES[0]], [EPISODES[1]]])
    at_padding = padding.read_value_BT.clone()
    at_padding[1, 8] = True
    with pytest.raises(ValueError, match="token of its own episode"):
        built.logprobs(dataclasses.replace(batch, is_action_BT=first))
    with pytest.raises(ValueError, match="padding"):
        built.values(dataclasses.replace(padding, read_value_BT=at_padding))
    with pytest.raises(ValueError, match="context of 64"):
        built.logprobs(batch_of([random_episodes(0, [65])]))
    with pytest.raises(ValueError, match="temperature"):
        built.logprobs(batch, temperature=0.0)
    assert built.context_length == 64


@pytest.mark.parametrize("rank", [0, 2])
def test_saving_and_loading_show_no_bars_and_leave_the_settings_of_others(
    rank: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    def hook(factory: Any, args: Any, options: Any) -> Any:
        asked.append(options)
        return factory(*args, **options)

    before = transformers_logging.set_tqdm_hook(hook)
    try:
        networks(rank).save_policy(tmp_path / "saved")
        load_model(Model(path=str(tmp_path / "saved")))
        assert not asked and capfd.readouterr().err == ""
        AutoModelForCausalLM.from_pretrained(tmp_path / "saved").save_pretrained(tmp_path / "theirs")
        assert len(asked) == 2 and "Writing model shards" in capfd.readouterr().err
    finally:
        transformers_logging.set_tqdm_hook(before)


def test_a_batch_without_actions_gives_empty_results() -> None:
    batch = batch_of([[EPISODES[0]]])
    nothing = dataclasses.replace(
        batch,
        is_action_BT=torch.zeros_like(batch.is_action_BT),
        read_value_BT=torch.zeros_like(batch.read_value_BT),
    )
    built = networks()
    assert built.logprobs(nothing)[0].shape == built.values(nothing).shape == (0,)


def test_a_model_that_caps_its_logits_is_refused() -> None:
    config = Gemma2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        final_logit_softcapping=0.5,
        initializer_range=0.3,
    )
    with pytest.raises(ModelError, match="caps its logits"):
        networks(model=Gemma2ForCausalLM(config))


def test_with_autocast_the_weights_that_learn_stay_float32() -> None:
    built = networks(autocast=torch.bfloat16)
    exact = networks()
    batch = batch_of([EPISODES])
    (built.logprobs(batch)[0].sum() + built.values(batch).sum()).backward()
    assert all(
        p.dtype == p.grad.dtype == torch.float32 for _, p in built.policy_parameters() if p.grad is not None
    )
    torch.testing.assert_close(built.logprobs(batch)[0], exact.logprobs(batch)[0], atol=0.3, rtol=0.1)
    sampler = built.generation_model()
    assert sampler.dtype == torch.bfloat16
    with torch.no_grad():
        for _, parameter in built.policy_parameters():
            parameter.mul_(0.5)
    assert built.generation_model() is sampler
    weight = dict(built.policy_parameters())["model.layers.0.mlp.up_proj.weight"]
    assert torch.equal(sampler.model.layers[0].mlp.up_proj.weight, weight.bfloat16())


def test_a_sampler_that_holds_the_model_always_finds_the_policy() -> None:
    built = networks(4)
    sampler = built.generation_model()
    ids = torch.tensor([EPISODES[0]])
    batch = batch_of([EPISODES])
    expected = sampler(ids).logits
    assert not torch.allclose(expected, copy.deepcopy(random_llama())(ids).logits, atol=1e-3)
    built.values(batch)
    built.reference_logprobs(batch)
    with pytest.raises(ValueError, match="temperature"):
        built.reference_logprobs(batch, temperature=-1.0)
    assert torch.equal(sampler(ids).logits, expected)
