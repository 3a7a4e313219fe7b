"""From the runs of the known solutions to findings (`judge.findings`). Runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlef.judge.compare import answers
from rlef.judge.findings import Finding, Kind, listed
from rlef.judge.outcomes import Runs, agree
from rlef.judge.plain import NotPlain, parse
from rlef.judge.schedule import same_program
from rlef.judge.types import Verdict
from rlef.judge.views import holds
from rlef.problems.checks import CODE
from rlef.problems.statements import several_answers
from rlef.problems.types import Problem, TestCase

TIGHT = 0.5
"""Share of a limit above which it is called tight: a machine of half the speed would stop the reference."""
_STOPPED = {Kind.TIGHT_TIME: Verdict.TIME_LIMIT, Kind.TIGHT_MEMORY: Verdict.MEMORY_LIMIT}
_ENOUGH = 2
"""Different known-good solutions that pass, from which a statement's word for several answers is taken
for a figure of speech."""


def of_solution(one: Runs) -> list[Finding]:
    """A solution that does not get its declared verdict, or not every time."""
    mine: dict[str, Any] = {"solutions": (one.index,)}
    verdict = one.verdict
    if verdict is Verdict.JUDGE_ERROR:
        return [_trouble(one)]
    found: list[Finding] = []
    if one.unsteady:
        tests = tuple(one.names[at] for at in one.unsteady)
        text = f"{one.title}: {_unsteadiness(one)} on {listed(tests)}"
        found.append(Finding(kind=Kind.FLAKY, text=text, tests=tests, **mine))
    failed = tuple(one.names[at] for at in one.fails())
    if one.good and failed:
        text = f"{one.title}: {one.runs[0][one.fails()[0]].verdict} on {listed(failed)}"
        found.append(Finding(kind=Kind.REFERENCE_FAILS, text=text, tests=failed, **mine))
    elif not one.good and one.passes:
        text = f"{one.title}, declared {one.solution.verdict}, passes every test"
        found.append(Finding(kind=Kind.BAD_PASSES, text=text, **mine))
    elif not one.good and not found and not one.solution.agrees(verdict.value):
        text = f"{one.title}: {verdict} on {listed(failed, 1)}, declared {one.solution.verdict}"
        found.append(Finding(kind=Kind.OTHER_VERDICT, text=text, tests=failed, **mine))
    return found


def _trouble(one: Runs) -> Finding:
    """What the checker or the sandbox failed at."""
    failed = one.unchecked or [at for run in one.runs for at, got in enumerate(run) if got.trouble]
    tests = tuple(one.names[at] for at in dict.fromkeys(failed))
    trouble = next(run[failed[0]].trouble for run in one.runs if run[failed[0]].trouble)
    kind = Kind.CHECKER_FAILS if one.unchecked else Kind.JUDGE_ERROR
    text = f"{one.title}: {trouble} on {listed(tests)}"
    return Finding(kind=kind, text=text, solutions=(one.index,), tests=tests)


def _unsteadiness(one: Runs) -> str:
    """Whether it is by chance or by the order of the tests, as far as four runs can tell."""
    forwards, backwards = one.runs[0::2], one.runs[1::2]
    by_order = all(len(some) == 2 and agree(*some) for some in (forwards, backwards))
    verdicts = dict.fromkeys(run[at].verdict.value for at in one.unsteady for run in one.runs)
    how = "by the order of the tests" if by_order else "from run to run"
    return f"{' or '.join(verdicts)} {how}"


def of_references(problem: Problem, good: Sequence[Runs]) -> list[Finding]:
    """What the known-good solutions together say."""
    # Where the sandbox failed nothing is known; where the checker fails each time, nothing can pass.
    known = [one for one in good if one.verdict is not Verdict.JUDGE_ERROR or one.unchecked]
    passing = [one for one in known if one.passes]
    found: list[Finding] = []
    if not good:
        unrun = sum(solution.verdict == Verdict.ACCEPTED for solution in problem.solutions)
        text = f"{unrun} known-good solutions in languages that were not run" if unrun else "none known-good"
        found.append(Finding(kind=Kind.NO_REFERENCE, text=text))
    elif known and not passing and len(known) == len(good):
        first = of_solution(known[0])[0].text
        text = first if len(known) == 1 else f"none of {len(known)} known-good solutions; {first}"
        found.append(Finding(kind=Kind.NOTHING_PASSES, text=text))
    others = _by_other_answers(problem, known, passing)
    found += others
    found += _tight(problem, known)
    words = several_answers(problem.statement)
    if words and not _checked(problem):
        sources = {same_program(one.solution.code) for one in passing}
        # Those that pass agree because they pass: they are witnesses only if no other prints something else.
        agreed = len(sources) >= _ENOUGH and not others
        harmless = agreed or problem.form == "call"
        text = "the statement allows several outputs, and the tests know one"
        found.append(Finding(kind=Kind.SEVERAL_ANSWERS, text=text, quote=words, harmless=harmless))
    return found


def _checked(problem: Problem) -> bool:
    """True if more than one output can be right."""
    tests = problem.public_tests + problem.hidden_tests
    return bool(problem.checker) or problem.comparison == "unordered" or any(test.also for test in tests)


def _by_other_answers(problem: Problem, known: Sequence[Runs], passing: Sequence[Runs]) -> list[Finding]:
    """Known-good solutions that only print something else than one that passes."""
    if not passing or problem.checker:
        return []
    found: list[Finding] = []
    for one in known:
        if one.only(Verdict.WRONG_ANSWER):
            tests = tuple(one.names[at] for at in one.fails())
            text = f"{one.title} and {passing[0].title} give other outputs on {listed(tests)}"
            pair = (one.index, passing[0].index)
            found.append(Finding(kind=Kind.ANSWERS_DIFFER, text=text, solutions=pair, tests=tests))
    return found


def _tight(problem: Problem, known: Sequence[Runs]) -> list[Finding]:
    """Limits that are tight for the solutions in a language.

    Each language for itself: that a C++ program is quick says nothing of what a Python program needs.
    """
    limits = problem.limits
    mebibytes = f"{limits.memory_bytes / 2**20:g} MiB"
    found: list[Finding] = []
    for language in dict.fromkeys(one.solution.language for one in known):
        mine = [one for one in known if one.solution.language == language]
        found += _near(mine, Kind.TIGHT_TIME, "cpu_s", limits.cpu_s, f"{limits.cpu_s:g} s of CPU time")
        found += _near(mine, Kind.TIGHT_MEMORY, "peak_bytes", limits.memory_bytes, mebibytes)
    return found


def _near(mine: Sequence[Runs], kind: Kind, field: str, limit: float, words: str) -> list[Finding]:
    """A limit of which every passing solution takes more than half, or that stops them all."""
    passing = [one for one in mine if one.passes]
    if passing:
        share, best = min(((one.share(field, limit), one) for one in passing), key=lambda pair: pair[0])
        if share <= TIGHT:
            return []
        text = f"{best.title} takes {share:.2f} of the limit of {words}"
        return [Finding(kind=kind, text=text, solutions=(best.index,))]
    stopped = [one for one in mine if one.only(_STOPPED[kind])]
    if not stopped:
        return []
    text = f"{stopped[0].title} is stopped at the limit of {words}, and none passes"
    return [Finding(kind=kind, text=text, solutions=tuple(one.index for one in stopped))]


def of_tests(problem: Problem, names: Sequence[str]) -> list[Finding]:
    """Tests that are there twice, or that exclude each other."""
    first: dict[tuple[str, str], int] = {}
    repeated, against = [], []
    tests = problem.public_tests + problem.hidden_tests
    for at, test in enumerate(tests):
        before = first.setdefault((test.input, test.check), at)
        if before == at:
            continue
        if not problem.checker and _exclude(problem, tests[before], test):
            against += [names[before], names[at]]
        else:
            repeated.append(names[at])
    found: list[Finding] = []
    if against:
        named = tuple(dict.fromkeys(against))
        text = f"one input, different outputs: {listed(named)}"
        found.append(Finding(kind=Kind.CONTRADICTION, text=text, tests=named))
    if repeated:
        text = f"{len(repeated)} of {len(tests)} tests repeat others"
        found.append(Finding(kind=Kind.REPEATED_TESTS, text=text, tests=tuple(repeated)))
    return found


def _exclude(problem: Problem, left: TestCase, right: TestCase) -> bool:
    """True if no accepted output of either test is accepted by the other."""
    if left.check == CODE:
        return False
    return not any(
        _accepts(problem, test, output)
        for test, other in ((left, right), (right, left))
        for output in (other.output, *other.also)
    )


def _accepts(problem: Problem, test: TestCase, output: str) -> bool:
    if problem.form == "stdin":
        return answers(test, output.encode("utf-8", "surrogatepass"), problem.comparison)
    try:
        value = parse(output)
        # Both tests look at the returned value in the same way, so what they want of the view is compared.
        numbers = test.check.partition(":")[0] in ("below", "within", "isclose")
        check = test.check if numbers else "equal"
        return any(holds(check, parse(right), value) for right in (test.output, *test.also))
    except NotPlain:
        return True


def of_bad(runs: Sequence[Runs], names: Sequence[str]) -> list[Finding]:
    """What the known-bad solutions say of the tests."""
    bad = [one for one in runs if not one.good and one.verdict is not Verdict.JUDGE_ERROR]
    if not bad:
        return []
    found = []
    past = [
        one
        for one in bad
        if one.fails() and "public[0]" in names and all(names[at].startswith("hidden") for at in one.fails())
    ]
    if past:
        text = f"{len(past)} of {len(bad)} known-bad solutions are stopped by hidden tests only"
        pair = tuple(one.index for one in past)
        found.append(Finding(kind=Kind.BAD_PASSES_PUBLIC, text=text, solutions=pair))
    failed = {at for one in bad for at in one.fails()}
    unfailed = tuple(name for at, name in enumerate(names) if at not in failed)
    if unfailed:
        text = f"{len(unfailed)} of {len(names)} tests are failed by none of {len(bad)} known-bad solutions"
        found.append(Finding(kind=Kind.UNFAILED_TESTS, text=text, tests=unfailed))
    return found
