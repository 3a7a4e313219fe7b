"""What a slot says, checked before anything is done with it.

A slot's process holds a hostile program. Should one ever take it over, it may send what it
likes; here that ends as a ``SandboxError``, which costs the slot and gives no verdict.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from rlef.errors import SandboxError
from rlef.sandbox.zygote import protocol
from rlef.sandbox.zygote.protocol import Kind, Reason, Stage

_WORDS = {"zygote": 1, "ready": 2, "missing": 0}
"""First word of a boot message to the count of numbers after it."""
_HIGHEST = 2**47  # of an address


@dataclass(frozen=True, slots=True)
class Boot:
    """A message from a slot that is coming up."""

    word: str
    """``zygote`` and its pid; ``ready`` and the bytes of its address space and resident set;
    or ``missing``."""
    numbers: list[int]
    steps: dict[str, str] = field(default_factory=dict)
    """Layers of isolation so far: name to error or ''."""


@dataclass(frozen=True, slots=True)
class Report:
    """One RESULT or FAILED."""

    kind: Kind
    run: int
    index: int
    stage: Stage
    reason: Reason
    wait_status: int
    cpu_ns: int
    wall_ns: int
    peak_bytes: int


def boot(message: bytes) -> Boot:
    """Read a boot message. Raises ``SandboxError``."""
    try:
        head, *rows = message.decode().split("\n")
        word, *digits = head.split()
        numbers = [int(text) for text in digits]
        steps = {row.split("\t", 1)[0]: row.split("\t", 1)[1] for row in rows}
        if len(numbers) != _WORDS[word] or not all(0 < number < _HIGHEST for number in numbers):
            raise ValueError("not as they should be")
    except (ValueError, KeyError, IndexError):
        raise _strange(message) from None
    return Boot(word, numbers, steps)


def stopped(message: bytes) -> int | None:
    """The run that a STOPPED is about; None for another kind of message. Raises ``SandboxError``."""
    if message[0] != Kind.STOPPED:
        return None
    if len(message) != protocol.STOP.size:
        raise _strange(message)
    return int(protocol.STOP.unpack(message)[1])


def reports(message: bytes) -> list[Report]:
    """The results in a message, in order. Raises ``SandboxError``."""
    size = protocol.RESULT.size
    if len(message) % size:
        raise _strange(message)
    return [_report(message[at : at + size]) for at in range(0, len(message), size)]


def _report(message: bytes) -> Report:
    kind, run, index, stage, reason, status, *counts = protocol.RESULT.unpack(message)
    ended = os.WIFEXITED(status) or os.WIFSIGNALED(status)
    if kind not in (Kind.RESULT, Kind.FAILED) or not ended or not 0 <= status < 2**16 or min(counts) < 0:
        raise _strange(message)
    try:
        return Report(Kind(kind), run, index, Stage(stage), Reason(reason), status, *counts)
    except ValueError:
        raise _strange(message) from None


def _strange(message: bytes) -> SandboxError:
    return SandboxError(f"a slot sent a strange message: {message[:40]!r}")
