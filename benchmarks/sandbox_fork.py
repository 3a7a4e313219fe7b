"""What a short test in the sandbox costs, beside the floor: a bare fork.

    python -m benchmarks.sandbox_fork [--quick] [--imports]

``--imports`` shows instead what each preimported module costs every fork.
"""

from __future__ import annotations

import contextlib
import resource
import sys

from benchmarks.contestants import PROGRAM, TESTS, Forker, Rlef, fresh
from benchmarks.machine import FIRST, say
from benchmarks.module import main
from benchmarks.rounds import Times, interleave, repeated
from benchmarks.rows import Question, Row
from rlef.sandbox.host import interpreter

_LONGER = PROGRAM + "".join(
    f"def f{k}(a, b):\n    return [x * a + b for x in range({k})]\n" for k in range(40)
)
_TEST = Question("one short stdio test, L3, one core", "ms", "<= 1.2")
_RATE = Question("short stdio tests, L3, one core", "tests/s", ">= 800")
_TOLD = {
    "bare fork": Question("  beside it: bare fork of an empty interpreter", "ms"),
    "bare fork, runs": Question("  beside it: bare fork that runs the program", "ms"),
    "rlef, 10 tests": Question("  the same, 10 tests a program", "ms"),
    "rlef, 3 tests": Question("  the same, 3 tests a program", "ms"),
    "rlef, 1 test": Question("  the same, 1 test a program", "ms"),
    "rlef, longer": Question("  the same, a program of 80 lines", "ms"),
    "rlef, longer, 3 tests": Question("  the same, a program of 80 lines, 3 tests", "ms"),
    "fresh": Question("  beside it: a fresh `python -I -S` a test, no isolation", "ms"),
}
QUESTIONS = (_TEST, _RATE, *_TOLD.values())


def measure(quick: bool) -> list[Row]:
    with contextlib.ExitStack() as stack:
        rlef = stack.enter_context(Rlef(floor="L3"))
        contestants = {
            "rlef": rlef.per_test(TESTS),
            "bare fork": stack.enter_context(Forker("nothing")),
            "bare fork, runs": stack.enter_context(Forker("run")),
            "rlef, 10 tests": repeated(rlef.per_test(10), 4),
            "rlef, 3 tests": repeated(rlef.per_test(3), 10),
            "rlef, 1 test": repeated(rlef.per_test(1), 30),
            "rlef, longer": rlef.per_test(TESTS, source=_LONGER),
            "rlef, longer, 3 tests": repeated(rlef.per_test(3, source=_LONGER), 8),
            "fresh": repeated(fresh([interpreter(), "-I", "-S", "-c", PROGRAM]), 6),
        }
        times = interleave(contestants, rounds=5 if quick else 60, seconds=50)
        supervisor = _supervisor_ms(rlef)
    return _rows(times, supervisor)


def _rows(times: Times, supervisor: float) -> list[Row]:
    details, middle = times.details(), times.median("rlef")
    rows = [
        _TEST.answer(middle, **details["rlef"], supervisor_cpu_ms=supervisor),
        _RATE.answer(1000 / middle, **details["rlef"]),
    ]
    for name, question in _TOLD.items():
        rows.append(question.answer(times.median(name), **details[name]))
    return rows


def _supervisor_ms(rlef: Rlef) -> float:
    """CPU of this process for a test: what rlef takes outside its slots."""
    contestant, rounds = rlef.per_test(TESTS), 5
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(rounds):
        contestant()
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(spent * 1e3 / rounds / TESTS, 4)


def imports() -> None:
    """Cost of each module to every fork."""
    from rlef.sandbox.zygote.boot import PREIMPORTED

    groups = ["", *PREIMPORTED, " ".join(PREIMPORTED)]
    with contextlib.ExitStack() as stack:
        contestants = {group: stack.enter_context(Forker("run", group)) for group in groups}
        times = interleave(contestants, rounds=30, seconds=60)
    for group in groups:
        name = "all" if " " in group else group or "none"
        more = times.median(group) - times.median("")
        print(f"{name:20}{times.median(group):8.3f} ms a fork{more:+8.3f}")


if __name__ == "__main__":
    if "--imports" in sys.argv:
        say(f"on CPU {FIRST}")
        imports()
    else:
        main(__doc__, QUESTIONS, measure)
