"""One program on its inputs, on the way from whoever wants it run to the slot that runs it."""

from __future__ import annotations

import contextlib
import queue
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rlef.errors import SandboxError
from rlef.sandbox import bundle
from rlef.sandbox.inputs import Inputs
from rlef.sandbox.profile import PYTHON, PYTHON_FILES, Profile
from rlef.sandbox.types import RunLimits, RunResult
from rlef.sandbox.zygote.protocol import Mode

Delivery = RunResult | Exception | None
"""A result, or the exception that ended the run, or None for its regular end."""


@dataclass(eq=False, slots=True)
class Job:
    """One program to run on ``stdins``. ``deliver`` is called in the supervisor's thread."""

    source: bytes
    stdins: Sequence[bytes]
    limits: RunLimits
    deliver: Callable[[Delivery], None] = lambda item: None
    profile: Profile = PYTHON
    mode: Mode | None = None
    """None for a Python program; where it is compiled is then decided by its length."""
    executable: int = -1
    """Descriptor of what mode EXEC executes, unless the command names a path. Not closed."""
    reserved_bytes: int = 0
    """Address space that the program's interpreter reserves without using it."""
    inward: Sequence[bytes] | None = None
    """For each test, what goes in beside stdin; see ``zygote.protocol``."""
    outward_bytes: int = 0
    """Most bytes to take of what comes back beside stdout."""
    alone: bool = False
    """Run while no other slot does anything."""
    cancelled: bool = False
    sent: int = 0
    received: int = 0
    outputs: deque[tuple[int, ...]] = field(default_factory=deque)
    """stdout and stderr of each test under way, and what comes back besides."""

    def fail(self, error: Exception) -> None:
        """Deliver an error, unless the job was dropped or its holder can take nothing any more."""
        if not self.cancelled:
            with contextlib.suppress(Exception):  # an event loop that is closed, above all
                self.deliver(error)


def first_result(submit: Callable[[Job], None], job: Job) -> RunResult:
    """Submit a job and wait for its first result. Raises what ended the job without one."""
    arrived: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
    job.deliver = arrived.put
    submit(job)
    item = arrived.get()
    if isinstance(item, RunResult):
        return item
    raise item or SandboxError("the run ended without a result")


def python_job(
    source: bytes,
    stdins: Sequence[bytes],
    limits: RunLimits,
    beside: Mapping[str, bytes] | None,
    files: Sequence[Mapping[str, bytes]] | None,
    arguments: Sequence[str],
    collect: Mapping[str, int] | None,
) -> Job:
    """The job of running a Python program; see ``Sandbox.run``."""
    job = Job(source, stdins, limits)
    if files is not None or beside:
        each = files if files is not None else [{}] * len(stdins)
        own, wanted = beside or {}, collect or {}
        job.profile, job.outward_bytes = PYTHON_FILES, bundle.most(wanted)
        bundle.check_names(own, wanted, *each)
        job.inward = Inputs(len(each), lambda at: bundle.inward({**own, **each[at]}, arguments, wanted))
    return job


def wall_limit(limits: RunLimits) -> float:
    """Seconds after which a sleeping program is stopped."""
    return limits.wall_s if limits.wall_s is not None else max(10.0, 8 * limits.cpu_s)
