"""Programs that import numpy: rlef with numpy loaded before the fork, against a fresh interpreter.

    python -m benchmarks.numpy_programs [--quick]

The fresh interpreter does without ``site`` and with one thread of linear algebra, which both make it faster.
"""

from __future__ import annotations

from pathlib import Path

import numpy

from benchmarks.contestants import TESTS, Rlef, fresh
from benchmarks.module import main
from benchmarks.rounds import interleave
from benchmarks.rows import Question, Row
from rlef.sandbox.host import interpreter

_RATIO = Question("a program that imports numpy, fresh interpreter over rlef", "times", ">= 40")
_TEST = Question("  a test of it in rlef", "ms")
QUESTIONS = (_RATIO, _TEST)
_SOURCE = "import sys\nimport numpy as np\nprint(np.array(sys.stdin.read().split(), dtype=int).sum())\n"


def fresh_numpy() -> list[str]:
    """The command of an interpreter that finds numpy and nothing else of third parties."""
    found = f"import sys\nsys.path.append({str(Path(numpy.__file__).parents[1])!r})\n"
    return [interpreter(), "-I", "-S", "-c", found + _SOURCE]


def measure(quick: bool) -> list[Row]:
    with Rlef(preload=("numpy",)) as rlef:
        contestants = {
            "rlef": rlef.per_test(TESTS, source=_SOURCE),
            "fresh": fresh(fresh_numpy(), environment={"OPENBLAS_NUM_THREADS": "1"}),
        }
        times = interleave(contestants, rounds=5 if quick else 60, seconds=30)
    details = {"rung": rlef.rung, "ms": times.details()}
    return [_RATIO.answer(times.ratio("fresh", "rlef"), **details), _TEST.answer(times.median("rlef"))]


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
