"""One program on tests of its problem: run, look again at close calls, compare or have it checked.

| the run                          | what happens                                             |
|----------------------------------|----------------------------------------------------------|
| ended within its CPU limit        | compared, or given to the problem's checker               |
| ended in the grace above it       | run again with nothing beside it; that run takes its place |
| stopped at the end of the grace   | a time limit                                             |
| did not compile                  | fails all tests at once                                  |
| failed by the sandbox's fault     | ``judge_error``, after some tries                          |
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from rlef.errors import SandboxError
from rlef.judge import call, runs
from rlef.judge.checker import checker_of, judgements
from rlef.judge.runs import Program, Runner
from rlef.judge.schedule import portions
from rlef.judge.types import TestReport, Verdict
from rlef.judge.verdict import judge_error, report_of
from rlef.problems.types import Problem, TestCase
from rlef.sandbox.types import RunLimits, RunResult, Status


@dataclass(slots=True)
class _Look:
    """What is known so far of the program on one test."""

    at: int
    test: TestCase
    run: RunResult | None = None
    report: TestReport | None = None
    """None as long as a second run or a checker is to decide."""

    @property
    def failed(self) -> bool:
        return self.report is not None and self.report.verdict is not Verdict.ACCEPTED


class Trial:
    """Judges one program. ``whole`` runs every test; without it, few run after the first failure.

    At most ``keep`` characters of each output are reported.
    """

    def __init__(self, sandbox: Runner, problem: Problem, code: str, *, whole: bool, keep: int) -> None:
        self._sandbox, self._problem, self._code = sandbox, problem, code
        self._whole, self._keep = whole, keep
        self._checker = checker_of(problem)
        self.rung = ""
        """Isolation of the runs; empty before the first."""

    async def reports(self, tests: Sequence[TestCase]) -> list[TestReport]:
        """A report for each test; unless ``whole``, up to the first that is not accepted.

        Raises ``DataError`` if the problem's tests can't be run.
        """
        found: list[TestReport] = []
        for portion in portions(len(tests), whole=self._whole or self._checker is None):
            found += await self._portion(tests[portion])
            if not self._whole and found[-1].verdict is not Verdict.ACCEPTED:
                break
        return found

    async def _portion(self, tests: Sequence[TestCase]) -> list[TestReport]:
        source, stdins = program_of(self._problem, self._code, tests)
        program = Program(source=source, limits=run_limits(self._problem))
        graced = replace(program, limits=runs.with_grace(program.limits))
        looks = [_Look(at, test) for at, test in enumerate(tests)]
        await self._run(looks, runs.steady(self._sandbox, graced, stdins), grace=True)
        looks = self._needed(looks)
        if late := [look for look in looks if look.run and not look.report and self._late(look.run)]:
            again = runs.alone(self._sandbox, program, [stdins[look.at] for look in late])
            await self._run(late, again, grace=False)
            looks = self._needed(looks)
        if self._checker:
            await self._check([look for look in looks if not look.report])
        return [look.report for look in self._needed(looks) if look.report]

    async def _run(
        self, looks: Sequence[_Look], results: AsyncGenerator[RunResult, None], *, grace: bool
    ) -> None:
        """Take in the results of all looks, or up to a failure that is certain."""
        left = list(looks)
        try:
            async with aclosing(results):
                async for run in results:
                    self.rung = run.rung.value
                    # A program that does not compile fails all tests; any other run is one test.
                    mine = left if run.status is Status.COMPILE_ERROR else left[:1]
                    left = left[len(mine) :]
                    for look in mine:
                        look.run = run
                        if not (grace and self._late(run)) and not (self._checker and run.ok):
                            look.report = self._report(look.test, run)
                    if not self._whole and any(look.failed for look in mine):
                        return
        except SandboxError as error:
            for look in left:
                look.run, look.report = None, judge_error(look.test, error)

    async def _check(self, looks: Sequence[_Look]) -> None:
        """Have the checker decide on what ran well."""
        assert self._checker is not None
        ran = [(look, look.run) for look in looks if look.run]
        if not ran:
            return
        outputs = [run.stdout for _, run in ran]
        found = await judgements(self._sandbox, self._checker, [look.test for look, _ in ran], outputs)
        for (look, run), judgement in zip(ran, found, strict=True):
            look.report = self._report(look.test, run, judgement)

    def _needed(self, looks: list[_Look]) -> list[_Look]:
        """All looks, or those up to the first that failed: what comes after can't matter."""
        ends = (at + 1 for at, look in enumerate(looks) if look.failed and not self._whole)
        return looks[: next(ends, len(looks))]

    def _late(self, run: RunResult) -> bool:
        return runs.is_close_call(run, run_limits(self._problem))

    def _report(
        self, test: TestCase, run: RunResult, checked: tuple[Verdict, str] | None = None
    ) -> TestReport:
        return report_of(self._problem, self._code, test, run, keep=self._keep, checked=checked)


def program_of(problem: Problem, code: str, tests: Sequence[TestCase]) -> tuple[str, Sequence[bytes]]:
    """The source to run and the stdin of each test."""
    if problem.form == "call":
        source = call.with_driver(code, call.entry_name(problem))
        for test in tests:
            call.check_arguments(test.input, problem.id)
        return source, runs.Inputs(len(tests), lambda at: call.stdin(code, tests[at].input))
    return code, runs.Inputs(len(tests), lambda at: tests[at].input.encode("utf-8", "surrogatepass"))


def run_limits(problem: Problem) -> RunLimits:
    """The problem's limits as the sandbox takes them."""
    limits = problem.limits
    return RunLimits(cpu_s=limits.cpu_s, memory_bytes=limits.memory_bytes, output_bytes=limits.output_bytes)
