"""Programs whose verdict on each test is known before they run.

One program does as its input, or the arguments of a call, say: it adds, adds wrongly, fails in
several ways, or runs into one of its limits. So neighbouring tests have different verdicts, and
one that is given to the wrong test, run or program is found out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from rlef.judge import Verdict
from rlef.problems.types import Limits, Problem, TestCase

LIMITS = Limits(cpu_s=0.3, memory_bytes=64 * 2**20, output_bytes=20_000)
"""Enough CPU time to touch the memory on a machine that does much else: at a third of it 3 of 20,000
programs ran into the limit of time before that of memory."""

_ACTOR = """
import os, sys
def act(word, *numbers):
    total = sum(numbers)
    if word == "off": total += 1
    elif word == "mute": return None
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
    return total
"""
_MAIN = """
word, *numbers = input().split()
result = act(word, *map(int, numbers))
if result is not None: print(result)
"""
_FORGETFUL = """
first, calls = act, []
def act(*arguments):
    calls.append(1)
    result = first(*arguments)
    return result if result is None else result + len(calls) - 1
"""
"""Right as long as no call of the function sees another one."""

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
    call = random.random() < 0.2
    tests = tuple(_test(act, random, call) for act in acts)
    verdicts = [ACTS[act][1] for act in acts]
    code = f"# {number}\n{_ACTOR}"
    if not call:
        code += _MAIN
    elif random.random() < 0.3:
        code += _FORGETFUL
    if random.random() < 0.05:  # long enough to be compiled once for all tests
        code += "".join(f"# {random.random()}\n" for _ in range(300))
    if random.random() < 0.06:
        code += random.choice(_BROKEN)
        verdicts = [Verdict.COMPILE_ERROR] * count
    if hidden:
        ends = (k + 1 for k, verdict in enumerate(verdicts) if verdict is not Verdict.ACCEPTED)
        verdicts = verdicts[: next(ends, count)]
    named = {"private_tests" if hidden else "public_tests": tests}
    form = {"form": "call", "entry_point": "act"} if call else {}
    parts: dict[str, Any] = {"public_tests": (), **named, **form}
    problem = Problem(id=f"soak/{number}", statement="", limits=LIMITS, **parts)
    return Case(problem, code, hidden, tuple(verdicts))


def _test(act: str, random: Random, call: bool) -> TestCase:
    numbers = [random.randrange(1000) for _ in range(3)]
    text = json.dumps([act, *numbers]) if call else f"{act} {' '.join(map(str, numbers))}\n"
    return TestCase(input=text, output=f"{sum(numbers)}")
