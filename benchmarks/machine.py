"""Facts about the machine, and which of its CPUs a contestant gets."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ALL = sorted(os.sched_getaffinity(0))
FIRST = ALL[0]
"""The CPU that every contestant runs on, as a slot of rlef does."""


def facts() -> dict[str, Any]:
    """What a reader needs in order to compare with figures from elsewhere."""
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "python": platform.python_version(),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return "unknown"


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """What is started in here runs on the first CPU; afterwards we may run on all again.

    An extra ``taskset`` would be one more program to execute, and be counted against a peer.
    """
    os.sched_setaffinity(0, {FIRST})
    try:
        yield
    finally:
        os.sched_setaffinity(0, ALL)


def say(text: str) -> None:
    """A note for the person who waits."""
    print(text, file=sys.stderr, flush=True)
