"""What isolation costs: the same zygote with every layer and with none.

python -m benchmarks.isolation_cost [--quick]

Both slots are on the same core and take turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from benchmarks.contestants import TESTS, Rlef
from benchmarks.module import main
from benchmarks.rounds import interleave
from benchmarks.rows import Question, Row
from rlef.sandbox import canary, probe, slot, supervisor
from rlef.sandbox.layers import CGROUP

_COST = Question("isolation on top of the same zygote without it", "%", "<= 10")
QUESTIONS = (_COST,)


@contextmanager
def without_isolation() -> Iterator[Rlef]:
    """The same zygote, on the same path, with none of the layers that isolate.

    It runs our own program only. Every layer is masked as the tests mask them, and of the slot's
    canaries the honest ones are left.
    """
    layers = [layer.name for layer in probe().layers if "canary" not in layer.name]
    mask = (*(f"blind {name}" for name in layers if name != CGROUP), CGROUP)
    with (
        mock.patch.object(slot, "MASK", mask),
        mock.patch.object(supervisor, "canaries_for", lambda *_: canary.HONEST),
        Rlef() as bare,
    ):
        yield bare


def measure(quick: bool) -> list[Row]:
    with Rlef() as rlef, without_isolation() as bare:
        contestants = {"rlef": rlef.per_test(TESTS), "rlef without isolation": bare.per_test(TESTS)}
        times = interleave(contestants, rounds=5 if quick else 120, seconds=30)
    more = 100 * (times.ratio("rlef", "rlef without isolation") - 1)
    return [_COST.answer(more, rung=rlef.rung, ms=times.details())]


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
