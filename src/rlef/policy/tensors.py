"""Tensors and optimiser state on disk: safetensors with a JSON note, never pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from rlef.errors import CheckpointError

Named = Iterable[tuple[str, nn.Parameter]]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], note: Any = None) -> Path:
    """Write tensors, and a note that JSON can hold, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(plain, draft, metadata={"rlef": json.dumps(note)})
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """Tensors and note of a file. Raises ``CheckpointError`` if it is missing or torn."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            return tensors, json.loads((file.metadata() or {}).get("rlef", "null"))
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} can't be read: {error}") from None


def restore(path: Path, parameters: Named) -> None:
    """Copy a file's tensors into parameters of the same names, bit for bit.

    Raises ``CheckpointError``, having changed nothing, unless names, shapes and types agree.
    """
    tensors, _ = read_tensors(path)
    wanted = dict(parameters)
    odd = sorted(tensors.keys() ^ wanted.keys())
    odd += [name for name in wanted if name in tensors and not _alike(tensors[name], wanted[name])]
    if odd:
        raise CheckpointError(f"{path} does not fit this model: {odd[0]!r} and {len(odd) - 1} more differ")
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(tensors[name])


def save_optimizer(path: Path, optimizer: torch.optim.Optimizer) -> Path:
    """Write an optimiser's state: its tensors, and the rest as JSON beside them."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for index, values in state["state"].items():
        plain[str(index)] = {}
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{key}"] = value
            else:
                plain[str(index)][key] = value
    return write_tensors(path, tensors, {"state": plain, "param_groups": state["param_groups"]})


def load_optimizer(path: Path, optimizer: torch.optim.Optimizer) -> None:
    """Restore what ``save_optimizer`` wrote, bit for bit.

    Raises ``CheckpointError`` unless it belongs to the same parameters in the same groups.
    """
    tensors, note = read_tensors(path)
    here = optimizer.state_dict()["param_groups"]
    if [group["params"] for group in note["param_groups"]] != [group["params"] for group in here]:
        raise CheckpointError(f"{path} belongs to an optimiser of other parameters")
    state: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in note["state"].items()}
    flat = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        if tensor.dim() and tensor.shape != flat[int(index)].shape:
            raise CheckpointError(f"{path} belongs to an optimiser of parameters of other shapes")
        state[int(index)][key] = tensor
    groups = [
        # JSON has no tuples; betas is one
        {key: tuple(value) if isinstance(old.get(key), tuple) else value for key, value in group.items()}
        for group, old in zip(note["param_groups"], here, strict=True)
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype
