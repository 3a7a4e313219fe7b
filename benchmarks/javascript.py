"""JavaScript: a test in rlef, beside node without any isolation.

python -m benchmarks.javascript [--quick]
"""

from __future__ import annotations

from benchmarks.contestants import Rlef, fresh
from benchmarks.module import main
from benchmarks.peers import program
from benchmarks.rounds import interleave
from benchmarks.rows import Question, Row

_TEST = Question("JavaScript: a test, 10 of them a program", "ms")
_NODE = Question("  beside it: bare node on the same, over rlef", "times")
QUESTIONS = (_TEST, _NODE)
_SOURCE = (
    "console.log(require('fs').readFileSync(0, 'utf8').split(/\\s+/).reduce((a, b) => a + Number(b), 0))"
)


def measure(quick: bool) -> list[Row]:
    node = program("node", "install it from your distribution")
    with Rlef() as rlef:
        contestants = {
            "rlef": rlef.per_test(10, source=_SOURCE, language="javascript"),
            "node": fresh([node, "-e", _SOURCE]),
        }
        times = interleave(contestants, rounds=5 if quick else 30, seconds=30)
    details = {"rung": rlef.rung, "ms": times.details()}
    return [_TEST.answer(times.median("rlef"), **details), _NODE.answer(times.ratio("node", "rlef"))]


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
