"""The parts that need no slot: the filter, the tables, classification, cgroups, the doctor."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rlef.errors
from rlef.errors import SandboxError
from rlef.sandbox import Rung, RunLimits, Status, layers, memory, probe, slot
from rlef.sandbox.status import Ending, classify, file_limit
from rlef.sandbox.zygote import bpf, kernel, landlock, seccomp
from rlef.sandbox.zygote.protocol import Reason, Stage

HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}
MACHINES = sorted(HEADERS)


def _header(machine: str) -> dict[str, int]:
    path = next((p for p in HEADERS[machine] if Path(p).exists()), None)
    if path is None:
        pytest.skip("the kernel's headers are not installed")
    text = Path(path).read_text()
    plain = re.findall(r"#define __NR_(\w+)\s+(\d+)\b", text)
    # 32- and 64-bit machines name these differently; on 64 bits the numbers are the same.
    wide = re.findall(r"#define __NR3264_(\w+)\s+(\d+)\b", text)
    table = {name: int(number) for name, number in [*wide, *plain]}
    return table | ({"newfstatat": table["fstatat"]} if "fstatat" in table else {})


@pytest.mark.parametrize("machine", MACHINES)
def test_system_call_numbers_are_the_kernels(machine: str) -> None:
    header = _header(machine)
    for name, number in seccomp.numbers(machine).items():
        assert header[name] == number, name
    for name, number in kernel._NUMBERS[machine].items():
        assert header[name] == number, name
    for name in ("close_range", "mount_setattr", "landlock_create_ruleset", "landlock_restrict_self"):
        assert header[name] == kernel.NUMBERS[name]


@pytest.mark.parametrize("machine", MACHINES)
@given(data=st.data())
def test_the_filter_allows_the_list_and_nothing_else(machine: str, data: st.DataObject) -> None:
    policy = seccomp.policy(machine)
    code = bpf.assemble(policy)
    number = data.draw(st.integers(0, 600) | st.sampled_from(policy.allow))
    args = data.draw(st.lists(st.integers(0, 2**64 - 1), max_size=6))
    answer = bpf.interpret(code, policy.arch, number, args)
    if number in policy.allow:
        assert answer == bpf.ALLOW
    elif number in policy.errnos:
        assert answer == bpf.ERRNO | policy.errnos[number]
    elif number in policy.checks:
        padded = [*args, *[0] * 6]
        held = any(padded[c.argument] & c.mask & 0xFFFFFFFF in c.values for c in policy.checks[number])
        assert answer == (bpf.ALLOW if held else bpf.ERRNO | policy.otherwise)
    else:
        assert answer == bpf.ERRNO | policy.otherwise


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_kills_other_architectures_and_x32(machine: str) -> None:
    policy = seccomp.policy(machine)
    code = bpf.assemble(policy)
    assert bpf.interpret(code, 0x40000003, 1) == bpf.KILL_PROCESS
    if machine == "x86_64":
        assert bpf.interpret(code, policy.arch, 0x40000001) == bpf.KILL_PROCESS


@pytest.mark.parametrize("machine", MACHINES)
def test_clone_makes_threads_or_a_pid_namespace_and_nothing_between(machine: str) -> None:
    code = bpf.assemble(seccomp.policy(machine))
    arch, clone = seccomp.ARCHES[machine], seccomp.numbers(machine)["clone"]

    def allowed(flags: int) -> bool:
        return bpf.interpret(code, arch, clone, [flags]) == bpf.ALLOW

    assert allowed(0x3D0F00), "pthread_create"
    assert allowed(kernel.SPAWN_FLAGS)
    assert not allowed(signal.SIGCHLD), "fork"
    assert not allowed(0x4000 | 0x100 | signal.SIGCHLD), "vfork"
    for flag in (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert not allowed(0x3D0F00 | flag), "a thread with a new namespace"
        assert not allowed(kernel.SPAWN_FLAGS ^ flag), "a pid namespace with more, or no namespace"


@pytest.mark.parametrize("machine", MACHINES)
def test_no_way_to_new_powers_is_on_the_list(machine: str) -> None:
    listed = seccomp.numbers(machine)
    for name in (
        "execve", "execveat", "fork", "vfork", "socket", "socketpair", "connect", "bind", "ptrace", "mount",
        "unshare", "setns", "pivot_root", "memfd_create", "bpf", "io_uring_setup", "userfaultfd", "keyctl",
        "add_key", "shmget", "msgget", "semget", "mq_open", "process_vm_readv", "pidfd_open", "pidfd_getfd",
        "open_by_handle_at", "perf_event_open", "sched_setaffinity", "setuid", "init_module", "flock",
    ):  # fmt: skip
        assert name not in listed


@pytest.mark.parametrize(("abi", "size"), [(1, 8), (2, 8), (3, 8), (4, 16), (5, 16), (6, 24), (7, 24)])
def test_landlock_asks_for_what_the_kernels_version_knows(abi: int, size: int) -> None:
    attributes = landlock.ruleset(abi)
    assert len(attributes) == size
    rights = {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)
    assert struct.unpack_from("=Q", attributes)[0] == (1 << rights) - 1


LIMITS = RunLimits(cpu_s=1.0, memory_bytes=100, output_bytes=10, stderr_bytes=20)


def ending(**changes: object) -> Ending:
    usual: dict[str, object] = {
        "stage": Stage.RUNNING, "reason": Reason.NONE, "wait_status": 0, "cpu_s": 0.1, "wall_s": 0.2,
        "peak_bytes": 0, "stdout": b"", "stderr": b"", "stderr_size": 0,
    }  # fmt: skip
    return Ending(**(usual | changes))  # type: ignore[arg-type]


CASES: list[tuple[dict[str, object], Status]] = [
    ({}, Status.EXITED),
    ({"wait_status": 3 << 8}, Status.EXITED),
    ({"wait_status": 11}, Status.SIGNALLED),
    ({"wait_status": 9, "reason": Reason.CPU}, Status.CPU_LIMIT),
    ({"wait_status": 9, "cpu_s": 2.0}, Status.CPU_LIMIT),
    ({"cpu_s": 1.5}, Status.CPU_LIMIT),
    ({"wait_status": 9, "reason": Reason.IDLE}, Status.IDLE_LIMIT),
    ({"stdout": b"x" * 11}, Status.OUTPUT_LIMIT),
    ({"stdout": b"x" * 10}, Status.EXITED),
    ({"stdout": b"x" * 11, "wait_status": 9, "reason": Reason.CPU}, Status.OUTPUT_LIMIT),
    ({"stderr_size": file_limit(LIMITS)}, Status.OUTPUT_LIMIT),
    ({"peak_bytes": 151}, Status.MEMORY_LIMIT),
    ({"peak_bytes": 150}, Status.EXITED),
    ({"peak_bytes": 151, "stdout": b"x" * 11}, Status.MEMORY_LIMIT),
    ({"wait_status": 9, "out_of_memory": True}, Status.MEMORY_LIMIT),
    ({"wait_status": 1 << 8, "stderr": b"x\nMemoryError\n"}, Status.MEMORY_LIMIT),
    ({"wait_status": 0, "stderr": b"x\nMemoryError\n"}, Status.EXITED),
    ({"wait_status": 1 << 8, "stderr": b"MemoryError\nKeyError"}, Status.EXITED),
    ({"stage": Stage.REFUSED, "wait_status": 1 << 8, "stderr": b"SyntaxError"}, Status.COMPILE_ERROR),
    ({"stage": Stage.COMPILING, "wait_status": 11}, Status.COMPILE_ERROR),
    ({"stage": Stage.COMPILING, "wait_status": 9, "reason": Reason.CPU}, Status.COMPILE_ERROR),
]


@pytest.mark.parametrize(("changes", "status"), CASES)
def test_a_status_follows_from_how_the_process_ended(changes: dict[str, object], status: Status) -> None:
    result = classify(ending(**changes), LIMITS, Rung.L2, base_bytes=50)
    assert result.status is status
    assert len(result.stdout) <= 10 and len(result.stderr) <= max(
        20, len(result.stderr) * (status == "compile_error")
    )
    assert bool(result.signal) == os.WIFSIGNALED(int(str(changes.get("wait_status", 0))))
    if status is Status.COMPILE_ERROR:
        assert result.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"wait_status": 9},
        {"stage": Stage.SETUP},
        {"stage": Stage.SETUP, "wait_status": 9, "reason": Reason.CPU},
    ],
)
def test_what_a_program_cannot_do_is_the_sandboxs_failure(changes: dict[str, object]) -> None:
    with pytest.raises(SandboxError):
        classify(ending(**changes), LIMITS, Rung.L2, base_bytes=50)


def test_a_sealed_file_can_be_read_and_not_changed() -> None:
    fd = memory.sealed_file(b"abc" * 100_000, "test")
    try:
        assert memory.head(fd, 10**6) == b"abc" * 100_000
        assert memory.tail(fd, 2) == (b"bc", 300_000)
        with pytest.raises(OSError):
            os.write(fd, b"x")
        with pytest.raises(OSError):
            os.ftruncate(fd, 0)
        with pytest.raises(OSError):
            os.write(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY), b"x")
    finally:
        os.closerange(fd, fd + 3)


def test_the_doctor_names_every_layer_and_its_report_is_json() -> None:
    report = probe()
    assert {"user namespace", "seccomp", "landlock", "read-only root", layers.CGROUP} <= {
        layer.name for layer in report.layers
    }
    assert all(layer.available or (layer.reason and layer.step) for layer in report.layers)
    assert report.rung in (Rung.L2, Rung.L3)
    assert json.loads(json.dumps(report.to_json()))["rung"] == report.rung


def test_a_missing_layer_is_said_in_one_line_with_the_step_that_gets_it() -> None:
    error = layers.unavailable({"user namespace": "Operation not permitted", "seccomp": ""}, "L2")
    assert isinstance(error, rlef.errors.SandboxUnavailable)
    text = str(error)
    assert "user namespace: Operation not permitted" in text and "seccomp:" not in text and "\n" not in text
    assert layers.step("user namespace") in text and "sandbox.floor=L2" in text


def test_a_host_that_forbids_a_layer_is_found_out() -> None:
    """A kernel that refuses user namespaces, made with a user namespace of our own."""
    script = "echo 0 > /proc/sys/user/max_user_namespaces || exit 77; exec " + shlex.join(
        [sys.executable, "-m", "rlef", "doctor", "--json"]
    )
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", script], capture_output=True, text=True)
    if done.returncode not in (0, 2):
        pytest.skip(f"no user namespace to forbid others in: {done.stderr.strip()}")
    assert done.returncode == 2
    report = json.loads(done.stdout)
    (layer,) = [layer for layer in report["layers"] if layer["name"] == "user namespace"]
    assert report["rung"] == "L1" and not layer["available"] and "max_user_namespaces" in layer["step"]


@pytest.mark.parametrize("name", [*layers.KINDS, "canary x"])
def test_every_layer_stops_something_and_has_a_step(name: str) -> None:
    assert len(layers.kind(name).stops) > 10 and len(layers.step(name)) > 20


def test_the_interpreter_is_the_real_binary() -> None:
    path = Path(slot.interpreter())
    assert path.is_file() and not path.is_symlink()
    assert path.read_bytes()[:4] == b"\x7fELF", "not a script that looks for one"
