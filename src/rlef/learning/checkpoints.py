"""Checkpoints: ordinary model folders, plus what it takes to go on bit for bit.

    checkpoints/checkpoint-000010/
    ├── config.json, model.safetensors, tokenizer…   loads with ``from_pretrained``
    ├── exact/                 trainable tensors of policy and value network, float32
    ├── policy_optimizer.safetensors, value_optimizer.safetensors
    └── trainer_state.json     step and the learner's counters

A checkpoint is written under another name and renamed, so one that exists is whole.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from rlef.errors import CheckpointError
from rlef.learning.learner import Learner
from rlef.policy.networks import ActorCritic
from rlef.policy.tensors import load_optimizer, save_optimizer
from rlef.runs import Run

KEEP = 3
"""Checkpoints kept besides ``final``."""


def save_checkpoint(run: Run, step: int, networks: ActorCritic, learner: Learner) -> Path:
    """Write the state after ``step`` steps and drop the oldest beyond three."""
    target = run.path / "checkpoints" / f"checkpoint-{step:06d}"
    draft = target.with_name(f".draft-{step:06d}")
    shutil.rmtree(draft, ignore_errors=True)
    networks.save_policy(draft)
    networks.save_exact_state(draft / "exact")
    save_optimizer(draft / "policy_optimizer.safetensors", learner.policy_optimizer)
    if learner.value_optimizer is not None:
        save_optimizer(draft / "value_optimizer.safetensors", learner.value_optimizer)
    state = {"step": step, "learner": learner.counters()}
    (draft / "trainer_state.json").write_text(json.dumps(state, indent=2) + "\n")
    if target.exists():
        shutil.rmtree(target)
    draft.rename(target)
    for old in _all(run)[:-KEEP]:
        shutil.rmtree(old)
    return target


def latest_checkpoint(run: Run) -> Path | None:
    """The newest whole checkpoint, or None."""
    found = _all(run)
    return found[-1] if found else None


def latest_step(run: Run) -> int:
    """The number of steps that the newest whole checkpoint holds, 0 without one."""
    path = latest_checkpoint(run)
    return int(path.name.removeprefix("checkpoint-")) if path else 0


def restore_checkpoint(path: Path, networks: ActorCritic, learner: Learner) -> int:
    """Load a checkpoint; returns the number of steps it holds. Raises ``CheckpointError``."""
    try:
        state = json.loads((path / "trainer_state.json").read_text())
        step = int(state["step"])
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} has no usable trainer_state.json: {error}") from None
    networks.load_exact_state(path / "exact")
    load_optimizer(path / "policy_optimizer.safetensors", learner.policy_optimizer)
    if learner.value_optimizer is not None:
        load_optimizer(path / "value_optimizer.safetensors", learner.value_optimizer)
    learner.restore(state["learner"])
    return step


def _all(run: Run) -> list[Path]:
    return sorted((run.path / "checkpoints").glob("checkpoint-*"))
