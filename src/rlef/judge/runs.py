"""Runs of one program, made steady: a sandbox that fails is tried again, and so is a close call.

**Close calls.** CPU time has noise: caches, page faults and a busy sibling core stretch it. So a
program runs under a limit with some grace. If it uses up the grace, it is over its limit. If
it ends between limit and grace, it runs once more with nothing beside it, under the limit
itself, and that run decides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol, overload

from rlef.errors import SandboxError
from rlef.sandbox.types import RunLimits, RunResult, Status

TRIES = 3
"""Runs of a test in which the sandbox may fail before it is given up as ``judge_error``."""

GRACE, GRACE_S = 1.25, 0.01
"""A program is stopped at this multiple of its CPU limit, and this many seconds more."""

_ALONE_WALL, _ALONE_WALL_S = 2.0, 1.0
"""Idle guard of a run that has the machine for itself, as multiple of its CPU limit, plus seconds.
It is tight because everything else waits meanwhile."""


class Runner(Protocol):
    """What the judge needs of a sandbox."""

    def run(
        self,
        source: str,
        stdins: Sequence[bytes],
        limits: RunLimits,
        *,
        language: str = ...,
        alone: bool = ...,
        files: Sequence[Mapping[str, bytes]] | None = ...,
        arguments: Sequence[str] = ...,
    ) -> AsyncGenerator[RunResult, None]:
        """Run ``source`` once for each input, in order.

        ``alone``: while nothing else runs. ``files``: for each input, files in the program's
        working directory. ``arguments``: of its command line. Yields one result per input, or
        a single ``COMPILE_ERROR``. Raises ``SandboxError`` when the sandbox itself fails. A
        caller that needs no more closes the generator.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is run: source, limits, and how."""

    source: str
    limits: RunLimits
    language: str = "python"
    arguments: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """Keywords of ``Runner.run``; what is usual is left out."""
        options: dict[str, Any] = {}
        if self.language != "python":
            options["language"] = self.language
        if self.arguments:
            options["arguments"] = self.arguments
        return options


class Inputs(Sequence[bytes]):
    """Inputs that are made when they are asked for, so that waiting programs hold no copies."""

    def __init__(self, count: int, make: Callable[[int], bytes]) -> None:
        self._places, self._make = range(count), make

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> bytes: ...

    @overload
    def __getitem__(self, at: slice) -> Inputs: ...

    def __getitem__(self, at: int | slice) -> bytes | Inputs:
        if isinstance(at, int):
            return self._make(self._places[at])
        some = Inputs(0, self._make)
        some._places = self._places[at]
        return some


def with_grace(limits: RunLimits) -> RunLimits:
    """The limits of a first run."""
    return dataclasses.replace(limits, cpu_s=limits.cpu_s * GRACE + GRACE_S)


def is_close_call(run: RunResult, limits: RunLimits) -> bool:
    """True if a run under `with_grace` ended between limit and grace."""
    over = run.cpu_s >= limits.cpu_s
    return over and run.status not in (Status.CPU_LIMIT, Status.COMPILE_ERROR)


async def alone(
    sandbox: Runner, program: Program, stdins: Sequence[bytes]
) -> AsyncGenerator[RunResult, None]:
    """Run close calls again, while nothing else runs; these results decide.

    A program that sleeps through the tight idle guard of these runs was over its limit before,
    and so it is called.
    """
    limits = program.limits
    guard = _ALONE_WALL * limits.cpu_s + _ALONE_WALL_S
    tight = dataclasses.replace(limits, wall_s=min(guard, limits.wall_s or guard))
    program = dataclasses.replace(program, limits=tight)
    async with aclosing(steady(sandbox, program, stdins, alone=True)) as runs:
        async for run in runs:
            idle = run.status is Status.IDLE_LIMIT
            yield dataclasses.replace(run, status=Status.CPU_LIMIT) if idle else run


async def steady(
    sandbox: Runner,
    program: Program,
    stdins: Sequence[bytes],
    *,
    files: Sequence[Mapping[str, bytes]] | None = None,
    alone: bool = False,
) -> AsyncGenerator[RunResult, None]:
    """``sandbox.run``, going on after the sandbox's own failures, up to `TRIES` at one input."""
    options = program.options() | ({"alone": True} if alone else {})
    done = failed = 0
    while done < len(stdins):
        if files is not None:
            options["files"] = files[done:]
        try:
            attempt = sandbox.run(program.source, stdins[done:], program.limits, **options)
            async with aclosing(attempt) as runs:
                async for run in runs:
                    yield run
                    done, failed = done + 1, 0
                    if run.status is Status.COMPILE_ERROR:
                        return
            if done < len(stdins):
                raise SandboxError(f"{len(stdins) - done} results are missing")
        except SandboxError:
            failed += 1
            if failed == TRIES:
                raise
