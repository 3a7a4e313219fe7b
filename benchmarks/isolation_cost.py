"""What isolation costs: the same zygote with every layer and with none.

python -m benchmarks.isolation_cost [--quick]

Both slots are on the same core and take turns.
"""

from __future__ import annotations

from typing import Any

from benchmarks.contestants import TESTS, Rlef
from benchmarks.module import main
from benchmarks.rounds import interleave
from benchmarks.rows import Question, Row, Unavailable

_COST = Question("isolation on top of the same zygote without it", "%", "<= 10")
QUESTIONS = (_COST,)


def without_isolation() -> dict[str, Any]:
    """Settings of a sandbox with the same zygote and none of the layers that isolate."""
    raise Unavailable("not built yet: a zygote with every layer masked")


def measure(quick: bool) -> list[Row]:
    bare_settings = without_isolation()
    with Rlef() as rlef, Rlef(**bare_settings) as bare:
        contestants = {"rlef": rlef.per_test(TESTS), "rlef without isolation": bare.per_test(TESTS)}
        times = interleave(contestants, rounds=5 if quick else 120, seconds=30)
    more = 100 * (times.ratio("rlef", "rlef without isolation") - 1)
    return [_COST.answer(more, rung=rlef.rung, ms=times.details())]


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
