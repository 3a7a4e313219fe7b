"""Checkpoints are whole or absent: after a kill, after a power cut, on a disk that is full."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from policy_models import random_llama, word_tokenizer
from rlef.config import Algorithm, Lora, Reward
from rlef.errors import RunError
from rlef.learning.checkpoints import (
    latest_checkpoint,
    latest_step,
    restore_checkpoint,
    save_checkpoint,
    save_final,
)
from rlef.learning.learner import Learner
from rlef.policy.actor_critic import ActorCritic
from rlef.policy.networks import build_actor_critic
from rlef.runs import Run


def trained(seed: int = 0) -> tuple[ActorCritic, Learner]:
    """Networks and optimisers that have moved."""
    networks = build_actor_critic(random_llama(seed), word_tokenizer(), lora=Lora(), seed=seed)
    learner = Learner(networks, Algorithm(), Reward())
    assert learner.value_optimizer is not None
    for optimizer in (learner.policy_optimizer, learner.value_optimizer):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.full_like(parameter, 0.1 * (seed + 1))
        optimizer.step()
    learner.restore({"step": seed, "updates": 4 * seed})
    return networks, learner


def state(networks: ActorCritic) -> list[torch.Tensor]:
    named = networks.policy_parameters() + networks.value_parameters()
    return [parameter.detach().clone() for _, parameter in named]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_checkpoint_brings_back_what_was_saved_and_the_last_three_are_kept(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run")
    assert latest_checkpoint(run) is None and latest_step(run) == 0
    for step in range(1, 6):
        networks, learner = trained(step)
        save_checkpoint(run, step, networks, learner)
    assert sorted(path.name[-1] for path in (run.path / "checkpoints").iterdir()) == ["3", "4", "5"]
    other, fresh = trained(0)
    path = latest_checkpoint(run)
    assert path is not None and latest_step(run) == restore_checkpoint(path, other, fresh) == 5
    assert same(state(other), state(networks)) and fresh.counters() == learner.counters()


@pytest.mark.parametrize("final", [False, True])
def test_every_byte_and_every_name_is_on_the_disk_before_the_rename_and_the_rename_after(
    final: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.create(tmp_path / "run")
    networks, learner = trained()
    synced: dict[Path, int] = {}
    renamed: list[tuple[Path, dict[Path, int]]] = []
    fsync, rename = os.fsync, Path.rename

    def recording_fsync(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        synced[path] = _size(path)
        fsync(handle)

    def recording_rename(path: Path, target: Path) -> Path:
        renamed.append((path, dict(synced)))
        synced.clear()
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(Path, "rename", recording_rename)
    path = save_final(run, networks) if final else save_checkpoint(run, 7, networks, learner)
    (draft, before), after = renamed[-1], synced
    written = {draft / inner.relative_to(path): _size(inner) for inner in path.rglob("*")}
    assert len(written) > 5
    assert {inner: before.get(inner) for inner in written} == written
    assert draft in before and path.parent in after


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def test_what_a_killed_job_left_half_written_is_no_checkpoint_and_goes_away(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run")
    networks, learner = trained()
    save_checkpoint(run, 1, networks, learner)
    draft = run.path / "checkpoints" / ".draft-checkpoint-000002"
    draft.mkdir()
    (draft / "trainer_state.json").write_text("{")
    assert latest_step(run) == 1
    save_checkpoint(run, 3, networks, learner)
    assert latest_step(run) == 3 and not draft.exists()


def check_full(run: Run, networks: ActorCritic, learner: Learner) -> None:
    """A checkpoint that does not fit is refused in one line and leaves the one before."""
    first, kept = trained()
    with pytest.raises(RunError) as caught:
        save_checkpoint(run, 2, networks, learner)
    line = str(caught.value)
    assert "the disk is full" in line and "\n" not in line and caught.value.exit_code == 2
    assert f"rlef train --resume {run.path}" in line
    assert [path.name for path in (run.path / "checkpoints").iterdir()] == ["checkpoint-000001"]
    path = latest_checkpoint(run)
    assert path is not None
    other, fresh = trained(5)
    assert restore_checkpoint(path, other, fresh) == 1
    assert same(state(other), state(first)) and fresh.counters() == kept.counters()


@pytest.mark.parametrize("calls", [0, 1, 5, 12])
def test_a_disk_that_is_full_ends_in_one_line(
    calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.create(tmp_path / "run")
    save_checkpoint(run, 1, *trained())
    left, fsync = calls, os.fsync

    def full(handle: int) -> None:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left -= 1
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    check_full(run, *trained(1))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    try:
        done = subprocess.run(["mount", *options], capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no mount here: {error}")
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_real_disk_may_fill_up_at_any_file_of_a_checkpoint(small_disk: Path) -> None:
    run = Run.create(small_disk / "run")
    networks, learner = trained(1)
    save_checkpoint(run, 1, *trained())
    filler = small_disk / "filler"
    size = sum(path.stat().st_size for path in (run.path / "checkpoints").rglob("*") if path.is_file())
    for room in range(0, size, size // 12):
        filler.unlink(missing_ok=True)
        free = os.statvfs(small_disk)
        filler.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - room)))
        check_full(run, networks, learner)
    filler.unlink()
    save_checkpoint(run, 2, networks, learner)
    assert latest_step(run) == 2
