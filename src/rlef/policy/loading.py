"""Find a model by name, folder or hub id, and load it with its tokenizer."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlef import config
from rlef.errors import ModelError
from rlef.policy.transformer import without_bars
from rlef.policy.weights import PROVENANCE, hub_snapshot, smollm2_folder

NAMES = ("tiny", "smollm2")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A causal language model with its tokenizer, as transformers made them."""

    model: Any
    tokenizer: Any
    name: str
    """What to call it in tables and run names."""
    revision: str | None
    """Commit on the hub, or digest of the bundled or converted weights, where known."""


def load_model(settings: config.Model, *, seed: int = 0, device: str | None = None) -> LoadedModel:
    """Load the model that ``settings.path`` names, in evaluation mode.

    Weights are float32 where all of them are to be trained: bfloat16 has too few digits
    to add updates in, so ``settings.dtype`` is then the type to compute in (``autocast``
    of ``build_actor_critic``). With adapters the frozen base takes ``settings.dtype``.
    ``seed`` fixes whatever an architecture draws while it is built; the global generator
    is left alone. ``device`` defaults to the GPU if there is one. Code that comes with a
    model is never run, nor are weights read that are not safetensors. Raises
    ``ModelError`` with one line.
    """
    folder, name = _find(settings.path)
    revision = _provenance(folder) if folder else None
    dtype = torch.bfloat16 if settings.dtype == "bfloat16" and settings.lora.rank else torch.float32
    try:
        with without_bars(), torch.random.fork_rng():
            torch.manual_seed(seed)
            if folder is None:
                folder = hub_snapshot(settings.path, settings.revision)
                revision = folder.name
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            model, report = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                attn_implementation="sdpa",
                use_safetensors=True,
                output_loading_info=True,
                trust_remote_code=False,
            )
    except Exception as error:
        # Anything can come out of a broken folder: OSError, KeyError, SafetensorError, …
        raise ModelError(_explain(settings.path, folder, error)) from error
    _check(settings.path, model, tokenizer, report)
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return LoadedModel(model=model.to(place).eval(), tokenizer=tokenizer, name=name, revision=revision)


def autocast_type(settings: config.Model) -> torch.dtype | None:
    """The type that full weights are computed in; None for their own."""
    return torch.bfloat16 if settings.dtype == "bfloat16" and settings.lora.rank == 0 else None


def _find(path: str) -> tuple[Path | None, str]:
    """Folder of a model, None if it is on the hub, and its name."""
    if path == "tiny":
        folder = Path(str(resources.files("rlef") / "models" / "tiny"))
        return _whole(folder, "the bundled model 'tiny' is missing; reinstall rlef"), path
    if path == "smollm2":
        return _whole(smollm2_folder(), "smollm2 is not here yet: run `rlef model get smollm2`"), path
    folder = Path(path).expanduser()
    if folder.is_dir():
        if (folder / "adapter_config.json").is_file():
            raise ModelError(f"{path} holds an adapter only; merge it into its base model first")
        return _whole(folder, f"{path} is not a model folder: it has no config.json"), folder.resolve().name
    if HUB_ID.fullmatch(path):
        return None, path
    raise ModelError(f"there is no model folder {path}")


def _whole(folder: Path, otherwise: str) -> Path:
    if not (folder / "config.json").is_file():
        raise ModelError(otherwise)
    return folder


def _explain(path: str, folder: Path | None, error: Exception) -> str:
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    if folder is not None:
        return f"{path} can't be loaded: {line}"
    near = difflib.get_close_matches(path, NAMES, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{path!r} is no folder here, and the hub does not give it: {line}{hint}"


def _check(path: str, model: Any, tokenizer: Any, report: dict[str, Any]) -> None:
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModelError(f"{path} lacks weights: {missing[0]} and {len(missing) - 1} more")
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise ModelError(f"{path}: the tokenizer has {len(tokenizer)} ids, the model only {rows}")


def _provenance(folder: Path) -> str | None:
    try:
        revision = json.loads((folder / PROVENANCE).read_text())["revision"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(revision) if revision else None
