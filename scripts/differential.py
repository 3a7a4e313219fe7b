"""Do honest programs give the same in the sandbox as in a plain interpreter?

RLEF_DATA=FOLDER python scripts/differential.py [--programs 2000] [--seed 0]

Runs every program of `differential_programs` in both and compares the bytes on stdout, the exit
code, and all of stderr (tracebacks too: the plain side's path of the program is replaced by the
sandbox's). Prints one line for each source, and each difference. Exit code 1 if there is a
difference that `EXPLAINED` has no reason for.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import rlef.config
from differential_plain import Outcome, Plain, refusal
from differential_programs import SOURCES, Program, data_folder, programs
from rlef.sandbox import RunLimits, RunResult, Sandbox, Status

LIMITS = RunLimits(cpu_s=0.5)
_PLAIN = Plain(cpu_s=1, memory_bytes=1536 * 2**20, output_bytes=LIMITS.output_bytes)
"""CPU and memory are limited more loosely than in the sandbox: what ends at the sandbox's limit
should run on here, so that `_at_limit` can tell whether it would have ended by itself."""

_ADDRESS = re.compile(rb"\b0x[0-9a-f]{6,}")


@dataclass(frozen=True, slots=True)
class Difference:
    """One run that ended differently."""

    program: Program
    stdin: bytes
    what: str
    sandbox: RunResult
    plain: Outcome

    @property
    def reason(self) -> str:
        """The reason in `EXPLAINED`; empty if there is none."""
        return next((reason for reason, holds in EXPLAINED.items() if holds(self)), "")


def _says_the_same(found: Difference, strip: Callable[[bytes], bytes]) -> bool:
    sides = found.sandbox.stderr, found.plain.stderr
    ours, plain = ([text for line in side.splitlines() if (text := strip(line))] for side in sides)
    return found.what == "stderr" and ours == plain


def _compiler(found: Difference) -> bool:
    if found.sandbox.status is not Status.COMPILE_ERROR:
        return False
    return _says_the_same(found, lambda line: line.strip(b" \t^"))


def _white_space(found: Difference) -> bool:
    return _says_the_same(found, bytes.rstrip)


def _interrupt(found: Difference) -> bool:
    ends = found.sandbox.exit_code, found.plain.signal
    return ends == (130, signal.SIGINT) and found.plain.stderr.endswith(b"KeyboardInterrupt\n")


EXPLAINED: dict[str, Callable[[Difference], bool]] = {
    "CPython's module traceback indents and underlines compile errors unlike its parser": _compiler,
    "white space at the end of a quoted line is left out: traceback misplaces marks otherwise": _white_space,
    "an uncaught KeyboardInterrupt: pid 1 of a namespace can't kill itself, so it exits with 130": _interrupt,
}
"""Reason to test: differences that are known, and why they are no fault."""


@dataclass(slots=True)
class Summary:
    """What was run and what came of it."""

    programs: Counter[str]
    runs: int
    endings: Counter[str]
    refused: list[tuple[Program, str]]
    differences: list[Difference]

    @property
    def unexplained(self) -> list[Difference]:
        """Differences that no reason was given for."""
        return [difference for difference in self.differences if not difference.reason]


def difference(sandbox: RunResult, plain: Outcome) -> str:
    """What differs; empty if nothing does."""
    if sandbox.status in (Status.CPU_LIMIT, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT, Status.IDLE_LIMIT):
        return "" if _at_limit(sandbox.status, plain) else f"only the sandbox says {sandbox.status}"
    ending = (1, 0) if sandbox.status is Status.COMPILE_ERROR else (sandbox.exit_code, sandbox.signal)
    if ending != (plain.exit_code, plain.signal):
        return f"ends with {ending}, plainly with {plain.exit_code, plain.signal}"
    if _ADDRESS.sub(b"0x", sandbox.stdout) != _ADDRESS.sub(b"0x", plain.stdout):
        return "stdout"
    stderr = plain.stderr[-LIMITS.stderr_bytes :]
    return "" if _ADDRESS.sub(b"0x", sandbox.stderr) == _ADDRESS.sub(b"0x", stderr) else "stderr"


def _at_limit(status: Status, plain: Outcome) -> bool:
    """Whether the plain run confirms that the program takes more than it may."""
    if status is Status.CPU_LIMIT:
        return plain.cpu_s > LIMITS.cpu_s / 2
    if status is Status.MEMORY_LIMIT:
        return plain.peak_bytes > LIMITS.memory_bytes or b"MemoryError" in plain.stderr
    if status is Status.OUTPUT_LIMIT:
        return len(plain.stdout) > LIMITS.output_bytes
    return plain.slept


async def compare(chosen: Iterable[Program], sandbox: Sandbox, *, at_a_time: int) -> Summary:
    """Run all programs on both sides."""
    summary = Summary(Counter(), 0, Counter(), [], [])
    turn = asyncio.Semaphore(at_a_time)

    async def one(program: Program) -> None:
        async with turn:
            results = [result async for result in sandbox.run(program.code, program.stdins, LIMITS)]
            for result, stdin in zip(results, program.stdins, strict=False):
                plain = await asyncio.to_thread(_PLAIN.run, program.code, stdin)
                summary.runs += 1
                summary.endings[_ending(result)] += 1
                if what := difference(result, plain):
                    summary.differences.append(Difference(program, stdin, what, result, plain))
            if len(results) < len(program.stdins) and results[-1].status is not Status.COMPILE_ERROR:
                raise AssertionError(
                    f"{program.name}: {len(results)} results for {len(program.stdins)} inputs"
                )

    work = []
    for program in chosen:
        if reason := refusal(program.code):
            summary.refused.append((program, reason))
        else:
            summary.programs[program.source] += 1
            work.append(one(program))
    await asyncio.gather(*work)
    return summary


def _ending(result: RunResult) -> str:
    return "failed" if result.status is Status.EXITED and result.exit_code else result.status.value


def _show(difference: Difference) -> None:
    print(f"\n{difference.program.source}: {difference.program.name}: {difference.what}")
    if difference.reason:
        print(f"  known: {difference.reason}")
        return
    print(f"  stdin    {difference.stdin[:200]!r}")
    for side in (difference.sandbox, difference.plain):
        ending = f"{type(side).__name__:9s} {side.exit_code} {side.signal}"
        print(f"  {ending} {side.stdout[-300:]!r} {side.stderr[-600:]!r}")


async def _main(count: int, seed: int) -> int:
    data = data_folder()
    if data is None:
        print("no benchmarks: set RLEF_DATA to the folder that holds mbpp.jsonl.gz", file=sys.stderr)
    started = time.monotonic()
    async with await Sandbox.open(rlef.config.Sandbox()) as sandbox:
        summary = await compare(programs(count, data, seed), sandbox, at_a_time=2 * (os.cpu_count() or 1))
    for found in summary.differences:
        _show(found)
    for program, reason in summary.refused:
        print(f"left out: {program.name} {reason}")
    print()
    for source in SOURCES:
        differ = sum(d.program.source == source for d in summary.differences)
        print(f"{source:12s} {summary.programs[source]:5d} programs  {differ} differ")
    print(f"{'all':12s} {summary.programs.total():5d} programs  {summary.runs} runs, of which")
    print("             " + ", ".join(f"{n} {name}" for name, n in summary.endings.most_common()))
    known = len(summary.differences) - len(summary.unexplained)
    print(f"{len(summary.differences)} differ, {known} of them for a known reason; ", end="")
    print(f"{len(summary.refused)} left out; {time.monotonic() - started:.0f} s")
    return 1 if summary.unexplained else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--programs", type=int, default=2000, help="how many programs (2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutants (0)")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _arguments()
    sys.exit(asyncio.run(_main(arguments.programs, arguments.seed)))
