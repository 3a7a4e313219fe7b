"""What a function call costs when a program's calls share a child: many calls, one chunk.

python -m benchmarks.function_calls [--quick]

Addition, so that nothing but the way there and back is measured.
"""

from __future__ import annotations

import time

from benchmarks.contestants import Rlef
from benchmarks.module import main
from benchmarks.rounds import Contestant, WrongOutput, interleave
from benchmarks.rows import Question, Row, one_line
from rlef.sandbox import RunLimits

_CALL = Question("a function call, chunked", "ms", "<= 0.05")
_RATIO = Question("  a stdio test over a chunked call", "times")
QUESTIONS = (_CALL, _RATIO)
_CALLS = 1000
_SOURCE = "def add(a, b):\n    return a + b\n"


def per_call(rlef: Rlef) -> Contestant:
    """One program, one function, many arguments."""
    arguments = [b"[%d, %d]" % (k, 2 * k) for k in range(_CALLS)]

    async def run() -> None:
        expected = 0
        async for result in rlef.sandbox.call(_SOURCE, "add", arguments, RunLimits()):
            if not result.ok or result.outward != b"%d" % expected:
                raise WrongOutput(f"rlef: {one_line(result)}")
            expected += 3

    def contestant() -> float:
        started = time.perf_counter()
        rlef.loop.run_until_complete(run())
        return (time.perf_counter() - started) * 1e3 / _CALLS

    return contestant


def measure(quick: bool) -> list[Row]:
    with Rlef() as rlef:
        contestants = {"rlef, calls": per_call(rlef), "rlef, tests": rlef.per_test()}
        times = interleave(contestants, rounds=5 if quick else 60, seconds=25)
    value, ratio = times.median("rlef, calls"), times.ratio("rlef, tests", "rlef, calls")
    return [_CALL.answer(value, rung=rlef.rung, ms=times.details()), _RATIO.answer(ratio, rung=rlef.rung)]


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
