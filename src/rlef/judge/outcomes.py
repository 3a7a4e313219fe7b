"""What is kept of the runs of a known solution. `judge.evidence` makes findings of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlef.judge import checker
from rlef.judge.findings import Tried
from rlef.judge.types import TestReport, Verdict
from rlef.problems.types import Problem, Solution
from rlef.sandbox.languages import PYTHON

_TROUBLE = 200
"""Characters kept of an error message."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is kept of one test in one run: a report holds outputs, and there may be thousands of them."""

    verdict: Verdict
    cpu_s: float
    peak_bytes: int
    trouble: str = ""
    """How the sandbox or the checker failed, if one of them did; without what the checker said."""

    @classmethod
    def of(cls, report: TestReport) -> Outcome:
        """The outcome in a report."""
        trouble = report.error if report.verdict is Verdict.JUDGE_ERROR else ""
        if trouble.startswith(checker.FAILED):
            trouble = trouble.partition(":")[0]
        return cls(report.verdict, report.cpu_s, report.peak_bytes, trouble[:_TROUBLE])


def agree(left: Sequence[Outcome], right: Sequence[Outcome]) -> bool:
    """True if two runs gave every test the same verdict."""
    return [one.verdict for one in left] == [one.verdict for one in right]


def verdict_of(outcomes: Sequence[Outcome]) -> Verdict:
    """A failure of the sandbox, or else the first verdict that is not accepted."""
    verdicts = [one.verdict for one in outcomes]
    if Verdict.JUDGE_ERROR in verdicts:
        return Verdict.JUDGE_ERROR
    return next((verdict for verdict in verdicts if verdict is not Verdict.ACCEPTED), Verdict.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Runs:
    """All runs of one solution; outcomes are in the order of ``names``."""

    index: int
    solution: Solution
    names: Sequence[str]
    runs: Sequence[Sequence[Outcome]]

    @property
    def good(self) -> bool:
        """True for a known-good solution."""
        return self.solution.verdict == Verdict.ACCEPTED

    @property
    def verdict(self) -> Verdict:
        """Of the first run; a failure of the sandbox in any run."""
        verdicts = [verdict_of(run) for run in self.runs]
        return Verdict.JUDGE_ERROR if Verdict.JUDGE_ERROR in verdicts else verdicts[0]

    @property
    def title(self) -> str:
        """Its position, its note, and its language if that is not Python."""
        language = "" if self.solution.language == PYTHON.name else self.solution.language
        about = ", ".join(filter(None, (self.solution.note, language)))
        return f"solution {self.index}" + (f" ({about})" if about else "")

    @property
    def unsteady(self) -> list[int]:
        """Positions of the tests whose verdict is not the same in every run."""
        return self._where(lambda column: len({one.verdict for one in column}) > 1)

    @property
    def unchecked(self) -> list[int]:
        """Positions of the tests at which the checker failed in every run."""
        return self._where(lambda column: all(one.trouble.startswith(checker.FAILED) for one in column))

    @property
    def passes(self) -> bool:
        """True if it passed every test in every run."""
        return all(verdict_of(run) is Verdict.ACCEPTED for run in self.runs)

    def fails(self) -> list[int]:
        """Positions of the tests that it passed in no run."""
        return self._where(lambda column: all(one.verdict is not Verdict.ACCEPTED for one in column))

    def _where(self, holds: Callable[[Sequence[Outcome]], bool]) -> list[int]:
        """Positions of the tests whose outcomes, one of each run, ``holds`` is true of."""
        return [at for at, column in enumerate(zip(*self.runs, strict=True)) if holds(column)]

    def only(self, verdict: Verdict) -> bool:
        """True if it fails, by this verdict alone, and the same in every run."""
        failed = self.fails()
        alone = all(self.runs[0][at].verdict is verdict for at in failed)
        return bool(failed) and alone and not self.unsteady

    def tried(self, problem: Problem) -> Tried:
        """The runs in short."""
        failed = {
            (self.names[at], one.verdict.value): None
            for run in self.runs
            for at, one in enumerate(run)
            if one.verdict is not Verdict.ACCEPTED
        }
        return Tried(
            index=self.index,
            note=self.solution.note,
            declared=self.solution.verdict,
            found=self.verdict.value,
            steady=not self.unsteady,
            failed=tuple(failed),
            cpu=round(self.share("cpu_s", problem.limits.cpu_s), 4),
            memory=round(self.share("peak_bytes", problem.limits.memory_bytes), 4),
        )

    def share(self, field: str, limit: float) -> float:
        """The most of ``limit`` that a test took, in the run in which that was less."""
        most: list[float] = [max(getattr(one, field) for one in run) for run in self.runs]
        return min(most) / limit
