"""rlef against verl's ``prime_code``, which runs programs in a forked child without isolation.

    python -m benchmarks.verl [--quick]

Compared is one call: one program, all of its tests, a verdict. verl starts a manager process and a child for
each call; both are forks of the process that calls. verl itself imports torch before ``prime_code`` can be
imported, so that is what is forked in training, and what the target is held against. ``bare`` is the
same code taken out of verl, in a small process. Neither side keeps anything from one call to the next.
"""

from __future__ import annotations

import contextlib

from benchmarks import peers
from benchmarks.contestants import Rlef, Worker
from benchmarks.machine import say
from benchmarks.module import main
from benchmarks.rounds import Contestant, Times, interleave, repeated
from benchmarks.rows import Question, Row

_RATIOS = {
    ("torch", 1): Question("verl's prime_code, a call with 1 test, over rlef", "times", ">= 20"),
    ("torch", 10): Question("verl's prime_code, a call with 10 tests, over rlef", "times"),
    ("bare", 1): Question("  the same without torch in the process, 1 test", "times"),
    ("bare", 10): Question("  the same without torch in the process, 10 tests", "times"),
}
QUESTIONS = tuple(_RATIOS.values())


def measure(quick: bool) -> list[Row]:
    folder = str(peers.folder("verl", "verl/utils/reward_score/prime_code/__init__.py"))
    with contextlib.ExitStack() as stack:
        rlef = stack.enter_context(Rlef())
        contestants: dict[str, Contestant] = {}
        for tests, times in ((1, 20), (10, 4)):
            contestants[f"rlef, {tests}"] = repeated(whole(rlef.per_test(tests), tests), times)
        kinds = ["bare"]
        if peers.importable("torch"):
            kinds = ["torch", "bare"]
        else:
            say("torch is not installed: the rows with torch are left out")
        for kind in kinds:
            worker = stack.enter_context(Worker("verl_worker", folder, kind))
            for tests in (1, 10):
                contestants[f"{kind}, {tests}"] = repeated(worker.per_call(str(tests)), 2)
        times = interleave(contestants, rounds=5 if quick else 100, seconds=40)
    return [_row(times, kind, tests, rlef.rung, kinds) for kind, tests in _RATIOS]


def whole(per_test: Contestant, tests: int) -> Contestant:
    """From milliseconds a test to milliseconds a call."""
    return lambda: per_test() * tests


def _row(times: Times, kind: str, tests: int, rung: str, kinds: list[str]) -> Row:
    question = _RATIOS[kind, tests]
    if kind not in kinds:
        return question.unknown("torch is not installed, which verl imports")
    value = times.ratio(f"{kind}, {tests}", f"rlef, {tests}")
    return question.answer(value, rung=rung, ms_a_call=times.details())


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
