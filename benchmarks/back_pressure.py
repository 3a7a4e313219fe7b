"""What programs cost that wait to be judged: memory of very many callers, and how soon all are gone.

    python benchmarks/back_pressure.py [--programs 100000] [--json]

Every program is another one, on a problem with 20 tests of 10 kB. One slot is kept busy, so that
nothing moves. Beside it, what as many tasks cost that wait for nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from pathlib import Path

import rlef.config
from rlef.judge import Judge
from rlef.problems.types import Limits, Problem, TestCase
from rlef.sandbox import RunLimits, Sandbox

TESTS = tuple(TestCase(input=f"{k} " + "7 " * 5000, output="x") for k in range(20))
PROBLEM = Problem(id="p", statement="", public_tests=TESTS, limits=Limits(cpu_s=1))


def resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def waiting(count: int, judged: bool) -> tuple[float, float]:
    """Bytes a program while ``count`` wait, and seconds until all of them are cancelled."""
    async with await Sandbox.open(rlef.config.Sandbox(slots=1)) as sandbox:
        judge = Judge(sandbox)

        async def one(k: int) -> None:
            if judged:
                await judge.public(PROBLEM, f"print({k})")
            else:
                await asyncio.sleep(0)
                await asyncio.Future()

        async def busy() -> None:
            async for _ in sandbox.run("import time\ntime.sleep(600)", [b""], RunLimits(wall_s=600)):
                pass

        tasks = [asyncio.create_task(busy())]
        await asyncio.sleep(0.1)
        before = resident_bytes()
        tasks += [asyncio.create_task(one(k)) for k in range(count)]
        for _ in range(20):
            await asyncio.sleep(0)
        await asyncio.sleep(0.5)
        held = (resident_bytes() - before) / count
        began = time.perf_counter()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return held, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    idle, _ = asyncio.run(waiting(arguments.programs, judged=False))
    held, seconds = asyncio.run(waiting(arguments.programs, judged=True))
    inputs = sum(len(test.input) for test in TESTS)
    rows = {
        "programs that wait": arguments.programs,
        "bytes a program that waits": round(held),
        "bytes an idle task": round(idle),
        "bytes of a program's inputs": inputs,
        "seconds until all are cancelled": round(seconds, 2),
    }
    print(json.dumps(rows) if arguments.json else "\n".join(f"{k:35}{v}" for k, v in rows.items()))


if __name__ == "__main__":
    main()
