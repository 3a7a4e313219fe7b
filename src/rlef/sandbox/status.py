"""From what the kernel says about a process's end to a ``RunResult``. Pure functions.

Nothing that the program says decides between success and failure. Its stderr is read in two
cases only: to call a failure of its own a memory limit, and a crash that was an ``abort()`` by its
name. For a program is pid 1 of its namespace, and the signal that it sends itself does not
reach it; the C library then crashes on purpose.
"""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass

from rlef.errors import SandboxError
from rlef.sandbox.types import Rung, RunLimits, RunResult, Status
from rlef.sandbox.zygote.protocol import Reason, Stage

_ABORTED = re.compile(
    rb"^terminate called |: Assertion `.*' failed\.$|^\*\*\* .* detected \*\*\*|^FATAL ERROR: "
    rb"|^(free|malloc|realloc|munmap_chunk|corrupted|double free)\b.*(invalid|corrupt|mismatch|unaligned)",
    re.MULTILINE,
)
"""What libraries print before ``abort()``."""
_NO_MEMORY = re.compile(
    rb"(^[\w.]*MemoryError\b.*|^  what\(\):  std::bad_alloc)\s*\Z"
    rb"|^FATAL ERROR: .*JavaScript heap out of memory",
    re.MULTILINE,
)
"""What interpreters and libraries print when they were refused memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one test process ended."""

    stage: Stage
    reason: Reason
    wait_status: int
    cpu_s: float
    wall_s: float
    peak_bytes: int
    stdout: bytes
    """At most one byte more than the limit."""
    stderr: bytes
    stderr_size: int
    out_of_memory: bool = False
    """The slot's memory cgroup killed something."""


def file_limit(limits: RunLimits) -> int:
    """RLIMIT_FSIZE of a test: one byte more than it may write, to tell full from overfull."""
    return max(limits.output_bytes, limits.stderr_bytes) + 1


def classify(ending: Ending, limits: RunLimits, rung: Rung, base_bytes: int) -> RunResult:
    """The result of one test. ``base_bytes`` is the empty interpreter's resident set.

    Raises ``SandboxError`` if the end can't be the program's own doing.
    """
    stderr = ending.stderr[-limits.stderr_bytes :] if limits.stderr_bytes else b""
    killed = os.WIFSIGNALED(ending.wait_status)
    number = os.WTERMSIG(ending.wait_status) if killed else 0
    status = _status(ending, limits, base_bytes, number)
    if number == signal.SIGSEGV and _ABORTED.search(ending.stderr):
        number = int(signal.SIGABRT)
    if status is Status.COMPILE_ERROR and not stderr:
        stderr = _compiler_stopped(ending, number).encode()
    return RunResult(
        status=status,
        exit_code=0 if killed else os.WEXITSTATUS(ending.wait_status),
        signal=number,
        stdout=ending.stdout[: limits.output_bytes],
        stderr=stderr,
        cpu_s=ending.cpu_s,
        wall_s=ending.wall_s,
        peak_bytes=ending.peak_bytes,
        rung=rung,
    )


def _status(ending: Ending, limits: RunLimits, base_bytes: int, number: int) -> Status:
    if ending.stage is Stage.SETUP:
        raise SandboxError(f"a test process failed before the program began ({_end(ending)})")
    over_memory = ending.out_of_memory or ending.peak_bytes > base_bytes + limits.memory_bytes
    over_cpu = ending.reason is Reason.CPU or ending.cpu_s >= limits.cpu_s
    explained = over_memory or over_cpu or ending.reason is not Reason.NONE
    if number == signal.SIGKILL and not explained:
        # As pid 1 of its namespace a program can't kill itself: someone outside did.
        raise SandboxError("a test process was killed from outside")
    if ending.stage not in (Stage.RUNNING, Stage.ALONE):
        return Status.COMPILE_ERROR
    failed = ending.wait_status != 0
    over_output = len(ending.stdout) > limits.output_bytes or ending.stderr_size >= file_limit(limits)
    for holds, status in (
        (over_memory or (failed and bool(_NO_MEMORY.search(ending.stderr))), Status.MEMORY_LIMIT),
        (over_output, Status.OUTPUT_LIMIT),
        (over_cpu, Status.CPU_LIMIT),
        (ending.reason is Reason.IDLE, Status.IDLE_LIMIT),
        (number, Status.SIGNALLED),
    ):
        if holds:
            return status
    return Status.EXITED


def _compiler_stopped(ending: Ending, number: int) -> str:
    if ending.reason is Reason.CPU:
        return f"the compiler was stopped after {ending.cpu_s:.1f} s of CPU time\n"
    if ending.reason is Reason.IDLE:
        return f"the compiler was stopped after {ending.wall_s:.1f} s\n"
    return f"the compiler ended with {_end(ending)}\n"


def _end(ending: Ending) -> str:
    if os.WIFSIGNALED(ending.wait_status):
        return f"signal {os.WTERMSIG(ending.wait_status)}"
    return f"exit code {os.WEXITSTATUS(ending.wait_status)}"
