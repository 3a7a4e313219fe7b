"""A memory and pids cgroup for each slot (rung L3), on cgroup v1 and v2.

The group holds the slot's zygote, template and test, and the pages of their output files.
It caps what the host can lose; whether a program passed its own limit is read from its
peak resident set. Groups left by a trainer that was killed are swept at the next start.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

_ALLOWANCE = 48 * 2**20
"""Bytes for the zygote, the template and the kernel's own tables."""
_TASKS = 160
_REAP_S = 2.0
_NAME = re.compile(r"rlef-(\d+)-\d+")


@dataclass(frozen=True)
class Places:
    """Parent directories in which slots' groups are made."""

    memory: Path
    pids: Path
    version: int


def find(proc: Path = Path("/proc/self")) -> Places | str:
    """Where this process may make groups, or in one line why it can't."""
    mounts = _mounts((proc / "mounts").read_text())
    paths = _paths((proc / "cgroup").read_text())
    if "memory" in mounts and "pids" in mounts:
        v1 = Places(_below(mounts, paths, "memory"), _below(mounts, paths, "pids"), 1)
        return _usable(v1)
    if "" not in mounts:
        return "no cgroup file system is mounted"
    home = _below(mounts, paths, "")
    missing = {"memory", "pids"} - set(_read(home / "cgroup.subtree_control").split())
    if missing:
        try:
            (home / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(missing)))
        except OSError as error:
            return f"{home} does not delegate {' and '.join(sorted(missing))} ({error.strerror})"
    return _usable(Places(home, home, 2))


def _usable(places: Places) -> Places | str:
    for parent in {places.memory, places.pids}:
        trial = parent / f"rlef-{os.getpid()}-0"
        try:
            trial.mkdir()
            trial.rmdir()
        except OSError as error:
            return f"can't make a group in {parent} ({error.strerror})"
    return places


def _mounts(text: str) -> dict[str, Path]:
    """Controller to mount point; the unified hierarchy is ''."""
    found: dict[str, Path] = {}
    for line in text.splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2":
            found[""] = Path(place)
        elif kind == "cgroup":
            found.update({name: Path(place) for name in options.split(",")})
    return found


def _paths(text: str) -> dict[str, str]:
    """Controller to this process's group."""
    rows = [line.split(":", 2) for line in text.splitlines()]
    return {name: path for _, names, path in rows for name in names.split(",")}


def _below(mounts: dict[str, Path], paths: dict[str, str], controller: str) -> Path:
    # In a container without a cgroup namespace the path may lie outside what is mounted.
    own = mounts[controller] / paths.get(controller, "/").lstrip("/")
    return own if own.is_dir() else mounts[controller]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def sweep(places: Places) -> None:
    """Remove groups of trainers that are gone."""
    for parent in {places.memory, places.pids}:
        for group in parent.glob("rlef-*-*"):
            match = _NAME.fullmatch(group.name)
            if match and not Path("/proc", match[1]).exists():
                with contextlib.suppress(OSError):
                    group.rmdir()


class Group:
    """The group of one slot. Operations raise ``OSError``."""

    def __init__(self, places: Places, number: int) -> None:
        self._version = places.version
        name = f"rlef-{os.getpid()}-{number}"
        self._memory, self._pids = places.memory / name, places.pids / name
        self._limit = 2**63  # none yet
        self._kills = 0
        try:
            for group in (self._memory, self._pids):
                group.mkdir(exist_ok=True)
            (self._pids / "pids.max").write_text(str(_TASKS))
            if self._version == 2:
                self._write_if_there("memory.swap.max", "0")
        except OSError:
            for group in {self._memory, self._pids}:
                with contextlib.suppress(OSError):
                    group.rmdir()
            raise

    def attach(self, pid: int) -> None:
        """Move a process in; its children follow."""
        for group in {self._memory, self._pids}:
            (group / "cgroup.procs").write_text(str(pid))

    def limit(self, memory_bytes: int) -> None:
        """Cap the group for a program that may use ``memory_bytes``."""
        total = memory_bytes + _ALLOWANCE
        if total == self._limit:
            return
        if self._version == 2:
            (self._memory / "memory.max").write_text(str(total))
        else:
            self._limit_v1(total)
        self._limit = total

    def _limit_v1(self, total: int) -> None:
        # The kernel demands memory <= memory and swap at every moment: raise from the outside in.
        names = ["memory.memsw.limit_in_bytes", "memory.limit_in_bytes"]
        for name in names if total > self._limit else reversed(names):
            self._write_if_there(name, str(total))

    def _write_if_there(self, name: str, text: str) -> None:
        if (self._memory / name).exists():
            (self._memory / name).write_text(text)

    def killed(self) -> bool:
        """True if the group's memory ran out and killed something not asked about so far.

        Each kill is told once, so that of several tests that were killed each gets its own.
        """
        before, self._kills = self._kills, min(self._kills + 1, self._kills_in_all())
        return self._kills > before

    def forget_kills(self) -> None:
        """Tell no more of the kills so far."""
        self._kills = self._kills_in_all()

    def _kills_in_all(self) -> int:
        name = "memory.events" if self._version == 2 else "memory.oom_control"
        counts = dict(line.split()[:2] for line in (self._memory / name).read_text().splitlines())
        return int(counts.get("oom_kill", 0))

    def remove(self) -> None:
        """Remove the group. Its processes must be dead; waits a little until they are reaped."""
        for group in {self._memory, self._pids}:
            end = time.monotonic() + _REAP_S
            while not _removed(group) and time.monotonic() < end:
                time.sleep(0.005)


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        raise
    return True
