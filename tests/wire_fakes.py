"""Slots without processes: the other end of a slot's socket is a thread that follows a script.

`Slots.installed` takes the place of ``subprocess`` in ``rlef.sandbox.slot`` and leaves the
canaries out. No program is ever run: an honest peer writes what it is told to the test's stdout.
"""

from __future__ import annotations

import array
import contextlib
import os
import queue
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rlef.sandbox import RunLimits, RunResult, cgroups, supervisor
from rlef.sandbox import slot as slot_module
from rlef.sandbox.job import Delivery, Job
from rlef.sandbox.profile import PYTHON, Profile
from rlef.sandbox.supervisor import Supervisor
from rlef.sandbox.zygote import protocol
from rlef.sandbox.zygote.protocol import Kind, Reason, Stage

ANSWER = b"42\n"
PATIENCE_S = 20.0
"""Most that any answer may take; only a failing test waits that long."""


class HangUp(Exception):
    """The peer closes its end."""


class Peer:
    """One end of a slot's socket, as a zygote sees it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.run = 0
        self.fds: list[int] = []

    def receive(self) -> bytes:
        """The next message; its descriptors are in ``fds``. Raises ``HangUp`` at the end."""
        self.drop()
        data, ancillary, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(4 * 64))
        for _, _, payload in ancillary:
            found = array.array("i")
            found.frombytes(payload)
            self.fds += found
        if not data:
            raise HangUp
        if data[0] == Kind.RUN:
            self.run, self.total = protocol.RUN.unpack(data)[1:3]
        return data

    def send(self, data: bytes, fds: tuple[int, ...] = ()) -> None:
        """Send one message; a supervisor that has hung up is no concern of ours."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self.sock, [data], list(fds))

    def result(self, **changes: int) -> bytes:
        """An honest RESULT of the first test, but for ``changes``."""
        fields = {
            "kind": Kind.RESULT,
            "run": self.run,
            "index": 0,
            "stage": Stage.RUNNING,
            "reason": Reason.NONE,
            "status": 0,
            "cpu_ns": 1_000_000,
            "wall_ns": 2_000_000,
            "peak": 0,
        }
        return protocol.RESULT.pack(*(fields | changes).values())

    def drop(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()


Behaviour = Callable[[Peer], None]


def boot(peer: Peer) -> None:
    """Come up as a zygote does."""
    peer.receive()
    peer.send(b"ready 1000000 1000000")


def serve(peer: Peer) -> None:
    """Answer every run of one test with `ANSWER`, and every STOP."""
    while True:
        data = peer.receive()
        if data[0] == Kind.RUN:
            os.write(peer.fds[2], ANSWER)
            peer.send(peer.result())
        elif data[0] == Kind.STOP:
            peer.send(protocol.STOP.pack(Kind.STOPPED, protocol.STOP.unpack(data)[1]))


def honest(peer: Peer) -> None:
    """A zygote without fault."""
    boot(peer)
    serve(peer)


class _Process:
    """What a slot wants of ``subprocess.Popen``, with a thread in place of a process."""

    pid = 2**22 + 1  # beyond every process

    def __init__(self, behaviour: Behaviour, fd: int) -> None:
        self._sock = socket.socket(fileno=os.dup(fd))
        self._thread = threading.Thread(target=self._follow, args=[behaviour], daemon=True)
        self._thread.start()

    def _follow(self, behaviour: Behaviour) -> None:
        peer = Peer(self._sock)
        with self._sock:
            with contextlib.suppress(HangUp, ConnectionResetError, OSError):
                behaviour(peer)
            peer.drop()

    def kill(self) -> None:
        """Nothing to do: the supervisor has closed its end."""

    def wait(self, timeout: float | None = None) -> int:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "a scripted peer does not end"
        return 0


class Slots:
    """The behaviours of the slots to come; when none is left they are `honest`."""

    def __init__(self) -> None:
        self.next: queue.SimpleQueue[Behaviour] = queue.SimpleQueue()
        self.started = 0

    def _popen(self, command: list[str], *, pass_fds: list[int], **_: Any) -> _Process:
        self.started += 1
        behaviour = honest if self.next.empty() else self.next.get()
        return _Process(behaviour, pass_fds[0])

    @contextlib.contextmanager
    def installed(self) -> Iterator[Slots]:
        """In place of processes, for as long as this holds."""
        fake = SimpleNamespace(
            Popen=self._popen, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(slot_module, "subprocess", fake)
            patch.setattr(supervisor, "canaries_for", lambda *_: ())
            yield self


class Client:
    """A supervisor with one place, asked for one run at a time."""

    def __init__(
        self, *behaviours: Behaviour, places: cgroups.Places | None = None, profile: Profile = PYTHON
    ) -> None:
        self.behaviours, self.places, self.profile = behaviours, places, profile
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Client:
        self.slots = self._stack.enter_context(Slots().installed())
        for behaviour in self.behaviours:
            self.slots.next.put(behaviour)
        self.supervisor = Supervisor([0], recycle=1000, places=self.places, home=self.profile)
        self.supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.supervisor.close()
        self.supervisor.join()
        self._stack.close()

    def submit(self, count: int = 1, **limits: float) -> tuple[Job, queue.SimpleQueue[Delivery]]:
        arrived: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        job = Job(b"1", [b""] * count, RunLimits(**limits), arrived.put, self.profile)  # type: ignore[arg-type]
        self.supervisor.submit(job)
        return job, arrived

    def run(self, count: int = 1, **limits: float) -> list[RunResult] | Exception:
        """All results of a run, or the exception that ended it. Raises ``queue.Empty`` if it hangs."""
        _, arrived = self.submit(count, **limits)
        results: list[RunResult] = []
        while True:
            item = arrived.get(timeout=PATIENCE_S)
            if item is None:
                return results
            if isinstance(item, Exception):
                return item
            results.append(item)

    def works(self) -> bool:
        """True if an ordinary run gets its ordinary result."""
        results = self.run()
        return isinstance(results, list) and [r.stdout for r in results] == [ANSWER]


def descriptors() -> int:
    """Open descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))
