"""A hostile zygote: whatever it sends, the supervisor answers with an error and a fresh slot."""

from __future__ import annotations

import json
import os
import queue
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlef.errors import SandboxError
from rlef.sandbox import RunLimits, RunResult, Status, bundle, slot
from rlef.sandbox.job import Job
from rlef.sandbox.zygote import protocol
from rlef.sandbox.zygote.protocol import Kind, Reason, Stage
from wire_fakes import ANSWER, Client, HangUp, Peer, boot, descriptors, honest, serve

FUZZ = settings(
    deadline=None,
    derandomize=True,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
RESULT = protocol.RESULT


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No descriptor and no thread more than before, and no thread that ended in an exception."""
    before, threads = descriptors(), threading.active_count()
    yield
    assert (descriptors(), threading.active_count()) == (before, threads)


def is_a_result(message: bytes, run: int) -> bool:
    """True for what a zygote may say about the only test of ``run``. An oracle of its own."""
    if len(message) != 1 + 4 + 4 + 1 + 1 + 4 + 8 + 8 + 8:
        return False
    kind, number, index, stage, reason, status, *sizes = struct.unpack("=BIIBBiqqq", message)
    exited = status & 0x7F == 0 and 0 <= status <= 0xFF00 and status & 0xFF == 0
    signalled = 0 < status & 0x7F < 0x7F and 0 < status <= 0xFF
    return (
        kind in (Kind.RESULT, Kind.FAILED)
        and (number, index) == (run, 0)
        and stage in list(Stage)
        and reason in list(Reason)
        and (exited or signalled)
        and min(sizes) >= 0
    )


FIELDS = st.tuples(
    st.sampled_from([*Kind, 0, 7, 255]),
    st.sampled_from([0, 1, 2, 2**31, 2**32 - 1]),
    st.sampled_from([0, 1, 2**32 - 1]),
    st.integers(0, 8),
    st.integers(0, 8),
    st.one_of(st.sampled_from([0, 9, 256, 0x7F, 0x137F, 0xFFFF, -1]), st.integers(-(2**31), 2**31 - 1)),
    *[st.one_of(st.sampled_from([0, -1, 2**63 - 1, -(2**63)]), st.integers(0, 10**12))] * 3,
).map(lambda fields: RESULT.pack(*fields))
"""RESULT messages of the right size, most of them wrong in some field."""
BOOT_LIKE = st.sampled_from(
    [
        b"ready 1 1",
        b"ready",
        b"ready x y",
        b"ready 1 1\nno tab",
        b"missing",
        b"missing\nlandlock\tgone",
        b"zygote",
        b"zygote x",
        b"zygote 0",
        b"zygote -1",
        b"zygote 99999999999999999999",
        b"zygote 4194304",
        b"\xff\xfe",
        b"\n",
        b" ",
        b"ready " + b"9" * 3000,
        b"ready " + b"9" * 5000 + b" 1",
    ]
)
MESSAGES = st.one_of(st.binary(min_size=1, max_size=80), FIELDS, BOOT_LIKE, st.just(b"x" * 5000))
HANG_UP = None
GARBAGE = st.lists(st.one_of(MESSAGES, st.just(HANG_UP)), min_size=1, max_size=3)


def babble(peer: Peer, messages: list[bytes | None], *, fds: bool = False) -> None:
    """Send garbage, with descriptors if asked to; None closes the socket."""
    held = tuple(os.dup(0) for _ in range(3)) if fds else ()
    try:
        for message in messages:
            if message is HANG_UP:
                raise HangUp
            peer.send(message, held)
    finally:
        for fd in held:
            os.close(fd)


@FUZZ
@given(GARBAGE, st.booleans())
def test_garbage_in_place_of_a_result_is_an_error_and_the_next_slot_works(
    garbage: list[bytes | None], fds: bool
) -> None:
    runs: list[int] = []

    def hostile(peer: Peer) -> None:
        boot(peer)
        peer.receive()
        runs.append(peer.run)
        babble(peer, garbage, fds=fds)
        raise HangUp

    with Client(hostile) as client:
        outcome = client.run()
        first = garbage[0]
        if first is HANG_UP or not is_a_result(first, runs[0]):
            stale = first is not HANG_UP and len(first) == RESULT.size
            late = [m for m in garbage[1:] if m and is_a_result(m, runs[0])]
            assert isinstance(outcome, SandboxError) or (stale and late), outcome
        elif isinstance(outcome, list):
            assert [type(result) for result in outcome] == [RunResult]
        assert client.works()


WRONG = {
    "too short": lambda peer: peer.result()[:-1],
    "too long": lambda peer: peer.result() + b"\0",
    "no message of ours": lambda peer: b"hello",
    "a kind that is none": lambda peer: peer.result(kind=9),
    "a kind that supervisors send": lambda peer: peer.result(kind=Kind.RUN),
    "an answer to no STOP": lambda peer: protocol.STOP.pack(Kind.STOPPED, peer.run),
    "another test": lambda peer: peer.result(index=1),
    "a run to come": lambda peer: peer.result(run=peer.run + 1),
    "a stage that is none": lambda peer: peer.result(stage=4),
    "a reason that is none": lambda peer: peer.result(reason=3),
    "stopped by a tracer": lambda peer: peer.result(status=0x137F),
    "a negative status": lambda peer: peer.result(status=-1),
    "a status of no process": lambda peer: peer.result(status=0x10000),
    "negative CPU time": lambda peer: peer.result(cpu_ns=-1),
    "negative wall time": lambda peer: peer.result(wall_ns=-1),
    "negative memory": lambda peer: peer.result(peak=-1),
    "the set-up": lambda peer: peer.result(stage=Stage.SETUP),
    "a failure": lambda peer: peer.result(kind=Kind.FAILED),
    "a boot message": lambda peer: b"ready 1 1",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_result_wrong_in_one_field_is_an_error_and_no_verdict(name: str) -> None:
    def hostile(peer: Peer) -> None:
        boot(peer)
        peer.receive()
        os.write(peer.fds[2], ANSWER)
        peer.send(WRONG[name](peer))
        peer.receive()

    with Client(hostile) as client:
        assert isinstance(client.run(), SandboxError)
        assert client.works()
        assert client.slots.started == 2


def test_more_results_than_tests_are_no_results_of_the_next_run() -> None:
    def hostile(peer: Peer) -> None:
        boot(peer)
        peer.receive()
        os.write(peer.fds[2], b"first")
        for _ in range(50):
            peer.send(peer.result())
        serve(peer)

    with Client(hostile) as client:
        results = client.run()
        assert isinstance(results, list) and [r.stdout for r in results] == [b"first"]
        outcome = client.run()
        assert isinstance(outcome, SandboxError) or [r.stdout for r in outcome] == [ANSWER]
        assert client.works()


@FUZZ
@given(GARBAGE, st.booleans())
def test_garbage_between_runs_does_not_become_a_result(garbage: list[bytes | None], fds: bool) -> None:
    def hostile(peer: Peer) -> None:
        boot(peer)
        peer.receive()
        os.write(peer.fds[2], ANSWER)
        peer.send(peer.result())
        babble(peer, garbage, fds=fds)
        serve(peer)

    with Client(hostile) as client:
        assert client.works()
        outcome = client.run()
        assert isinstance(outcome, SandboxError) or [r.stdout for r in outcome] in ([ANSWER], [b""])
        assert client.works()


@FUZZ
@given(GARBAGE, st.booleans())
def test_garbage_at_boot_is_a_slot_that_did_not_come_up(garbage: list[bytes | None], fds: bool) -> None:
    def hostile(peer: Peer) -> None:
        peer.receive()
        babble(peer, garbage, fds=fds)
        raise HangUp

    def dying(peer: Peer) -> None:
        boot(peer)
        peer.receive()
        raise HangUp

    with Client(hostile) as client:
        ready = [m for m in garbage if m is not None and m.startswith(b"ready")]
        try:
            client.supervisor.opened.result(timeout=20)
        except SandboxError:
            assert isinstance(client.run(), SandboxError), "not opened, so closed"
        else:
            assert ready
    with Client(dying, hostile) as client:
        assert isinstance(client.run(), SandboxError)
        while isinstance(outcome := client.run(), SandboxError):
            assert ready  # it came up as far as one can see, and then the run failed
        assert [r.stdout for r in outcome] == [ANSWER]


@FUZZ
@given(GARBAGE, st.booleans())
def test_garbage_in_answer_to_a_stop_does_not_hang(garbage: list[bytes | None], fds: bool) -> None:
    busy = threading.Event()

    def hostile(peer: Peer) -> None:
        boot(peer)
        peer.receive()
        busy.set()
        peer.receive()
        babble(peer, garbage, fds=fds)
        raise HangUp

    with Client(hostile) as client:
        job, arrived = client.submit()
        assert busy.wait(20)
        client.supervisor.cancel(job)
        outcome = client.run()
        assert isinstance(outcome, SandboxError) or [r.stdout for r in outcome] == [ANSWER]
        assert client.works()
        assert arrived.empty(), "nothing is delivered to a job that was dropped"


BUNDLES = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda head, body: json.dumps(head).encode() + b"\n" + body,
        st.recursive(st.none() | st.integers(-9, 99) | st.text(max_size=3), st.lists, max_leaves=12),
        st.binary(max_size=40),
    ),
    st.just(b"[" * 100_000),
    st.just(b'{"a": 1}\n'),
)


@FUZZ
@given(BUNDLES)
def test_a_torn_bundle_of_files_is_an_error_and_nothing_else(data: bytes) -> None:
    try:
        found = bundle.outward(data)
    except SandboxError:
        return
    header = json.loads(data.partition(b"\n")[0]) if data else []
    assert sum(map(len, found.values())) <= len(data)
    assert list(found) == list(dict.fromkeys(name for name, _ in header))


def test_a_peer_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot, "_BOOT_S", 0.2)

    def silent(peer: Peer) -> None:
        boot(peer)
        peer.receive()
        peer.receive()

    def mute(peer: Peer) -> None:
        peer.receive()
        peer.receive()

    with Client(silent, mute) as client:
        started = time.monotonic()
        outcome = client.run(wall_s=0.01)
        assert isinstance(outcome, SandboxError) and "silent" in str(outcome)
        assert client.works()
        assert client.slots.started == 3 and time.monotonic() - started < 10


def test_a_job_that_cannot_be_sent_is_an_error_for_its_owner_alone() -> None:
    """An input that is no bytes is the caller's mistake, and not the end of the sandbox."""
    with Client() as client:
        assert client.works()
        arrived: queue.SimpleQueue[object] = queue.SimpleQueue()
        client.supervisor.submit(Job(b"1", ["text"], RunLimits(), arrived.put))  # type: ignore[list-item]
        assert isinstance(arrived.get(timeout=20), SandboxError)
        assert client.works()


def test_a_holder_whose_delivery_fails_costs_no_one_else_the_sandbox() -> None:
    def deliver(item: object) -> None:
        raise RuntimeError("Event loop is closed")

    with Client() as client:
        client.supervisor.submit(Job(b"1", [b""], RunLimits(), deliver))
        assert client.works()


def test_the_scripted_peer_is_honest() -> None:
    """The tests above can fail: with an honest peer the same client gets plain results."""
    with Client(honest) as client:
        results = client.run()
        assert isinstance(results, list) and [(r.status, r.stdout) for r in results] == [
            (Status.EXITED, ANSWER)
        ]
        assert client.slots.started == 1
