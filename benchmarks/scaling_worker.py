"""All of rlef on the given CPUs, for ``scaling.py``. See ``contestants.Worker``.

    python -m benchmarks.scaling_worker CPUS SLOTS

A request is a number of programs; the answer is milliseconds a test, for all of them at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time

import rlef.config
from benchmarks.contestants import INPUT, OUTPUT, PROGRAM, TESTS, reply
from rlef.sandbox import RunLimits, Sandbox


async def judge(sandbox: Sandbox, programs: int) -> int:
    """Run so many programs at once; how many tests gave something else than they should."""

    async def one() -> int:
        stdins = [INPUT] * TESTS
        return sum([result.stdout != OUTPUT async for result in sandbox.run(PROGRAM, stdins, RunLimits())])

    return sum(await asyncio.gather(*[one() for _ in range(programs)]))


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def main(cpus: str, slots: str) -> None:
    os.sched_setaffinity(0, json.loads(cpus))
    loop = asyncio.get_running_loop()
    async with await Sandbox.open(rlef.config.Sandbox(slots=int(slots))) as sandbox:
        reply(ready=str(sandbox.rung))
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            programs = int(line)
            started, used = time.perf_counter(), cpu_seconds()
            wrong = await judge(sandbox, programs)
            took, used = time.perf_counter() - started, cpu_seconds() - used
            tests = programs * TESTS
            if wrong:
                reply(wrong=f"{wrong} outputs")
            else:
                reply(ms=took * 1e3 / tests, supervisor_ms=used * 1e3 / tests)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
