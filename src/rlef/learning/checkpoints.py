"""Checkpoints: ordinary model folders, plus what it takes to go on bit for bit.

    checkpoints/checkpoint-000010/
    ├── config.json, model.safetensors, tokenizer…   loads with ``from_pretrained``
    ├── exact/                 trainable tensors of policy and value network, float32
    ├── policy_optimizer.safetensors, value_optimizer.safetensors
    └── trainer_state.json     step and the learner's counters

A checkpoint is written under another name, brought to the disk and renamed, so one that
exists is whole, also after a power cut or on a disk that filled up.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from rlef.errors import CheckpointError, RunError
from rlef.learning.learner import Learner
from rlef.policy.actor_critic import ActorCritic
from rlef.policy.tensors import load_optimizer, save_optimizer
from rlef.runs import Run

KEEP = 3
"""Checkpoints kept besides ``final``."""


def save_checkpoint(run: Run, step: int, networks: ActorCritic, learner: Learner) -> Path:
    """Write the state after ``step`` steps and drop the oldest beyond three.

    Raises ``RunError`` if the disk is full; the checkpoints before are as they were.
    """
    with _whole(run, f"checkpoint-{step:06d}") as draft:
        networks.save_policy(draft)
        networks.save_exact_state(draft / "exact")
        save_optimizer(draft / "policy_optimizer.safetensors", learner.policy_optimizer)
        if learner.value_optimizer is not None:
            save_optimizer(draft / "value_optimizer.safetensors", learner.value_optimizer)
        state = {"step": step, "learner": learner.counters()}
        (draft / "trainer_state.json").write_text(json.dumps(state, indent=2) + "\n")
    for old in _all(run)[:-KEEP]:
        shutil.rmtree(old)
    return run.path / "checkpoints" / f"checkpoint-{step:06d}"


def save_final(run: Run, networks: ActorCritic) -> Path:
    """Write what the run has learnt to ``final``: policy and value network, and nothing to go on from."""
    with _whole(run, "final") as draft:
        networks.save_policy(draft)
        networks.save_value(draft)
    return run.path / "checkpoints" / "final"


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


@contextlib.contextmanager
def _whole(run: Run, name: str) -> Iterator[Path]:
    """A folder to fill, which then takes its place under ``checkpoints/`` or leaves no trace."""
    target = run.path / "checkpoints" / name
    for left in target.parent.glob(".draft-*"):  # of a job that was killed while it wrote one
        shutil.rmtree(left)
    draft = target.with_name(f".draft-{name}")
    try:
        draft.mkdir(parents=True)
        yield draft
        # Only then the rename: a file system may bring the new name to the disk before the bytes.
        for path in (*draft.rglob("*"), draft):
            _sync(path)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        if _disk_full(error):
            raise RunError(
                f"the disk is full, {target} was not written; the checkpoints before it are whole: make "
                f"room, then go on with `rlef train --resume {shlex.quote(str(run.path))}`"
            ) from error
        raise
    if target.exists():
        shutil.rmtree(target)
    draft.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    """Bring a file's bytes, or the names in a folder, from memory to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _disk_full(error: BaseException) -> bool:
    """Safetensors and tokenizers raise errors of their own, with the system's text in them."""
    full = (errno.ENOSPC, errno.EDQUOT)
    texts = [os.strerror(number) for number in full]
    return getattr(error, "errno", None) in full or any(text in str(error) for text in texts)


def _all(run: Run) -> list[Path]:
    return sorted((run.path / "checkpoints").glob("checkpoint-*"))
