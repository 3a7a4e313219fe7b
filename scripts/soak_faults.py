"""Faults put into a sandbox while it works.

The seam: the supervisor's thread, and it alone, reaches the kernel through the names in `SEAMS`.
`Faults.installed` replaces them in this process by wrappers that, when armed, fail once in that
thread; all other threads pass through. Besides, processes of slots are killed or stopped for a
while from outside, and the number of descriptors that this process may have is lowered for
moments, so that it really runs out of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import resource
import selectors
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

SEAMS: dict[str, tuple[Any, str]] = {
    "memory file": (os, "memfd_create"),
    "write": (os, "write"),
    "open": (os, "open"),
    "read": (os, "pread"),
    "seal": (fcntl, "fcntl"),
    "send descriptors": (socket, "send_fds"),
    "receive": (socket.socket, "recv"),
    "socket pair": (socket, "socketpair"),
    "start a process": (subprocess, "Popen"),
    "hold a process": (os, "pidfd_open"),
    "watch a socket": (selectors.DefaultSelector, "register"),
    "make a cgroup": (Path, "mkdir"),
    "write to a cgroup": (Path, "write_text"),
    "read a cgroup": (Path, "read_text"),
}
"""What may fail to the place in the standard library where it is called."""

ERRORS = (errno.ENOSPC, errno.EMFILE, errno.ENOMEM)
_THREAD = "rlef-sandbox"


def below(pid: int) -> dict[int, int]:
    """Processes below ``pid``, zombies included: each with its parent."""
    found: dict[int, int] = {}
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in map(int, (task / "children").read_text().split()):
                found |= {child: pid, **below(child)}
    return found


class Faults:
    """Puts faults in, and counts them."""

    def __init__(self, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._random = Random(f"faults {seed}")
        self._armed: dict[str, int] = {}
        self._lock = threading.Lock()
        self._ways = [self.break_call] * 5 + [self.kill] * 4 + [self.pause, self.starve]

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Wrap every seam for as long as this holds."""
        with contextlib.ExitStack() as stack:
            for name, (place, attribute) in SEAMS.items():
                wrapper = self._wrapped(name, getattr(place, attribute))
                stack.enter_context(mock.patch.object(place, attribute, wrapper))
            yield

    def _wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if threading.current_thread().name == _THREAD:
                with self._lock:
                    number = self._armed.pop(name, 0)
                if number:
                    self.counts[f"{errno.errorcode[number]} at: {name}"] += 1
                    raise OSError(number, os.strerror(number))
            return function(*args, **options)

        return call

    async def rain(self, every_s: float) -> None:
        """One fault after another, ``every_s`` seconds apart on average, until cancelled."""
        while True:
            await asyncio.sleep(self._random.expovariate(1 / every_s))
            with contextlib.suppress(OSError):  # no descriptors left: the fault hits us, too
                await self._random.choice(self._ways)()

    async def break_call(self) -> None:
        """Let a system call of the supervisor's fail when it comes next."""
        name = self._random.choice(list(SEAMS))
        with self._lock:
            self._armed = {name: self._random.choice(ERRORS)}

    async def kill(self) -> None:
        """Kill a launcher, a zygote, a template or a test."""
        await self._signal(signal.SIGKILL, "kill")

    async def pause(self) -> None:
        """Stop a process of a slot for a while."""
        pid = await self._signal(signal.SIGSTOP, "stop")
        try:
            await asyncio.sleep(self._random.uniform(0.05, 0.5))
        finally:
            with contextlib.suppress(ProcessLookupError):
                if pid:
                    os.kill(pid, signal.SIGCONT)

    async def _signal(self, number: signal.Signals, word: str) -> int:
        parents = below(os.getpid())
        # By depth, or tests, which are rare at any moment, would hardly ever be hit.
        depths: dict[int, list[int]] = {}
        for pid in parents:
            depths.setdefault(_depth(pid, parents), []).append(pid)
        if not depths:
            return 0
        depth = self._random.choice(list(depths))
        pid = self._random.choice(depths[depth])
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            self.counts[
                f"{word}: {('launcher', 'zygote', 'test or template', 'test of a template')[depth]}"
            ] += 1
        return pid

    async def starve(self) -> None:
        """Allow hardly more descriptors than there are, for a moment."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        held = max(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208 (without a descriptor to spare)
        resource.setrlimit(resource.RLIMIT_NOFILE, (held + self._random.randrange(8), hard))
        try:
            await asyncio.sleep(self._random.uniform(0.05, 1.0))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.counts["few descriptors"] += 1


def _depth(pid: int, parents: dict[int, int]) -> int:
    depth = 0
    while parents[pid] in parents:
        pid, depth = parents[pid], depth + 1
    return min(depth, 3)
