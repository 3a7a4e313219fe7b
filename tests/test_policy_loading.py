from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from policy_models import random_llama, word_tokenizer
from rlef.config import Lora, Model
from rlef.errors import ModelError
from rlef.policy import loading, weights
from rlef.policy.loading import autocast_type, load_model

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RLEF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(weights, "hub_reachable", lambda: False)


def write_model(folder: Path, model: Any = None) -> Path:
    (model or random_llama()).save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder


def same_weights(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_local_folder_gives_its_weights_and_tokenizer(tmp_path: Path) -> None:
    loaded = load_model(Model(path=str(write_model(tmp_path / "my-model"))), seed=0)
    assert same_weights(loaded.model, random_llama())
    assert not loaded.model.training and loaded.model.dtype == torch.float32
    assert loaded.model.config._attn_implementation == "sdpa"
    assert loaded.tokenizer.convert_tokens_to_ids("w5") == 7
    assert loaded.tokenizer.pad_token_id == loaded.tokenizer.eos_token_id  # as in SmolLM2: no mask may use it
    assert (loaded.name, loaded.revision) == ("my-model", None)


def test_loading_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    load_model(Model(path=str(folder)), seed=9)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("rank", "stored", "computed"), [(0, torch.float32, torch.bfloat16), (8, torch.bfloat16, None)]
)
def test_bfloat16_is_for_frozen_weights_and_for_arithmetic(
    rank: int, stored: torch.dtype, computed: torch.dtype | None, tmp_path: Path
) -> None:
    settings = Model(path=str(write_model(tmp_path / "m")), dtype="bfloat16", lora=Lora(rank=rank))
    assert load_model(settings).model.dtype == stored
    assert autocast_type(settings) == computed
    assert autocast_type(Model()) is None


def test_a_hub_id_is_read_at_its_revision_from_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The cache as the hub's own client lays it out: two revisions of one repository."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--someone--small"
    commits = {"main": "a" * 40, "v2": "b" * 40}
    (repository / "refs").mkdir(parents=True)
    for seed, (reference, commit) in enumerate(commits.items()):
        write_model(repository / "snapshots" / commit, random_llama(seed))
        (repository / "refs" / reference).write_text(commit)
        (repository / "snapshots" / commit / "README.md").write_text("not asked for")
    first = load_model(Model(path="someone/small"))
    second = load_model(Model(path="someone/small", revision="v2"))
    assert (first.name, first.revision, second.revision) == ("someone/small", "a" * 40, "b" * 40)
    assert same_weights(first.model, random_llama(0)) and same_weights(second.model, random_llama(1))
    with pytest.raises(ModelError, match="'someone/small' is no folder here"):
        load_model(Model(path="someone/small", revision="v3"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("smollm2", "run `rlef model get smollm2`"),
        ("smolm2", "did you mean 'smollm2'"),
        (
            "nobody/nothing",
            "'nobody/nothing' is no folder here, and the hub does not give it: it is not in the hub's cache",
        ),
        ("./no/such/folder", "there is no model folder ./no/such/folder"),
        ("/no such folder", "there is no model folder"),
    ],
)
def test_a_model_that_is_not_there_is_one_line_that_says_what_to_do(path: str, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(Model(path=path))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def spoil(folder: Path, how: str) -> None:
    if how == "config":
        (folder / "config.json").unlink()
    elif how == "weights":
        (folder / "model.safetensors").write_bytes(b"torn")
    elif how == "pickle":
        (folder / "model.safetensors").unlink()
        torch.save(random_llama().state_dict(), folder / "pytorch_model.bin")
    elif how == "layers":
        text = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(text | {"num_hidden_layers": 3}))
    elif how == "code":
        text = json.loads((folder / "config.json").read_text())
        odd = {
            "model_type": "odd",
            "auto_map": {"AutoConfig": "odd.Odd", "AutoModelForCausalLM": "odd.OddLM"},
        }
        (folder / "config.json").write_text(json.dumps(text | odd))
        (folder / "odd.py").write_text("raise SystemExit('code from outside ran')\n")
    elif how == "adapter":
        (folder / "adapter_config.json").write_text("{}")
    elif how == "tokenizer":
        tokenizer = word_tokenizer()
        tokenizer.add_tokens(["more", "ids", "than", "rows"])
        tokenizer.save_pretrained(folder)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("config", "has no config.json"),
        ("weights", "can't be loaded"),
        ("pickle", "can't be loaded"),
        ("layers", "lacks weights: model.layers.2."),
        ("code", "can't be loaded"),
        ("adapter", "an adapter only"),
        ("tokenizer", "the tokenizer has 65 ids, the model only 61"),
    ],
)
def test_a_folder_that_is_broken_or_unsafe_is_refused(how: str, message: str, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    spoil(folder, how)
    with pytest.raises(ModelError) as caught:
        load_model(Model(path=str(folder)))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_smollm2_is_read_from_the_cache_with_its_provenance(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "home" / "models" / "smollm2")
    (folder / "provenance.json").write_text(json.dumps({"revision": "gguf:123"}))
    loaded = load_model(Model(path="smollm2"))
    assert (loaded.name, loaded.revision) == ("smollm2", "gguf:123")


def test_tiny_is_bundled_or_its_absence_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loading.resources, "files", lambda _: tmp_path)
    with pytest.raises(ModelError, match="bundled model 'tiny' is missing"):
        load_model(Model(path="tiny"))
    write_model(tmp_path / "models" / "tiny")
    assert load_model(Model(path="tiny")).name == "tiny"
    shutil.rmtree(tmp_path / "models")
