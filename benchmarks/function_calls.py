"""What a function call costs when a program's calls share a child: many calls, one chunk.

python -m benchmarks.function_calls [--quick]

Addition, so that nothing but the way there and back is measured.
"""

from __future__ import annotations

import time

from benchmarks.contestants import Rlef
from benchmarks.module import main
from benchmarks.rounds import WrongOutput, interleave
from benchmarks.rows import Question, Row
from benchmarks.wiring import chunked_calls

_CALL = Question("a function call, chunked", "ms", "<= 0.05")
_RATIO = Question("  a stdio test over a chunked call", "times")
QUESTIONS = (_CALL, _RATIO)
_CALLS = 1000
_SOURCE = "def add(a, b):\n    return a + b\n"


def measure(quick: bool) -> list[Row]:
    with Rlef() as rlef:
        call = chunked_calls(rlef, _SOURCE, "add")
        cases = [(k, 2 * k) for k in range(_CALLS)]

        def calls() -> float:
            started = time.perf_counter()
            found = call(cases)
            took = time.perf_counter() - started
            if found != [a + b for a, b in cases]:
                raise WrongOutput("rlef: a call returned something else")
            return took * 1e3 / _CALLS

        contestants = {"rlef, calls": calls, "rlef, tests": rlef.per_test()}
        times = interleave(contestants, rounds=5 if quick else 60, seconds=25)
    value, ratio = times.median("rlef, calls"), times.ratio("rlef, tests", "rlef, calls")
    return [_CALL.answer(value, rung=rlef.rung, ms=times.details()), _RATIO.answer(ratio, rung=rlef.rung)]


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
