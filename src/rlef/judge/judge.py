"""Programs and tests in, reports out. The only room where expected and actual outputs meet.

The sandbox gets the source and the inputs, never an expected output. What comes back
(wait status, clocks, bytes) is held against the expectations here, in the parent. A
failure of the sandbox is retried and then reported as ``judge_error``, which is not a
verdict on the program.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal, Protocol

from rlef.errors import DataError, SandboxError
from rlef.judge import call
from rlef.judge.types import HiddenReport, PublicReport, TestReport, Verdict
from rlef.judge.verdict import judge_error, report_of
from rlef.problems.types import Problem, TestCase
from rlef.sandbox.types import RunLimits, RunResult, Status

TRIES = 3
"""Runs of a test in which the sandbox may fail before it is given up as ``judge_error``."""

_KEEP = {"public": 8192, "hidden": 512}
"""Most characters of a program's output kept in a report; hidden ones feed no message."""

_Tested = tuple[tuple[TestReport, ...], str]
"""Reports of the tests that ran, and the isolation rung."""

Watch = Callable[[TestReport], None]
"""Told of each report as soon as it is there, for callers that pass results on as they come."""


@dataclass(eq=False, slots=True)
class _Work:
    """A program that is being judged for one or more callers."""

    task: asyncio.Task[_Tested] = field(init=False)
    callers: int = 0
    reports: list[TestReport] = field(default_factory=list)
    """So far, in the order in which the tests ran."""
    watches: list[Watch] = field(default_factory=list)

    def add(self, reports: Sequence[TestReport]) -> None:
        self.reports += reports
        for watch in self.watches:
            for report in reports:
                watch(report)

    def join(self, watch: Watch) -> None:
        for report in self.reports:
            watch(report)
        self.watches.append(watch)


class Runner(Protocol):
    """What the judge needs of a sandbox."""

    def run(self, source: str, stdins: Sequence[bytes], limits: RunLimits) -> AsyncGenerator[RunResult, None]:
        """Run ``source`` once for each input, in order.

        Yields one result per input, or a single ``COMPILE_ERROR``. Raises ``SandboxError``
        when the sandbox itself fails. A caller that needs no more closes the generator.
        """
        ...

    def call(
        self, source: str, function: str, arguments: Sequence[bytes], limits: RunLimits
    ) -> AsyncGenerator[RunResult, None]:
        """Call ``function`` of ``source``; see `sandbox.Sandbox.call`. Otherwise as ``run``."""
        ...


class Judging(Protocol):
    """What an episode needs of a judge; `Judge` is the real one."""

    async def public(self, problem: Problem, code: str) -> PublicReport:
        """All public tests, every one run."""
        ...

    async def hidden(self, problem: Problem, code: str) -> HiddenReport:
        """Private and generated tests up to the first failure."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A known solution whose verdict is not the declared one."""

    problem_id: str
    index: int
    """Position in ``Problem.solutions``."""
    note: str
    declared: str
    found: Verdict
    test: TestReport | None
    """The first test that was not accepted, if there is one."""


class Judge:
    """Judges programs in a sandbox; equal programs on equal tests run once.

    ``cache`` is how many sets of reports are kept for that. Example::

        public, hidden = await Judge(sandbox).judge(problem, code)
    """

    def __init__(self, sandbox: Runner, *, cache: int = 512) -> None:
        self.sandbox = sandbox
        self._size = cache
        self._tested: OrderedDict[Hashable, _Tested] = OrderedDict()
        self._running: dict[Hashable, _Work] = {}

    async def public(self, problem: Problem, code: str, *, watch: Watch | None = None) -> PublicReport:
        """All public tests, every one run, whatever the others say.

        ``watch`` is called with each report as it is made. Raises ``DataError`` if the problem
        has no public tests.
        """
        tests = problem.public_tests
        reports, rung = await self._once("public", problem, tests, code, watch)
        return PublicReport(tests=reports, total=len(tests), rung=rung)

    async def hidden(self, problem: Problem, code: str, *, watch: Watch | None = None) -> HiddenReport:
        """Private and generated tests up to the first that is not accepted.

        ``watch`` is called with each report as it is made. Raises ``DataError`` if the problem
        has no such tests: nothing tested is not a pass.
        """
        tests = problem.hidden_tests
        reports, rung = await self._once("hidden", problem, tests, code, watch)
        return HiddenReport(tests=reports, total=len(tests), rung=rung)

    async def judge(self, problem: Problem, code: str) -> tuple[PublicReport, HiddenReport | None]:
        """Public tests, then the hidden ones if all public tests passed."""
        public = await self.public(problem, code)
        return public, await self.hidden(problem, code) if public.passed else None

    async def certify(self, problem: Problem) -> list[Disagreement]:
        """Run every known solution; return those that did not get their declared verdict."""
        wrong = []
        for index, solution in enumerate(problem.solutions):
            public, hidden = await self.judge(problem, solution.code)
            report = public if hidden is None else hidden
            if report.verdict.value != solution.verdict:
                wrong.append(
                    Disagreement(
                        problem_id=problem.id,
                        index=index,
                        note=solution.note,
                        declared=solution.verdict,
                        found=report.verdict,
                        test=next(iter(report.failures), None),
                    )
                )
        return wrong

    async def _once(
        self,
        kind: Literal["public", "hidden"],
        problem: Problem,
        tests: tuple[TestCase, ...],
        code: str,
        watch: Watch | None,
    ) -> _Tested:
        """The reports of ``tests``: kept ones, those being made by another caller, or new ones."""
        if not tests:
            raise DataError(f"problem {problem.id} has no {kind} tests, so nothing can pass it")
        key = (kind, code, tests, problem.form, problem.entry_point, problem.comparison, problem.limits)
        if key in self._tested:
            self._tested.move_to_end(key)
            if watch:
                _Work(reports=[*self._tested[key][0]]).join(watch)
            return self._tested[key]
        work = self._running.get(key)
        if work is None:
            work = self._running[key] = _Work()
            run = self._run(problem, code, tests, work, all_of_them=kind == "public", keep=_KEEP[kind])
            work.task = asyncio.ensure_future(run)
            work.task.add_done_callback(lambda done: self._keep(key, work, done))
        if watch:
            work.join(watch)
        work.callers += 1
        try:
            # Shielded: when one caller is cancelled, another may still wait for these reports.
            return await asyncio.shield(work.task)
        finally:
            work.callers -= 1
            if not work.callers and not work.task.done():
                self._running.pop(key)  # at once: who comes now must not join what is ending
                work.task.cancel()

    def _keep(self, key: Hashable, work: _Work, task: asyncio.Task[_Tested]) -> None:
        if self._running.get(key) is work:
            del self._running[key]
        if task.cancelled() or task.exception() is not None:
            return
        reports, _ = task.result()
        if all(report.verdict is not Verdict.JUDGE_ERROR for report in reports):
            self._tested[key] = task.result()
        while len(self._tested) > self._size:
            self._tested.popitem(last=False)

    async def _run(
        self,
        problem: Problem,
        code: str,
        tests: Sequence[TestCase],
        work: _Work,
        *,
        all_of_them: bool,
        keep: int,
    ) -> _Tested:
        """Run the tests in order; unless ``all_of_them``, no further than the first failure."""
        reports = work.reports
        rung = ""
        try:
            async with aclosing(self._runs(problem, code, tests)) as runs:
                async for run in runs:
                    rung = run.rung.value
                    # A program that does not compile fails all tests; any other run is one test.
                    left = tests[len(reports) :]
                    mine = left if run.status is Status.COMPILE_ERROR else left[:1]
                    made = [await self._report(problem, code, test, run, keep) for test in mine]
                    work.add(made if all_of_them else _to_first_failure(made))
                    if not all_of_them and reports[-1].verdict is not Verdict.ACCEPTED:
                        break
        except SandboxError as error:
            left = tests[len(reports) :] if all_of_them else tests[len(reports) : len(reports) + 1]
            work.add([judge_error(test, error) for test in left])
        return tuple(reports), rung

    async def _report(
        self, problem: Problem, code: str, test: TestCase, run: RunResult, keep: int
    ) -> TestReport:
        """The report of a run. No call fails that shared its process: it is made again, alone."""
        report = report_of(problem, test, run, keep=keep)
        if run.shared and report.verdict is not Verdict.ACCEPTED:
            async with aclosing(self._runs(problem, code, (test,))) as again:
                report = report_of(problem, test, await anext(again), keep=keep)
        return report

    def _runs(
        self, problem: Problem, code: str, tests: Sequence[TestCase]
    ) -> AsyncGenerator[RunResult, None]:
        """One run for each test, or a single one if the program does not compile."""
        limits = _limits(problem)
        if problem.form == "call":
            return call.runs(self.sandbox, _steady, problem, code, tests, limits)
        stdins = [test.input.encode("utf-8", "surrogatepass") for test in tests]
        return _steady(lambda done: self.sandbox.run(code, stdins[done:], limits), len(stdins))


async def _steady(
    start: Callable[[int], AsyncGenerator[RunResult, None]], count: int
) -> AsyncGenerator[RunResult, None]:
    """Runs ``start(0)``; goes on where the sandbox itself fails, up to `TRIES` at one of ``count`` inputs."""
    done = failed = 0
    while done < count:
        try:
            async with aclosing(start(done)) as runs:
                async for run in runs:
                    yield run
                    done, failed = done + 1, 0
                    if run.status is Status.COMPILE_ERROR:
                        return
            if done < count:
                raise SandboxError(f"{count - done} results are missing")
        except SandboxError:
            failed += 1
            if failed == TRIES:
                raise


def _limits(problem: Problem) -> RunLimits:
    limits = problem.limits
    return RunLimits(cpu_s=limits.cpu_s, memory_bytes=limits.memory_bytes, output_bytes=limits.output_bytes)


def _to_first_failure(reports: Sequence[TestReport]) -> Sequence[TestReport]:
    ends = (i + 1 for i, report in enumerate(reports) if report.verdict is not Verdict.ACCEPTED)
    return reports[: next(ends, len(reports))]
