"""What the judge runs, in which order, and what it need not run at all."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from typing import Literal

from rlef.judge.types import TestReport, Verdict
from rlef.problems.types import Problem, TestCase

Order = Literal["fixed", "kill_rate"]
"""Hidden tests in the order of the problem, or those first that stopped most programs so far."""

NOT_JUDGED_BY = frozenset(
    {"id", "statement", "public_tests", "private_tests", "generated_tests", "solutions", "provenance"}
)
"""Fields of a problem that no verdict on given tests depends on. Any other field is in the key."""

_JUDGED_BY = [field.name for field in dataclasses.fields(Problem) if field.name not in NOT_JUDGED_BY]

_PRIOR_KILLS, _PRIOR_TRIES = 0.5, 2.0
_PROBLEMS = 4096
_PORTION = 16


def same_program(code: str) -> str:
    """The source without what can't matter: white space after its last word.

    Two sources with equal results do the same, down to the lines in their tracebacks, *if they
    compile*: a compiler may say at which blank line it gave up. White space after a
    backslash is kept, since there it decides whether a source compiles.
    """
    bare = code.rstrip(" \t\n")
    return code if bare.endswith("\\") else bare


def verdict_key(kind: str, problem: Problem, tests: tuple[TestCase, ...], code: str) -> Hashable:
    """Equal for two judgements only if their reports are the same."""
    return (kind, code, tests, *(getattr(problem, name) for name in _JUDGED_BY))


class KillHistory:
    """How often each hidden test was tried, and how often it was the one that stopped a program.

    The order that follows depends on the history alone; of equals the earlier test is first.
    Kept for the problems that were used last.
    """

    def __init__(self, problems: int = _PROBLEMS) -> None:
        self._most = problems
        self._counts: OrderedDict[Hashable, list[tuple[int, int]]] = OrderedDict()

    def order(self, tests: tuple[TestCase, ...]) -> list[int]:
        """Positions of the tests, the likeliest to stop a program first."""
        counts = self._counts.get(tests)
        if counts is None:
            return list(range(len(tests)))
        rates = [(kills + _PRIOR_KILLS) / (tries + _PRIOR_TRIES) for tries, kills in counts]
        return sorted(range(len(tests)), key=lambda at: (-rates[at], at))

    def learn(self, tests: tuple[TestCase, ...], reports: Sequence[TestReport]) -> None:
        """Take in the reports of one program on some of the tests.

        A program that does not compile fails every test, so it tells nothing about them.
        """
        counts = self._counts.setdefault(tests, [(0, 0)] * len(tests))
        self._counts.move_to_end(tests)
        for report in reports:
            if report.verdict not in (Verdict.JUDGE_ERROR, Verdict.COMPILE_ERROR):
                tries, kills = counts[report.index]
                counts[report.index] = (tries + 1, kills + (report.verdict is not Verdict.ACCEPTED))
        while len(self._counts) > self._most:
            self._counts.popitem(last=False)


def portions(count: int, *, whole: bool) -> Iterator[slice]:
    """``count`` tests in one piece, or in pieces that double, so that what is run in vain is bounded.

    For verdicts that come in only after a piece has run. At most as many tests run beyond the
    first failure as ran up to it.
    """
    start, size = 0, count if whole else 1
    while start < count:
        yield slice(start, min(start + size, count))
        start, size = start + size, min(2 * size, _PORTION) if not whole else count
