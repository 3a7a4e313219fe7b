"""What a test in the sandbox costs, beside the floor (a bare fork) and the ordinary way (a subprocess).

    python benchmarks/sandbox_fork.py [--rounds 40] [--json] [--imports]

All contestants run the same program on the same input, on one CPU, in turn within each round,
so that a busy neighbour hits all alike. Read the low quantile for what the machine can do and
the median for what it did.
``--imports`` shows instead what each preimported module costs every fork and saves its users.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import rlef.config
from rlef.sandbox import RunLimits, Sandbox
from rlef.sandbox.slot import interpreter

PROGRAM = "import sys\nprint(sum(map(int, sys.stdin.read().split())))\n"
LONGER = PROGRAM + "".join(
    f"def f{k}(a, b):\n    return [x * a + b for x in range({k})]\n" for k in range(40)
)
INPUT = b"40 2\n"
CPU = min(os.sched_getaffinity(0))
Measure = Callable[[], float]

# As small as an interpreter can be: it forks and waits, its child runs the program or nothing.
FORKER = """
import gc, os, sys, time
os.sched_setaffinity(0, {%d})
for name in sys.argv[2].split(): __import__(name)
code = compile(%r, "x", "exec") if sys.argv[1] == "run" else None
null = os.open("/dev/null", os.O_RDWR)
gc.collect(); gc.freeze()
for line in sys.stdin:
    started = time.perf_counter_ns()
    for _ in range(int(line)):
        pid = os.fork()
        if not pid:
            if code:
                os.dup2(null, 0); os.dup2(null, 1)
                exec(code, {"__builtins__": __builtins__}); sys.stdout.flush()
            os._exit(0)
        os.waitpid(pid, 0)
    print(time.perf_counter_ns() - started, flush=True)
"""


class Forker:
    """A bare fork server without any isolation."""

    def __init__(self, what: str, modules: str = "") -> None:
        command = [interpreter(), "-I", "-S", "-B", "-c", FORKER % (CPU, PROGRAM), what, modules]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, count: int = 10) -> float:
        """Milliseconds a fork."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()) / count / 1e6

    def close(self) -> None:
        """End the server."""
        self.process.communicate()


def subprocess_ms() -> float:
    started = time.perf_counter()
    command = ["taskset", "-c", str(CPU), interpreter(), "-I", "-S", "-c", PROGRAM]
    done = subprocess.run(command, input=INPUT, capture_output=True, check=True)
    assert done.stdout == b"42\n"
    return (time.perf_counter() - started) * 1e3


def sandbox_ms(loop: asyncio.AbstractEventLoop, sandbox: Sandbox, source: str, tests: int) -> float:
    """Milliseconds for one program on ``tests`` inputs, through the whole public interface."""

    async def run() -> None:
        async for result in sandbox.run(source, [INPUT] * tests, RunLimits()):
            assert result.ok and result.stdout == b"42\n", result

    started = time.perf_counter()
    loop.run_until_complete(run())
    return (time.perf_counter() - started) * 1e3


def low(values: list[float]) -> float:
    return sorted(values)[len(values) // 10]


def measure(rounds: int) -> dict[str, list[float]]:
    loop = asyncio.new_event_loop()
    sandbox = loop.run_until_complete(Sandbox.open(rlef.config.Sandbox(slots=1)))
    empty, running = Forker("nothing"), Forker("run")

    def rlef_(tests: int, source: str = PROGRAM) -> Measure:
        return lambda: sandbox_ms(loop, sandbox, source, tests) / tests

    contestants: dict[str, Measure] = {
        "bare fork, empty child": empty,
        "bare fork, runs the program": running,
        "rlef, 60 tests a program": rlef_(60),
        "rlef, 6 tests a program": rlef_(6),
        "rlef, 3 tests a program": rlef_(3),
        "rlef, 1 test a program": rlef_(1),
        "rlef, 60 tests, 80-line program": rlef_(60, LONGER),
        "rlef, 3 tests, 80-line program": rlef_(3, LONGER),
        "subprocess python -I -S": subprocess_ms,
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            times[name].append(contestant())
    loop.run_until_complete(sandbox.close())
    loop.close()
    empty.close()
    running.close()
    print(f"isolation {sandbox.rung}, Python {sys.version.split()[0]}, kernel {os.uname().release}")
    return times


def report(times: dict[str, list[float]]) -> None:
    floor, ordinary = low(times["bare fork, empty child"]), low(times["subprocess python -I -S"])
    print(f"{'ms a test':34}{'p10':>8}{'median':>8}{'max':>8}{'x bare fork':>13}{'x subprocess':>14}")
    for name, values in times.items():
        row = low(values), statistics.median(values), max(values)
        print(f"{name:34}" + "".join(f"{v:8.2f}" for v in row), end="")
        print(f"{row[0] / floor:13.1f}{row[0] / ordinary:14.2f}")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs", end=", ")
    print(f"trainer CPU {sum(resource.getrusage(resource.RUSAGE_SELF)[:2]):.1f} s")


def imports() -> None:
    """Cost of each module to every fork, and of importing it in a fork that lacks it."""
    from rlef.sandbox.zygote.boot import PREIMPORTED

    groups = ["", *PREIMPORTED, " ".join(PREIMPORTED)]
    forkers = [Forker("run", group) for group in groups]
    times: list[list[float]] = [[] for _ in groups]
    for _ in range(30):
        for values, forker in zip(times, forkers, strict=True):
            values.append(forker())
    for forker in forkers:
        forker.close()
    for group, values in zip(groups, times, strict=True):
        name = "all" if " " in group else group or "none"
        print(f"{name:20}{low(values):8.3f} ms a fork{low(values) - low(times[0]):+8.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true", help="print all times as JSON")
    parser.add_argument("--imports", action="store_true")
    arguments = parser.parse_args()
    if arguments.imports:
        imports()
        return
    times = measure(arguments.rounds)
    print(json.dumps(times)) if arguments.json else report(times)


if __name__ == "__main__":
    main()
