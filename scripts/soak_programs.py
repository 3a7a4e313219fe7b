"""Programs whose verdict on each test is known before they run.

One program does as its input says: it adds, adds wrongly, fails in several ways, or runs into one of
its limits. So neighbouring tests have different verdicts, and one that is given to the wrong
test, run or program is found out.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from rlef.judge import Verdict
from rlef.problems.types import Limits, Problem, TestCase

LIMITS = Limits(cpu_s=0.1, memory_bytes=64 * 2**20, output_bytes=20_000)

_ACTOR = """
import os, sys
word, *numbers = input().split()
total = sum(map(int, numbers))
if word == "add": print(total)
elif word == "off": print(total + 1)
elif word == "mute": pass
elif word == "raise": raise ValueError(total)
elif word == "exit": sys.exit(total % 200 + 1)
elif word == "late": print(total); sys.exit("failed after all")
elif word == "abort": os.abort()
elif word == "flood":
    while True: print("x" * 1000)
elif word == "loop":
    while True: pass
elif word == "hold": held = bytearray(2 ** 31)
elif word == "touch":
    held = []
    while True: held.append(bytearray(b"x") * 2 ** 20)
"""

ACTS = {
    "add": (800, Verdict.ACCEPTED),
    "off": (80, Verdict.WRONG_ANSWER),
    "mute": (20, Verdict.WRONG_ANSWER),
    "raise": (40, Verdict.RUNTIME_ERROR),
    "exit": (20, Verdict.RUNTIME_ERROR),
    "late": (10, Verdict.RUNTIME_ERROR),
    "abort": (10, Verdict.RUNTIME_ERROR),
    "flood": (10, Verdict.OUTPUT_LIMIT),
    "loop": (10, Verdict.TIME_LIMIT),
    "hold": (6, Verdict.MEMORY_LIMIT),
    "touch": (4, Verdict.MEMORY_LIMIT),
}
"""What a test may ask for, how often, and the verdict."""

_BROKEN = ("def f(:\n", "(", "x = = 1\n", "return 1\n", "  x\n y\n", "'", "\0")


@dataclass(frozen=True, slots=True)
class Case:
    """A program, and what the judge must say about its tests."""

    problem: Problem
    code: str
    hidden: bool
    """Judged as hidden tests are: up to the first failure."""
    verdicts: tuple[Verdict, ...]


def case(number: int, seed: int) -> Case:
    """The program with this number. All differ, so that the judge runs each."""
    random = Random(f"soak {seed} {number}")
    hidden = random.random() < 0.3
    count = 40 if random.random() < 0.02 else random.randint(1, 6)
    acts = random.choices(list(ACTS), [weight for weight, _ in ACTS.values()], k=count)
    tests = tuple(_test(act, random) for act in acts)
    verdicts = [ACTS[act][1] for act in acts]
    code = f"# {number}\n{_ACTOR}"
    if random.random() < 0.05:  # long enough to be compiled once for all tests
        code += "".join(f"# {random.random()}\n" for _ in range(300))
    if random.random() < 0.06:
        code += random.choice(_BROKEN)
        verdicts = [Verdict.COMPILE_ERROR] * count
    if hidden:
        ends = (k + 1 for k, verdict in enumerate(verdicts) if verdict is not Verdict.ACCEPTED)
        verdicts = verdicts[: next(ends, count)]
    named = {"private_tests" if hidden else "public_tests": tests}
    problem = Problem(id=f"soak/{number}", statement="", limits=LIMITS, **{"public_tests": (), **named})
    return Case(problem, code, hidden, tuple(verdicts))


def _test(act: str, random: Random) -> TestCase:
    numbers = [random.randrange(1000) for _ in range(3)]
    return TestCase(input=f"{act} {' '.join(map(str, numbers))}\n", output=f"{sum(numbers)}\n")
