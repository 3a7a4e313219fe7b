"""Machines that give less than this one, made by a filter in a process that then runs rlef.

What a container's default profile refuses, a kernel without Landlock, one without seccomp.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rlef.sandbox.zygote import seccomp

SRC = Path(__file__).parents[1] / "src"
PATHS = f"import sys\nsys.path[:0] = {[str(SRC), *[p for p in sys.path if p]]!r}\n"
_SYSTEM = {
    "x86_64": {"unshare": 272, "mount": 165, "umount2": 166, "pivot_root": 155, "setns": 308, "clone": 56},
    "aarch64": {"unshare": 97, "mount": 40, "umount2": 39, "pivot_root": 41, "setns": 268, "clone": 220},
}.get(os.uname().machine, {})
_NEW = {"open_tree": 428, "move_mount": 429, "fsopen": 430, "mount_setattr": 442}
_LANDLOCK = range(444, 447)
NAMESPACE_CALLS = [n for name, n in (_SYSTEM | _NEW).items() if name != "clone"]

MACHINE = (
    PATHS
    + """
import errno, json, os
from rlef.sandbox.zygote import bpf, kernel, seccomp
order = json.loads(sys.argv[1])
if order["user"]:
    os.setgroups([]); os.setgid(order["user"]); os.setuid(order["user"])
checks = {}
if order["clone"]:
    checks[order["clone"]] = [bpf.Check(0, [0], mask=0x7E020000)]
if order["prctl"]:
    checks[order["prctl"]] = [bpf.Check(0, [n for n in range(64) if n != kernel.PR_SET_SECCOMP])]
errnos = {int(number): error for number, error in order["errnos"].items()}
arch = seccomp.ARCHES[kernel.MACHINE]
code = bpf.assemble(bpf.Policy(arch, (), checks, errnos, errno.EPERM, bpf.ALLOW))
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
seccomp.Filter(code).load()

import rlef.config
from rlef.errors import SandboxUnavailable
from rlef.sandbox import probe, run_once
answers = {}
for floor in ("L2", "L1", "L0"):
    try:
        settings = rlef.config.Sandbox(floor=floor)
        result = run_once("print(sum(map(int, input().split())))", b"40 2", config=settings)
        answers[floor] = [result.stdout.decode(), result.rung]
    except SandboxUnavailable as error:
        answers[floor] = str(error)
report = probe()
answers["doctor"] = report.rung
answers["missing"] = {layer.name: layer.step for layer in report.layers if not layer.available}
print(json.dumps(answers))
"""
)


def machine(
    errnos: dict[int, int], *, clone: bool = False, prctl: bool = False
) -> tuple[dict[str, object], str]:
    """What rlef finds as a plain user of a machine that refuses these calls; and its stderr."""
    if os.uname().machine not in seccomp.ARCHES:
        pytest.skip("no filter for this machine")
    user, python = 0, sys.executable
    if os.getuid() == 0:  # then another interpreter, one that every user may execute
        user, python = 65534, shutil.which("python3", path="/usr/bin") or ""
        version = f"import sys; print({sys.version_info[:2]!r} == sys.version_info[:2])"
        if not python or subprocess.run([python, "-c", version], capture_output=True).stdout != b"True\n":
            pytest.skip("no system interpreter of this version")
    order = {
        "user": user,
        "errnos": errnos,
        "clone": clone and _SYSTEM["clone"],
        "prctl": prctl and seccomp.numbers(os.uname().machine)["prctl"],
    }
    command = [python, "-I", "-c", MACHINE, json.dumps(order)]
    done = subprocess.run(command, capture_output=True, timeout=120, cwd="/")
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout), done.stderr.decode()


CONTAINER = dict.fromkeys(NAMESPACE_CALLS, errno.EPERM) | {435: errno.ENOSYS}


def test_a_plain_user_of_an_ordinary_machine_gets_l2() -> None:
    found, said = machine({})
    assert found["L2"] == ["42\n", "L2"] == found["L0"] and found["doctor"] == "L2" and not said


def test_a_container_that_forbids_namespaces_gives_l1_and_says_what_would_give_l2() -> None:
    found, said = machine(CONTAINER, clone=True)
    assert found["L1"] == ["42\n", "L1"] == found["L0"] and found["doctor"] == "L1" and not said
    text = str(found["L2"])
    assert "user namespace: Operation not permitted" in text
    assert "docker run --security-opt seccomp=unconfined" in text
    missing = found["missing"]
    assert isinstance(missing, dict)
    assert {"user namespace", "pid namespace", "read-only root"} <= missing.keys()
    assert not {"landlock", "seccomp", "own filter", "canary programs"} & missing.keys()


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EOPNOTSUPP], ids=["not built in", "not in lsm="])
def test_without_landlock_there_is_l0_by_name_or_nothing(error: int) -> None:
    refused = dict.fromkeys(_LANDLOCK, error)
    for also, clone in (({}, False), (CONTAINER, True)):
        found, said = machine(refused | also, clone=clone)
        for floor in ("L2", "L1"):
            first = "user namespace" if also and floor == "L2" else "landlock"
            assert f"not to be had here: {first}" in str(found[floor])
        assert "a kernel of 5.13" in str(found["L1"])
        assert found["L0"] == ["42\n", "L0"] and found["doctor"] == "L0"
        (line,) = said.splitlines()
        assert "NOT ISOLATED" in line and "landlock" in line


def test_without_seccomp_there_is_l0_by_name_or_nothing() -> None:
    found, said = machine(CONTAINER, clone=True, prctl=True)
    assert "CONFIG_SECCOMP_FILTER" in str(found["L1"]) and "own filter" in str(found["L1"])
    assert found["L0"] == ["42\n", "L0"] and "NOT ISOLATED" in said
