"""Many programs with known verdicts through a real judge, while faults are put into the sandbox.

python scripts/soak.py [--programs 20000] [--inject] [--seed 0]

Prints how many verdicts of each kind came, what was put in, how many verdicts were wrong, how many
tests the sandbox gave up (``judge_error``: allowed only where faults are put in), and what this
process and its slots held at the start, after a warm-up, and at the end. Exit code 1 if any verdict
is wrong, if a test is given up without a fault, or if something has grown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import rlef.config
from rlef.errors import SandboxError
from rlef.judge import Judge, Verdict
from rlef.sandbox import RunLimits, Sandbox, cgroups
from soak_faults import Faults, below
from soak_programs import Case, case

_PAGE = os.sysconf("SC_PAGE_SIZE")
_FILES = "n = int(open('in').read())\nopen('out', 'w').write(str(n + 1))\nprint(n)"
ROOM = {"trainer MiB": 8.0, "largest zygote MiB": 2.0}
"""How much a level may grow; all others may not."""


@dataclass
class Result:
    """What came of a soak."""

    programs: int = 0
    cancelled: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    given_up: Counter[str] = field(default_factory=Counter)
    """Messages of judge errors, numbers left out."""
    faults: Counter[str] = field(default_factory=Counter)
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def grown(self) -> list[str]:
        """Levels that are higher at the end than they were."""
        return [name for name, level in self.before.items() if self.after[name] > level + ROOM.get(name, 0)]

    @property
    def ok(self) -> bool:
        """True if nothing was wrong."""
        return not self.wrong and not self.grown and (not self.given_up or bool(self.faults))


def levels() -> dict[str, float]:
    """What this process and its slots hold."""
    parents = below(os.getpid())
    launchers = [pid for pid, parent in parents.items() if parent == os.getpid()]
    zygotes = [pid for pid, parent in parents.items() if parent in launchers]
    places = cgroups.find()
    groups = set() if isinstance(places, str) else {places.memory, places.pids}
    return {
        "trainer MiB": _resident(os.getpid()),
        "largest zygote MiB": max(map(_resident, zygotes), default=0.0),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "processes": len(parents),
        "zombies": sum(_state(pid) == "Z" for pid in parents),
        "cgroups": sum(len(list(group.glob(f"rlef-{os.getpid()}-*"))) for group in groups),
        "temporary files": len(list(Path(tempfile.gettempdir()).iterdir())),
        "shared memory": len(list(Path("/dev/shm").iterdir())),
    }


def _resident(pid: int) -> float:
    with contextlib.suppress(FileNotFoundError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 2**20
    return 0.0


def _state(pid: int) -> str:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


class Soak:
    """A judge that is given programs, and what it says held against what is known."""

    def __init__(self, sandbox: Sandbox, seed: int, result: Result) -> None:
        self.sandbox, self.judge = sandbox, Judge(sandbox, cache=64)
        self.seed, self.result = seed, result

    async def run(self, numbers: range, at_a_time: int) -> None:
        """Judge the programs with these numbers."""
        left = iter(numbers)

        async def worker() -> None:
            for number in left:
                await self._one(number)
                self.result.programs += 1
                if number >= 0 and self.result.programs % 1000 == 0:
                    done, wrong = self.result.programs, len(self.result.wrong)
                    print(f"{done} programs, {wrong} wrong", file=sys.stderr, flush=True)

        await asyncio.gather(*(worker() for _ in range(at_a_time)))

    async def _one(self, number: int) -> None:
        if number % 50 == 7:
            await self._with_files(number)
            return
        known = case(number, self.seed)
        judged = self.judge.hidden if known.hidden else self.judge.public
        task = asyncio.ensure_future(judged(known.problem, known.code))
        if number % 40 == 3:
            await asyncio.sleep(0.001 * (number % 23))
            task.cancel()
            await asyncio.wait([task])
            self.result.cancelled += 1
            return
        self._hold(known, (await task).tests)

    def _hold(self, known: Case, reports: tuple) -> None:  # type: ignore[type-arg]
        found = [report.verdict for report in reports]
        self.result.verdicts.update(verdict.value for verdict in found)
        if Verdict.JUDGE_ERROR in found:
            at = found.index(Verdict.JUDGE_ERROR)
            self._give_up(reports[at].error)
            right = found[:at] == list(known.verdicts[:at])
        else:
            right = found == list(known.verdicts)
        if not right:
            detail = [(r.input.strip(), r.verdict.value, r.error[-200:], r.cpu_s) for r in reports]
            self.result.wrong.append(f"{known.problem.id}: {detail}, known {[*map(str, known.verdicts)]}")

    def _give_up(self, message: str) -> None:
        self.result.given_up[re.sub(r"\d+", "N", message)] += 1

    async def _with_files(self, number: int) -> None:
        """A program that reads and writes files, in slots of another profile."""
        files = [{"in": b"%d" % (number + k)} for k in range(3)]
        runs = self.sandbox.run(_FILES, [b""] * 3, RunLimits(), files=files, collect={"out": 100})
        try:
            found = [(r.stdout, r.files) async for r in runs]
        except SandboxError as error:
            self._give_up(str(error))
            self.result.verdicts["judge_error"] += 1
            return
        known = [(b"%d\n" % (number + k), {"out": b"%d" % (number + k + 1)}) for k in range(3)]
        self.result.verdicts["files"] += 1
        if found != known:
            self.result.wrong.append(f"files {number}: {found}")


async def soak(
    sandbox: Sandbox, programs: int, *, warm_up: int, inject: bool, seed: int, every_s: float = 0.15
) -> Result:
    """Run ``warm_up`` programs, then ``programs``, with faults if ``inject``."""
    result, aside = Result(), Result()
    at_a_time = 4 * sandbox.slots
    await Soak(sandbox, seed, aside).run(range(-warm_up, 0), at_a_time)
    await quiet(sandbox)
    result.before = levels()
    started = time.monotonic()
    faults = Faults(seed)
    with faults.installed():
        rain = asyncio.ensure_future(faults.rain(every_s)) if inject else None
        await Soak(sandbox, seed, result).run(range(programs), at_a_time)
        if rain:
            rain.cancel()
            await asyncio.wait([rain])
    result.wrong += aside.wrong
    result.seconds = time.monotonic() - started
    result.faults = faults.counts
    # Slots that were killed last come back; a slot of each profile, as after the warm-up.
    await Soak(sandbox, seed, aside).run(range(-warm_up, 0), at_a_time)
    await quiet(sandbox)
    result.after = levels()
    return result


async def quiet(sandbox: Sandbox) -> None:
    """Wait until every place has an idle slot of each profile: a launcher and a zygote."""
    for _ in range(100):
        for files in (None, [{"in": b""}]):
            await asyncio.gather(*(_breath(sandbox, files) for _ in range(sandbox.slots)))
        await asyncio.sleep(0.1)
        if len(below(os.getpid())) == 2 * 2 * sandbox.slots:
            break


async def _breath(sandbox: Sandbox, files: list[dict[str, bytes]] | None) -> None:
    with contextlib.suppress(SandboxError):
        source = "import time; time.sleep(0.2)"
        async for _ in sandbox.run(source, [b""], RunLimits(), files=files):
            pass


def show(result: Result) -> None:
    """Print the result."""
    print(f"{result.programs} programs in {result.seconds:.0f} s, {result.cancelled} of them cancelled")
    print("tests:  " + ", ".join(f"{n} {name}" for name, n in result.verdicts.most_common()))
    print(f"faults: {result.faults.total()}")
    for name, n in sorted(result.faults.items()):
        print(f"        {n:6d} {name}")
    print(f"given up: {result.given_up.total()}")
    for name, n in result.given_up.most_common():
        print(f"        {n:6d} {name}")
    print(f"{'':24s}{'before':>10s}{'after':>10s}")
    for name, level in result.before.items():
        print(f"{name:24s}{level:10.4g}{result.after[name]:10.4g}{'  grown' if name in result.grown else ''}")
    for line in result.wrong[:20]:
        print(f"WRONG {line}")
    print(f"{len(result.wrong)} wrong")


async def _main(options: argparse.Namespace) -> int:
    async with await Sandbox.open(rlef.config.Sandbox()) as sandbox:
        result = await soak(
            sandbox,
            options.programs,
            warm_up=min(1000, options.programs),
            inject=options.inject,
            seed=options.seed,
        )
    show(result)
    return 0 if result.ok else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--programs", type=int, default=20_000)
    parser.add_argument("--inject", action="store_true", help="put faults in")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    options = _options()
    with tempfile.TemporaryDirectory(prefix="rlef-soak-") as folder:
        tempfile.tempdir = folder
        code = asyncio.run(_main(options))
    sys.exit(code)
