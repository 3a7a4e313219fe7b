"""Eight times more programs at a time than cores: does the judge still tell time rightly?

    python -m benchmarks.oversubscription [--quick]

Programs burn a given share of their CPU limit by their own CPU clock. At 0.8 of it none may be called too
slow, at 1.5 none may pass. Beside it a judge by the wall clock, as most are, that allows twice the
limit. No time is measured here, so a busy machine only makes it harder.
"""

from __future__ import annotations

import asyncio
import collections
import time

import rlef.config
from benchmarks.machine import ALL
from benchmarks.module import main
from benchmarks.rows import Question, Row
from rlef.sandbox import RunLimits, Sandbox
from rlef.sandbox.host import interpreter
from rlef.sandbox.types import Status

_TIMES = 8
_CPU_S = 0.1
_FALSE_LIMITS = Question(
    "8x oversubscribed, 0.8 of the limit: false time limits in 1,000", "programs", "<= 0"
)
_FALSE_PASSES = Question("8x oversubscribed, 1.5 of the limit: false passes in 100", "programs", "<= 0")
_WALL = Question("  beside it: a wall clock at twice the limit, 0.8: false time limits", "%")
QUESTIONS = (_FALSE_LIMITS, _FALSE_PASSES, _WALL)


def burner(share: float) -> str:
    """A program that uses ``share`` of the limit and says so."""
    return f"import time\nwhile time.process_time() < {share * _CPU_S}:\n    pass\nprint('done')\n"


async def burn(sandbox: Sandbox, share: float, programs: int) -> dict[str, int]:
    """How many of so many programs, all submitted at once, ended how."""
    limits, source = RunLimits(cpu_s=_CPU_S), burner(share)

    async def one() -> str:
        async for result in sandbox.run(source, [b""], limits):
            return "passed" if result.ok and result.stdout == b"done\n" else str(result.status)
        raise AssertionError("a run without a result")

    return dict(collections.Counter(await asyncio.gather(*[one() for _ in range(programs)])))


async def burn_by_the_wall_clock(share: float, programs: int) -> float:
    """Percentage of programs that a judge by the wall clock calls too slow."""
    places = asyncio.Semaphore(_TIMES * len(ALL))

    async def one() -> bool:
        async with places:
            process = await asyncio.create_subprocess_exec(interpreter(), "-I", "-S", "-c", burner(share))
            try:
                await asyncio.wait_for(process.wait(), 2 * _CPU_S)
            except TimeoutError:
                process.kill()
                await process.wait()
                return True
            return False

    return 100 * sum(await asyncio.gather(*[one() for _ in range(programs)])) / programs


async def measure_all(quick: bool) -> list[Row]:
    slow, fast = (64, 16) if quick else (1000, 100)
    started = time.monotonic()
    settings = rlef.config.Sandbox(slots=_TIMES * len(ALL))
    async with await Sandbox.open(settings) as sandbox:
        under = await burn(sandbox, 0.8, slow)
        over = await burn(sandbox, 1.5, fast)
    wall = await burn_by_the_wall_clock(0.8, 32 if quick else 100)
    details = {"rung": str(sandbox.rung), "slots": sandbox.slots, "cpus": len(ALL), "cpu_limit_s": _CPU_S}
    details["seconds"] = round(time.monotonic() - started, 1)
    false_limits = under.get(Status.CPU_LIMIT, 0) + under.get(Status.IDLE_LIMIT, 0)
    if under.get("passed", 0) + false_limits != slow or set(over) - {"passed", str(Status.CPU_LIMIT)}:
        raise RuntimeError(f"programs ended as they should not: {under}, {over}")
    return [
        _FALSE_LIMITS.answer(false_limits, programs=slow, ended=under, **details),
        _FALSE_PASSES.answer(over.get("passed", 0), programs=fast, ended=over, **details),
        _WALL.answer(wall),
    ]


def measure(quick: bool) -> list[Row]:
    return asyncio.run(measure_all(quick))


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
