"""What languages cost: compile and run C++, start node, import numpy; each beside the bare thing.

    python benchmarks/languages.py [--rounds 15]

Contestants take turns, so that a busy machine is busy for all. Read ratios, not milliseconds.
A time a test is that of a whole run divided by its tests: the supervisor's work is in it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy

import rlef.config
from rlef.sandbox import RunLimits, Sandbox
from rlef.sandbox.host import interpreter
from rlef.sandbox.languages import find
from rlef.sandbox.languages.tools import tool

TESTS = 60
INPUT, OUTPUT = b"40 2\n", b"42\n"
SUM = """#include <bits/stdc++.h>
int main() {
    std::vector<long long> all;
    for (long long x; std::cin >> x;) all.push_back(x);
    std::cout << std::accumulate(all.begin(), all.end(), 0LL) << "\\n";
}
"""
JS = "console.log(require('fs').readFileSync(0, 'utf8').split(/\\s+/).reduce((a, b) => a + Number(b), 0))"
NUMPY = """import sys
import numpy as np
print(np.array(sys.stdin.read().split(), dtype=int).sum())
"""
Contestant = Callable[[], Awaitable[float]]
"""Does its work once; milliseconds a test."""


def in_sandbox(sandbox: Sandbox, language: str, tests: int, sources: Callable[[], str]) -> Contestant:
    """A program on ``tests`` inputs in the sandbox."""

    async def run() -> float:
        source, started = sources(), time.perf_counter()
        async for result in sandbox.run(source, [INPUT] * tests, RunLimits(cpu_s=20), language=language):
            assert result.stdout == OUTPUT, result
        return (time.perf_counter() - started) * 1e3 / tests

    return run


def bare(command: list[str], stdin: bytes = INPUT, **options: Any) -> Contestant:
    """A new process each time, without any isolation."""

    async def run() -> float:
        started = time.perf_counter()
        done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=True, **options)
        assert not stdin or done.stdout == OUTPUT, done
        return (time.perf_counter() - started) * 1e3

    return run


def spawned(binary: str, folder: str) -> Contestant:
    """posix_spawn on files, the cheapest way there is; on one CPU, as the slots are."""
    source, target = Path(folder, "in"), Path(folder, "out")
    source.write_bytes(INPUT)

    async def run() -> float:
        cpus = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cpus)})
        started = time.perf_counter()
        for _ in range(TESTS):
            files = [
                (os.POSIX_SPAWN_OPEN, 0, str(source), os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(target), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            ]
            os.waitpid(os.posix_spawn(binary, ["sum"], {}, file_actions=files), 0)
        elapsed = time.perf_counter() - started
        os.sched_setaffinity(0, cpus)
        assert target.read_bytes() == OUTPUT
        return elapsed * 1e3 / TESTS

    return run


async def interleave(contestants: dict[str, Contestant], rounds: int) -> None:
    """Print the low decile and the median of each, and the ratio to the first."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(rounds + 1):
        for name, contestant in contestants.items():
            spent = await contestant()
            if round_:  # the first warms up
                times[name].append(spent)
    first = None
    for name, spent in times.items():
        low, middle = sorted(spent)[len(spent) // 10], statistics.median(spent)
        first = first or middle
        print(f"{name:58}{low:10.2f}{middle:10.2f}{middle / first:8.2f}")
    print()


async def measure(rounds: int) -> None:
    number = itertools.count()
    found = f"import sys\nsys.path.append({str(Path(numpy.__file__).parents[1])!r})\n"
    fresh = [interpreter(), "-I", "-S", "-c", found + NUMPY]
    compiler = tool(find("cpp")).path
    print(f"{'':58}{'p10 ms':>10}{'median':>10}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.cpp").write_text(SUM)
        plain = [compiler, "-std=c++20", "-O2", "-static", f"{folder}/a.cpp", "-o", f"{folder}/sum"]
        subprocess.run(plain, check=True)
        os.environ["RLEF_NATIVE"] = "0"
        slow = await Sandbox.open(rlef.config.Sandbox(slots=1))
        del os.environ["RLEF_NATIVE"]
        async with slow, await Sandbox.open(rlef.config.Sandbox(slots=1, preload=("numpy",))) as sandbox:
            await interleave(
                {
                    "C++: compile and run once, warm": in_sandbox(
                        sandbox, "cpp", 1, lambda: f"{SUM}// {next(number)}\n"
                    ),
                    "  g++ -O2 -static of the same": bare(plain, b""),
                },
                min(rounds, 10),
            )
            await interleave(
                {
                    f"C++: a test, {TESTS} of them": in_sandbox(sandbox, "cpp", TESTS, lambda: SUM),
                    "  the same, started in Python": in_sandbox(slow, "cpp", TESTS, lambda: SUM),
                    "  posix_spawn of the static binary": spawned(f"{folder}/sum", folder),
                },
                rounds,
            )
            await interleave(
                {
                    "JavaScript: a test, 10 of them": in_sandbox(sandbox, "javascript", 10, lambda: JS),
                    "  node": bare([tool(find("javascript")).path, "-e", JS]),
                },
                rounds,
            )
            await interleave(
                {
                    f"numpy: a test, {TESTS} of them": in_sandbox(sandbox, "python", TESTS, lambda: NUMPY),
                    "  a fresh interpreter": bare(fresh, env={"OPENBLAS_NUM_THREADS": "1"}),
                },
                rounds,
            )
    print(f"isolation {sandbox.rung}, {sys.version.split()[0]}, {os.cpu_count()} CPUs")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    asyncio.run(measure(parser.parse_args().rounds))
