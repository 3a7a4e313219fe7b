"""Memory of a slot beyond what it shares with others: launcher, zygote and a running test.

    python -m benchmarks.slot_memory [--quick]

The figure is Pss (each page divided by how many processes map it), summed over the slot's processes, so it
counts the slot's part of shared libraries too. ``private`` leaves those out. Reading it
needs root: a slot's processes may not be looked into.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import rlef.config
from benchmarks.module import main
from benchmarks.rows import Question, Row, Unavailable
from rlef.sandbox import RunLimits, Sandbox

_SLOT = Question("memory of a slot with a test running, beyond shared pages", "MB", "<= 25")
_IDLE = Question("  the same, nothing running", "MB")
QUESTIONS = (_SLOT, _IDLE)
_SLOTS = 2
_SLEEPER = "import sys, time\nprint(sum(map(int, sys.stdin.read().split())), flush=True)\ntime.sleep(60)\n"


def descendants(pid: str = "self") -> Iterator[str]:
    """Every process below one."""
    for task in Path("/proc", pid, "task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            for child in (task / "children").read_text().split():
                yield child
                yield from descendants(child)


def megabytes(*names: str) -> tuple[float, int]:
    """Sum of lines of ``smaps_rollup`` over all processes of a slot, in MB, and how many there are."""
    total, count = 0, 0
    for pid in descendants():
        try:
            lines = Path("/proc", pid, "smaps_rollup").read_text().splitlines()
        except PermissionError:
            raise Unavailable("only root may read how much memory a slot's processes have") from None
        count += 1
        total += sum(int(line.split()[1]) for line in lines if line.split(":")[0] in names)
    return total * 1024 / 1e6 / _SLOTS, count


def snapshot() -> dict[str, float]:
    pss, processes = megabytes("Pss")
    private, _ = megabytes("Private_Clean", "Private_Dirty")
    return {"pss": round(pss, 2), "private": round(private, 2), "processes": processes / _SLOTS}


async def measure_all() -> list[Row]:
    async with await Sandbox.open(rlef.config.Sandbox(slots=_SLOTS)) as sandbox:
        idle = snapshot()

        async def sleep() -> None:
            async for _ in sandbox.run(_SLEEPER, [b"40 2\n"] * 60, RunLimits()):
                pass

        tasks = [asyncio.create_task(sleep()) for _ in range(_SLOTS)]
        await asyncio.sleep(1)
        busy = snapshot()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if busy["processes"] != idle["processes"] + 2:
        raise RuntimeError(f"a template and a test were to run in each slot: {idle}, {busy}")
    return [_SLOT.answer(busy["pss"], rung=str(sandbox.rung), **busy), _IDLE.answer(idle["pss"], **idle)]


def measure(quick: bool) -> list[Row]:
    return asyncio.run(measure_all())


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
