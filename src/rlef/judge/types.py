"""Verdicts and reports. Public and hidden reports are different types on purpose:

feedback takes a ``PublicReport``, so showing a hidden test is a type error.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rlef.problems.checks import CODE


class Verdict(StrEnum):
    """The outcome of one test, or of a program over its tests."""

    ACCEPTED = "accepted"
    WRONG_ANSWER = "wrong_answer"
    RUNTIME_ERROR = "runtime_error"
    COMPILE_ERROR = "compile_error"
    TIME_LIMIT = "time_limit"
    IDLE_LIMIT = "idle_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    JUDGE_ERROR = "judge_error"
    """The judge's own failure. Never a reward; masks the episode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReport:
    """One test of one program."""

    __test__ = False

    verdict: Verdict
    input: str
    expected: str
    index: int = 0
    """Position among the problem's public tests, or among its hidden ones."""
    got: str = ""
    """What the program printed (or returned, as plain data), decoded with replacement."""
    error: str = ""
    """stderr, or the compiler's message."""
    checker_message: str = ""
    """What the problem's checker said of the output."""
    cpu_s: float = 0.0
    peak_bytes: int = 0
    check: str = "equal"
    """What was checked of a returned value; see `problems.checks`."""

    @property
    def weak(self) -> bool:
        """True if the program could have forged this: the test ran in its own process."""
        return self.check == CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    tests: tuple[TestReport, ...]
    total: int
    """How many tests there are; ``tests`` is shorter when judging stopped early."""
    rung: str = ""
    """Isolation rung the tests ran on."""

    def __post_init__(self) -> None:
        if not self.tests or self.total < len(self.tests):
            # all([]) is True: a report without tests would be a free reward.
            raise ValueError("a report needs at least one test that ran")

    @property
    def verdict(self) -> Verdict:
        """``judge_error`` if any test hit it, else the first that is not accepted."""
        verdicts = [test.verdict for test in self.tests]
        if Verdict.JUDGE_ERROR in verdicts:
            return Verdict.JUDGE_ERROR
        return next((v for v in verdicts if v is not Verdict.ACCEPTED), Verdict.ACCEPTED)

    @property
    def passed(self) -> bool:
        """True if every test ran and was accepted."""
        return self.verdict is Verdict.ACCEPTED and len(self.tests) == self.total

    @property
    def weak(self) -> int:
        """How many of the tests the program could have forged; see ``TestReport.weak``."""
        return sum(test.weak for test in self.tests)

    @property
    def failures(self) -> tuple[TestReport, ...]:
        """The tests that were not accepted."""
        return tuple(test for test in self.tests if test.verdict is not Verdict.ACCEPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicReport(_Report):
    """All public tests, every one run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenReport(_Report):
    """Private and generated tests, as they were tried, up to the first failure.

    Never shown to a policy.
    """
