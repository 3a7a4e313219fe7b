"""Which rung a sandbox stands on: each layer masked in turn must raise, or show as a lower rung."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

import rlef.config
from rlef.cli import run
from rlef.errors import SandboxUnavailable
from rlef.sandbox import (
    Rung,
    RunLimits,
    RunResult,
    Sandbox,
    canary,
    cgroups,
    doctor,
    layers,
    probe,
    run_once,
    slot,
)
from rlef.sandbox.layers import CGROUP, KINDS
from rlef.sandbox.profile import PYTHON_FILES, Profile
from rlef.sandbox.rungs import Ladder
from sandbox_help import PINNED, SUM, masked, opened

NAMESPACES = [name for name, kind in KINDS.items() if kind.rung is Rung.L2]
BARE = ["library", "own domain", "own filter"]
COMMON = [name for name, kind in KINDS.items() if kind.rung is Rung.L1 and name not in BARE]


@pytest.fixture(scope="module", autouse=True)
def whole() -> Iterator[None]:
    """Without masks this machine must give all rungs, or these tests would pass for nothing."""
    for rung in ("L2", "L1"):
        with opened(rung=rung):
            pass
    yield


def attempt(floor: str, *mask: str) -> RunResult:
    """Open a sandbox that lacks these layers and run a program."""
    with masked(*mask):
        return run_once(SUM, b"40 2", config=rlef.config.Sandbox.model_validate({"floor": floor}))


def skip_if_no_step(name: str) -> None:
    if name == "unprivileged user" and slot.jail_uid() == 0:
        pytest.skip("we are no root that could become someone else")


@pytest.mark.parametrize("name", [*COMMON, *NAMESPACES])
def test_a_layer_that_is_refused_is_named_with_the_step_that_gets_it(name: str) -> None:
    skip_if_no_step(name)
    for floor in ("L3", "L2") if not isinstance(cgroups.find(), str) else ("L2",):
        with pytest.raises(SandboxUnavailable) as caught:
            attempt(floor, name)
        text = str(caught.value)
        assert f"{name}: Operation not permitted" in text and layers.step(name) in text and "\n" not in text
        assert f"sandbox.floor={floor}" in text


@pytest.mark.parametrize("name", NAMESPACES)
def test_without_a_namespace_a_lower_floor_takes_the_lower_rung_and_says_why(name: str) -> None:
    result = attempt("L1", CGROUP, name)
    assert (result.stdout, result.rung) == (b"42\n", Rung.L1)
    with masked(CGROUP, name):

        async def use() -> tuple[Rung, dict[str, str]]:
            async with await Sandbox.open(rlef.config.Sandbox(slots=1, floor="L1")) as sandbox:
                return sandbox.rung, sandbox.missing

        rung, missing = asyncio.run(use())
    assert rung is Rung.L1 and missing.keys() == {CGROUP, name}
    assert "masked by a test" in missing[name]


@pytest.mark.parametrize("name", [*COMMON, *BARE])
def test_l1_is_not_to_be_had_without_any_of_its_layers(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    skip_if_no_step(name)
    with pytest.raises(SandboxUnavailable, match=f"{name}: Operation not permitted"):
        attempt("L1", CGROUP, "user namespace", name)
    assert capfd.readouterr().err == ""


OPTIONAL = ["landlock", "seccomp", "own filter", "own domain", "no new privileges", "limits"]


@pytest.mark.parametrize("name", OPTIONAL)
def test_l0_is_taken_if_it_is_asked_for_by_name_and_shouts(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    result = attempt("L0", CGROUP, "user namespace", name)
    assert (result.stdout, result.rung) == (b"42\n", Rung.L0)
    (line,) = capfd.readouterr().err.splitlines()
    assert "NOT ISOLATED" in line and "L0" in line and name in line and "user namespace" in line


def test_a_floor_of_l0_on_a_machine_that_has_more_takes_more(capfd: pytest.CaptureFixture[str]) -> None:
    assert attempt("L0").rung >= Rung.L2
    assert attempt("L0", CGROUP).rung is Rung.L2
    assert attempt("L0", CGROUP, "pid namespace").rung is Rung.L1
    assert capfd.readouterr().err == ""


# A step that lies: it says it was taken and was not. The proof right after it must notice.
HARMLESS = {"one thread", "capabilities"}
"""The one is a proof alone; of the others there may be none to begin with."""


@pytest.mark.parametrize("name", [name for name in [*COMMON, *NAMESPACES] if name not in HARMLESS])
def test_a_layer_that_silently_is_not_there_is_noticed_on_l2(name: str) -> None:
    skip_if_no_step(name)
    with pytest.raises(SandboxUnavailable, match=f"{name}: "):
        attempt("L2", CGROUP, f"silent {name}")


@pytest.mark.parametrize("name", [*[name for name in COMMON if name not in HARMLESS], *BARE])
def test_a_layer_that_silently_is_not_there_is_noticed_on_l1(name: str) -> None:
    skip_if_no_step(name)
    with pytest.raises(SandboxUnavailable, match=f"{name}: "):
        attempt("L1", CGROUP, "user namespace", f"silent {name}")


def test_capabilities_that_silently_stay_are_noticed_where_there_are_any() -> None:
    with pytest.raises(SandboxUnavailable, match="capabilities: it seemed to work"):
        attempt("L2", CGROUP, "silent capabilities")


# A step that lies and a proof that is blind: the canaries are a second net.
SEEN_BY_CANARIES = {
    "limits": "run without limits",
    "landlock": "list the root",
    "seccomp": "open a socket",
}


@pytest.mark.parametrize("name", SEEN_BY_CANARIES)
@pytest.mark.parametrize("rung", ["L2", "L1"])
def test_the_canaries_notice_by_themselves(rung: str, name: str) -> None:
    with pytest.raises(SandboxUnavailable, match=f"canary attacks: .*{SEEN_BY_CANARIES[name]}"):
        attempt(rung, *PINNED[rung], f"blind {name}")


def test_the_canaries_notice_a_missing_second_filter_by_themselves() -> None:
    with pytest.raises(SandboxUnavailable, match=r"canary attacks: .*ask about its parent"):
        attempt("L1", *PINNED["L1"], "blind own filter")


@pytest.mark.parametrize("name", ["user namespace", "mount namespace", "uts namespace", "read-only root"])
def test_a_namespace_that_lies_stops_a_later_step(name: str) -> None:
    """And so nothing is mounted, or named, outside."""
    host = os.uname().nodename
    with pytest.raises(SandboxUnavailable, match=r"Operation not permitted|Permission denied"):
        attempt("L2", CGROUP, f"blind {name}")
    assert os.uname().nodename == host and os.path.isdir("/proc/self")  # noqa: PTH112


CALLS = {
    "socket": 41, "socketpair": 53, "fork": 57, "execve": 59, "ptrace": 101, "mount": 165, "unshare": 272,
    "setns": 308, "keyctl": 250, "add_key": 248, "io_uring_setup": 425, "memfd_create": 319, "flock": 73,
    "shmget": 29, "msgget": 68, "semget": 64, "mq_open": 240, "bpf": 321, "userfaultfd": 323,
    "perf_event_open": 298, "open_by_handle_at": 304, "pidfd_open": 434, "pidfd_getfd": 438,
    "process_vm_readv": 310, "inotify_init": 253, "setsid": 112, "timer_create": 222, "rt_sigqueueinfo": 129,
}  # fmt: skip


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers are those of x86_64")
@pytest.mark.parametrize("name", CALLS)
def test_a_filter_that_lets_one_more_call_through_is_noticed(name: str) -> None:
    with pytest.raises(SandboxUnavailable, match="canary attacks: "):
        attempt("L2", CGROUP, f"allow {CALLS[name]}")


@pytest.mark.parametrize("abi", range(1, 8))
def test_an_older_landlock_will_do(abi: int) -> None:
    """The filters cover what it does not know: sockets, signals, truncation, devices."""
    assert attempt("L2", CGROUP, f"abi {abi}").rung is Rung.L2
    assert attempt("L1", *PINNED["L1"], f"abi {abi}").rung is Rung.L1


def test_a_cgroup_without_effect_is_none() -> None:
    if isinstance(found := cgroups.find(), str):
        pytest.skip(found)
    with pytest.raises(SandboxUnavailable, match=f"{CGROUP}: .*does not take processes.*systemd-run"):
        attempt("L3", f"silent {CGROUP}")
    assert attempt("L2", f"silent {CGROUP}").rung is Rung.L2


def test_a_cgroup_without_namespaces_is_used_and_changes_no_rung() -> None:
    if isinstance(found := cgroups.find(), str):
        pytest.skip(found)
    with masked("user namespace"):

        async def use() -> RunResult:
            async with await Sandbox.open(rlef.config.Sandbox(slots=1, floor="L1")) as sandbox:
                assert sandbox.missing.keys() == {"user namespace"}
                source = "x = bytearray(200 * 2 ** 20)\nprint('survived')"
                limits = RunLimits(memory_bytes=64 * 2**20)
                (result,) = [r async for r in sandbox.run(source, [b""], limits)]
                return result

        result = asyncio.run(use())
    assert (result.status, result.stdout, result.rung) == ("memory_limit", b"", Rung.L1)


def test_an_honest_program_that_fails_is_no_reason_to_take_a_lower_rung(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = canary.HONEST[0]
    assert honest.name == "honest"
    monkeypatch.setattr(canary, "HONEST", (replace(honest, judge=lambda results: "no"),))
    with pytest.raises(SandboxUnavailable, match="canary honest: no"):
        attempt("L0")


def test_a_slot_that_does_not_answer_the_doctor_is_a_layer_that_is_missing(monkeypatch):
    monkeypatch.setattr(doctor, "_ANSWER_S", 0.0)
    report = probe()
    assert report.rung is Rung.L0
    assert {layer.name: layer.reason for layer in report.layers if layer.reason} == {
        "boot": "the slot's process did not answer"
    }


@pytest.mark.parametrize(
    ("mask", "rung"),
    [
        ((CGROUP,), "L2"),
        ((CGROUP, "user namespace"), "L1"),
        ((CGROUP, "network namespace", "uts namespace"), "L1"),
        ((CGROUP, "user namespace", "landlock"), "L0"),
        ((CGROUP, "allow 41"), "L0"),
    ],
)
def test_the_doctor_finds_the_same_rung_and_names_every_layer_that_is_missing(
    mask: tuple[str, ...], rung: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with masked(*mask):
        report = probe()
        code = run(["doctor"])
        text = capsys.readouterr().out
        plain = run(["doctor", "--json"])
        data = json.loads(capsys.readouterr().out)
    assert report.rung is Rung(rung) and data["rung"] == rung
    assert code == plain == (0 if rung >= "L2" else 2)
    missing = {layer.name for layer in report.layers if not layer.available}
    named = {name for name in mask if name in KINDS}
    assert named <= missing
    for layer in report.layers:
        assert layer.stops and f"{layer.name}  " in text and layer.stops in text
        assert layer.available or (layer.reason and layer.step and layer.step in text)
    assert f"isolation here: {rung}" in text
    assert ("sandbox.floor=" in text) == (rung < "L2")


def test_what_l1_can_not_give_is_refused_with_one_line() -> None:
    shown = Profile(name="shown", visible=(("/usr/bin/env", "/bin/env"),))
    compiler = Profile(name="a compiler", processes=True)
    for profile in (PYTHON_FILES, compiler, shown):
        assert layers.refusal(profile, Rung.L2) is None
        error = layers.refusal(profile, Rung.L1)
        assert error is not None and profile.name in str(error) and "namespace" in str(error)
    with opened(rung="L1") as bench:

        async def use() -> None:
            async for _ in bench.sandbox.run(SUM, [b""], RunLimits(), files=[{"in": b""}]):
                pass

        with pytest.raises(SandboxUnavailable, match=r"mount namespace.*L1.*doctor"):
            bench.loop.run_until_complete(use())
        assert bench.one(SUM, b"40 2").stdout == b"42\n"


def test_rungs_are_ordered() -> None:
    assert Rung.L3 > Rung.L2 > Rung.L1 > Rung.L0


def test_a_ladder_is_only_gone_down_for_a_layer() -> None:
    with masked(CGROUP):
        ladder = Ladder("L0")
    assert ladder.rung is Rung.L2
    with pytest.raises(SandboxUnavailable, match="No such file"):
        ladder.descend(FileNotFoundError(2, "No such file"))
