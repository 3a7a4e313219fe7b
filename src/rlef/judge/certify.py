"""Certification: is a problem's verdict to be trusted? Every known solution runs twice on every test.

The second run takes the tests in reverse order, so a test whose verdict hangs on what ran before it shows.
If a test's verdict differs, both runs are made once more, which tells chance from order. What
follows from the verdicts is in `judge.findings`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from rlef.errors import UserError
from rlef.judge.evidence import of_bad, of_references, of_solution, of_tests
from rlef.judge.findings import Certificate, Finding, Kind, names_of
from rlef.judge.judge import Judge
from rlef.judge.outcomes import Outcome, Runs, agree
from rlef.judge.runs import Runner
from rlef.judge.types import Verdict
from rlef.problems.quarantine import fingerprint
from rlef.problems.types import Problem, Solution


class Certifier:
    """Certifies problems in a sandbox, by their solutions in ``spoken`` languages.

    ``most`` bounds the known-good, and the known-bad, solutions that are run of a problem. ``told`` is called
    with a problem after each of them.

    Example::

        async with await Sandbox.open(config.sandbox) as sandbox:
            certificate = await Certifier(sandbox).certify(problem)
    """

    def __init__(
        self,
        sandbox: Runner,
        *,
        spoken: Collection[str] = ("python",),
        most: int | None = None,
        told: Callable[[Problem], None] = lambda problem: None,
    ) -> None:
        self._sandbox, self._spoken, self._most, self._told = sandbox, spoken, most, told
        self._judges: dict[str, Judge] = {}

    async def certify(self, problem: Problem) -> Certificate:
        """Run the known solutions twice, look at the tests, and say what was found.

        A problem that can't be judged here, as its checker's language is not known, has a ``judge_error``.
        """
        names = names_of(len(problem.public_tests), len(problem.hidden_tests))
        runs: list[Runs] = []
        findings: list[Finding] = []
        try:
            for index, solution in chosen(problem, self._spoken, self._most):
                runs.append(Runs(index, solution, names, await self._runs(problem, solution)))
                self._told(problem)
        except UserError as error:
            findings.append(Finding(kind=Kind.JUDGE_ERROR, text=str(error)))
        else:
            findings += of_references(problem, [one for one in runs if one.good])
        findings += [finding for one in runs for finding in of_solution(one)]
        findings += [*of_tests(problem, names), *of_bad(runs, names)]
        order = list(Kind)
        return Certificate(
            problem_id=problem.id,
            fingerprint=fingerprint(problem),
            public=len(problem.public_tests),
            hidden=len(problem.hidden_tests),
            solutions=tuple(one.tried(problem) for one in runs),
            findings=tuple(sorted(findings, key=lambda finding: order.index(finding.kind))),
        )

    async def _runs(self, problem: Problem, solution: Solution) -> list[tuple[Outcome, ...]]:
        """Outcomes in the tests' own order: two runs, or four if those two differ."""
        runs: list[tuple[Outcome, ...]] = []
        while len(runs) < 2 or (len(runs) < 4 and not agree(runs[0], runs[1])):
            runs.append(await self._run(problem, solution, backwards=len(runs) % 2 == 1))
        return runs

    async def _run(self, problem: Problem, solution: Solution, *, backwards: bool) -> tuple[Outcome, ...]:
        tests = problem.public_tests + problem.hidden_tests
        # As public tests, since those all run, whatever the others say.
        whole = replace(
            problem,
            public_tests=tests[::-1] if backwards else tests,
            private_tests=(),
            generated_tests=(),
        )
        report = await self._judge(solution.language).public(whole, solution.code)
        outcomes = tuple(Outcome.of(one) for one in report.tests)
        return outcomes[::-1] if backwards else outcomes

    def _judge(self, language: str) -> Judge:
        if language not in self._judges:
            # Nothing is kept: a second run is to be a run.
            self._judges[language] = Judge(self._sandbox, cache=0, language=language)
        return self._judges[language]


def chosen(problem: Problem, spoken: Collection[str], most: int | None) -> list[tuple[int, Solution]]:
    """The known solutions that are run, each with its position: of good and bad ones the first ``most``."""
    pairs = [pair for pair in enumerate(problem.solutions) if pair[1].language in spoken]
    good = [pair for pair in pairs if pair[1].verdict == Verdict.ACCEPTED]
    bad = [pair for pair in pairs if pair[1].verdict != Verdict.ACCEPTED]
    return [*good[:most], *bad[:most]]
