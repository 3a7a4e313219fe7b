"""What goes into the sandbox and what comes out. No expected output is ever here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Rung(StrEnum):
    """How strongly a program was isolated; see ``docs/sandbox.md``."""

    L3 = "L3"
    """L2 and a memory and pids cgroup."""
    L2 = "L2"
    """Namespaces, seccomp, Landlock, no-new-privileges, rlimits."""


class Status(StrEnum):
    """How one run ended. Decided by the parent from wait status, clocks and sizes."""

    EXITED = "exited"
    """Ran to its end; ``exit_code`` says how."""
    SIGNALLED = "signalled"
    CPU_LIMIT = "cpu_limit"
    IDLE_LIMIT = "idle_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    COMPILE_ERROR = "compile_error"
    """The program never ran; ``stderr`` holds the compiler's message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What one run may use."""

    cpu_s: float = 2.0
    """CPU seconds of the process."""
    wall_s: float | None = None
    """Idle guard in seconds; None means ``max(10, 8 * cpu_s)``."""
    memory_bytes: int = 256 * 2**20
    output_bytes: int = 2**20
    stderr_bytes: int = 64 * 2**10

    def __post_init__(self) -> None:
        seconds = [self.cpu_s, *([] if self.wall_s is None else [self.wall_s])]
        sizes = [self.memory_bytes - 1, self.output_bytes, self.stderr_bytes]
        # NaN is in no range, and what is beyond these fits into no message to a slot.
        if not all(1e-9 <= value <= 1e8 for value in seconds) or not all(0 <= n < 2**60 for n in sizes):
            raise ValueError(f"limits must be positive, at most 1e8 s and 2**60 bytes: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One run of one program on one input."""

    status: Status
    exit_code: int = 0
    signal: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    """The last ``stderr_bytes`` of stderr."""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_bytes: int = 0
    """Peak resident set of the process, in bytes."""
    rung: Rung = Rung.L2
    outward: bytes = b""
    """What came back beside stdout: the result of a call as plain data, or a bundle of files."""
    keeps_state: bool = False
    """Several calls were asked for, and the program may keep state between calls: only the first was made."""
    shared: bool = False
    """A call that was not the first in its process. Its ``cpu_s`` is its share."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Files that the program left and that were asked for."""

    @property
    def ok(self) -> bool:
        """True if the program ran to its end and returned 0."""
        return self.status is Status.EXITED and self.exit_code == 0
