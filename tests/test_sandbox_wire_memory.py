"""What the memory group's counter says is held against the run that it happened in."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest

from rlef.sandbox import RunLimits, Status, cgroups
from rlef.sandbox.profile import Profile
from rlef.sandbox.zygote import protocol
from rlef.sandbox.zygote.protocol import Kind
from wire_fakes import Client, Peer, boot

SEGV, KILL = 11, 9


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    """The counter of a group made of plain files; the slots' groups all read this one."""
    counter = tmp_path / "oom"
    counter.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    return counter


@pytest.fixture
def places(tmp_path: Path, counter: Path, monkeypatch: pytest.MonkeyPatch) -> cgroups.Places:
    for name in ("memory", "pids"):
        (tmp_path / name).mkdir()
    make = cgroups.Group.__init__

    def linked(self: cgroups.Group, places: cgroups.Places, number: int) -> None:
        make(self, places, number)
        (self._memory / "memory.oom_control").symlink_to(counter)

    monkeypatch.setattr(cgroups.Group, "__init__", linked)
    monkeypatch.setattr(cgroups.Group, "problem", lambda group, pid: "")  # plain files hold nobody
    return cgroups.Places(tmp_path / "memory", tmp_path / "pids", 1)


def kill(counter: Path, times: int) -> None:
    counter.write_text(f"oom_kill_disable 0\nunder_oom 0\noom_kill {times}\n")


def answering(status: int, peer: Peer) -> None:
    peer.receive()
    peer.send(peer.result(status=status))


def test_a_test_that_the_group_killed_is_a_memory_limit_once(places: cgroups.Places, counter: Path) -> None:
    def peer(peer: Peer) -> None:
        boot(peer)
        peer.receive()
        kill(counter, 1)
        peer.send(peer.result(status=KILL))
        for status in (SEGV, 1 << 8, 0):
            answering(status, peer)
        peer.receive()

    with Client(peer, places=places) as client:
        found = [client.run()[0] for _ in range(4)]  # type: ignore[index]
    assert [r.status for r in found] == [Status.MEMORY_LIMIT, Status.SIGNALLED, Status.EXITED, Status.EXITED]


def test_a_kill_of_the_test_after_it_is_not_held_against_a_test_that_crashed(
    places: cgroups.Places, counter: Path
) -> None:
    """Results come several in a message, when the next tests have run."""

    def peer(peer: Peer) -> None:
        boot(peer)
        peer.receive()
        kill(counter, 2)
        endings = [SEGV, KILL, 1 << 8, KILL]
        peer.send(b"".join(peer.result(index=k, status=status) for k, status in enumerate(endings)))
        peer.receive()

    with Client(peer, places=places) as client:
        found = client.run(4)
    killed = Status.MEMORY_LIMIT
    assert [r.status for r in found] == [Status.SIGNALLED, killed, Status.EXITED, killed]  # type: ignore[union-attr]


def test_a_kill_in_a_run_that_was_dropped_is_not_held_against_the_next(
    places: cgroups.Places, counter: Path
) -> None:
    busy = threading.Event()

    def peer(peer: Peer) -> None:
        boot(peer)
        peer.receive()
        kill(counter, 1)
        busy.set()
        stop = peer.receive()
        peer.send(protocol.STOP.pack(Kind.STOPPED, protocol.STOP.unpack(stop)[1]))
        answering(SEGV, peer)
        peer.receive()

    with Client(peer, places=places) as client:
        job, _ = client.submit()
        assert busy.wait(20)
        client.supervisor.cancel(job)
        (result,) = client.run()  # type: ignore[misc]
        assert (result.status, result.signal) == (Status.SIGNALLED, SEGV)


def test_a_kill_that_made_a_compiler_fail_in_its_own_way_is_a_memory_limit(
    places: cgroups.Places, counter: Path
) -> None:
    """A compiler whose child was killed ends with an ordinary exit code."""

    def peer(peer: Peer) -> None:
        boot(peer)
        peer.receive()
        kill(counter, 3)
        peer.send(peer.result(status=1 << 8))
        answering(1 << 8, peer)
        peer.receive()

    compiler = Profile(name="compiler", processes=True)
    with Client(peer, places=places, profile=compiler) as client:
        found = [client.run()[0] for _ in range(2)]  # type: ignore[index]
    assert [r.status for r in found] == [Status.MEMORY_LIMIT, Status.EXITED]


@pytest.mark.parametrize(
    "limits",
    [
        {"cpu_s": 0},
        {"cpu_s": -1},
        {"cpu_s": 1e30},
        {"cpu_s": math.nan},
        {"wall_s": math.inf},
        {"wall_s": 0},
        {"memory_bytes": 0},
        {"memory_bytes": 2**70},
        {"output_bytes": -1},
        {"stderr_bytes": -1},
    ],
    ids=str,
)
def test_limits_that_limit_nothing_are_refused_before_they_reach_a_slot(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="limits must be positive"):
        RunLimits(**limits)  # type: ignore[arg-type]
