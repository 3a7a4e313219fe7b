"""Calls of a function, many in one process where that changes nothing.

The calls go to a test process in chunks (``zygote/calls.py``). It records each value that a call
returned, on a channel that no one else has. What did not end in a record ended the process: the
records before it stand, and the next process begins with the call that has none. So a failure is always
the first call of its process, whose neighbours can't be to blame.

- A program that may keep state between calls is told apart before it runs; each of its calls gets a
  process of its own. So do the calls after one that failed.
- All calls of a process together have the limits of one. CPU time that ran out ended the unfinished
  call, which is made again. If memory or output ran over, or together they took ``together_s`` of CPU
  time, who is to blame can't be told: every call of the chunk is made again, alone.
- Who asks may stop at a wrong value, but learns of it when the process ends; and a wrong program is often an
  endless one further on. So calls that share a process get a short turn first. Where that was too short, the
  calls that it finished are made again, as nobody saw how their process would have ended, and then those
  after them, both with the whole limit. Later turns are twice what was seen to be needed.
"""

from __future__ import annotations

import math
import struct
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from rlef.errors import SandboxError
from rlef.sandbox.job import wall_limit
from rlef.sandbox.status import file_limit
from rlef.sandbox.types import RunLimits, RunResult, Status

_LENGTH = struct.Struct("<I")
_TURN_S = 0.1
"""CPU time of the first process with several calls. Twice what one that ends by itself goes on for."""
Start = Callable[[list[bytes], RunLimits], AsyncGenerator[RunResult, None]]
"""Runs the program once for each of some packed chunks."""


def packed(function: str, texts: Sequence[bytes]) -> bytes:
    """What a test process finds: the function's name, and the texts of its calls."""
    return b"".join(_LENGTH.pack(len(text)) + text for text in (function.encode(), *texts))


def records(outward: bytes, most: int) -> list[bytes]:
    """The records in what a test process left, which may be anything.

    A last one that is cut off is left out. Empty if there are more than ``most``.
    """
    found: list[bytes] = []
    at = _LENGTH.size
    while at <= len(outward) and len(found) <= most:
        (size,) = _LENGTH.unpack_from(outward, at - _LENGTH.size)
        found.append(outward[at : at + size])
        at += size + _LENGTH.size
    if found and at - _LENGTH.size > len(outward):
        found.pop()
    return found if len(found) <= most else []


async def made(
    start: Start,
    function: str,
    texts: Sequence[bytes],
    limits: RunLimits,
    chunk: int,
    together_s: float = math.inf,
) -> AsyncGenerator[RunResult, None]:
    """One result for each of ``texts``, in order; a single one if the program does not compile."""
    done, together, turn_s = 0, chunk > 1, _TURN_S
    whole: list[int] = []  # sizes of the next chunks, which have the whole limit
    while together and done < len(texts):
        short = not whole and done + 1 < len(texts) and turn_s < min(limits.cpu_s, together_s)
        some = texts[done : done + (whole.pop(0) if whole else chunk)]
        own = replace(limits, cpu_s=turn_s, wall_s=wall_limit(limits)) if short else limits
        async with aclosing(start([packed(function, some)], own)) as runs:
            run = await anext(runs, None)
        if run is None:
            raise SandboxError("a chunk of calls has no result")
        if short and _is_cut(run, turn_s):
            finished = len(records(run.outward, len(some) - 1))
            whole = [finished, chunk] if finished else [chunk]
            together = not run.keeps_state
            continue
        turn_s = max(_TURN_S, 2 * run.cpu_s)
        results, together = _results(run, len(some), limits, together_s)
        for result in results:
            yield result
        done += len(results)
        if run.status is Status.COMPILE_ERROR:
            return
    if done < len(texts):
        singles = [packed(function, [text]) for text in texts[done:]]
        async with aclosing(start(singles, limits)) as runs:
            async for run in runs:
                yield _single(run, limits)


def _is_cut(run: RunResult, turn_s: float) -> bool:
    """True if a process may have ended only because its turn was over; compiling is part of that."""
    compiling = run.status is Status.COMPILE_ERROR and run.cpu_s >= turn_s
    return compiling or run.status is Status.CPU_LIMIT


def _results(
    run: RunResult, count: int, limits: RunLimits, together_s: float
) -> tuple[list[RunResult], bool]:
    """The results that a process's end and its records give, and whether to go on in chunks."""
    if run.status in (Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT) and count > 1:
        return [], False
    if run.keeps_state or count == 1 or run.status is Status.COMPILE_ERROR:
        return [_single(run, limits)], not run.keeps_state
    values = records(run.outward, count)
    if not run.outward:
        return [_single(run, limits)], False
    if not values or (len(values) == count and not run.ok):
        return [], False  # it wrote what nobody asked for, or failed after its last call
    if run.cpu_s >= together_s:
        return [], False  # one of them may have taken more than it may
    share = replace(
        run, status=Status.EXITED, exit_code=0, signal=0, stdout=b"", stderr=b"",
        cpu_s=run.cpu_s / len(values), wall_s=run.wall_s / len(values),
    )  # fmt: skip
    return [replace(share, outward=value, shared=at > 0) for at, value in enumerate(values)], run.ok


def _single(run: RunResult, limits: RunLimits) -> RunResult:
    """The result of a call that had its process for itself."""
    full = len(run.outward) >= file_limit(limits)
    if full and run.status in (Status.EXITED, Status.SIGNALLED):
        run = replace(run, status=Status.OUTPUT_LIMIT)
    values = records(run.outward, 1)
    return replace(run, outward=values[0] if values else b"", keeps_state=False)
