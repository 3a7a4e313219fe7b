"""Outputs judged by a program of the problem's: `Checker`, in the manner of testlib.

The checker runs in a slot of its own, after the program has ended, and never in the program's
process. It gets the input, the program's output and the answer as files, read-only: whatever
a hostile program printed is only bytes there. Its exit code is the verdict.

| the checker                                   | verdict                                     |
|-----------------------------------------------|---------------------------------------------|
| ended with 0                                  | ``accepted``                                 |
| with 1 (wrong), 2, 4, 8 (form), 7 (points)     | ``wrong_answer``, its message in the report   |
| otherwise: 3, a crash, a limit, no compiling   | ``judge_error``: its failure, not the model's |
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from rlef.errors import DataError, SandboxError
from rlef.judge.runs import Runner, run_limits, steady
from rlef.judge.types import Verdict
from rlef.problems.types import CHECKER_ARGUMENTS, Checker, Problem, TestCase
from rlef.sandbox.languages import PYTHON, find
from rlef.sandbox.types import RunResult, Status

_WRONG = {
    1: "wrong answer",
    2: "presentation error",
    4: "presentation error",
    7: "partial",
    8: "unexpected end",
}
"""Exit codes of testlib that mean a wrong answer, and what is said if the checker says nothing."""

# An exception that reaches the top ends an interpreter with 1, which here means a wrong answer.
_PYTHON = """\
import linecache, sys, traceback
source = {source!r}
sys.path.insert(0, "")
linecache.cache["checker.py"] = (len(source), None, source.splitlines(True), "checker.py")
try:
    exec(compile(source, "checker.py", "exec"), {{"__name__": "__main__", "__file__": "checker.py"}})
except Exception:
    traceback.print_exc()
    sys.exit(3)
"""

FAILED = "the checker failed"
"""How the message of a checker's own failure begins."""
Judgement = tuple[Verdict, str]
"""Verdict of a checker, and its message."""


def checker_of(problem: Problem) -> Checker | None:
    """The problem's checker; None if it compares otherwise. Raises ``DataError`` if that is unclear."""
    if (problem.comparison == "checker") != (problem.checker is not None):
        raise DataError(
            f"problem {problem.id}: a checker and the comparison 'checker' go together; give both or neither"
        )
    if problem.checker and problem.form != "stdin":
        raise DataError(f"problem {problem.id}: a checker reads what is printed; it can't judge calls")
    return problem.checker


async def judgements(
    sandbox: Runner, checker: Checker, tests: Sequence[TestCase], outputs: Sequence[bytes]
) -> list[Judgement]:
    """What the checker makes of each output; ``judge_error`` where it or the sandbox failed.

    Raises ``UserError`` for a language that is not known or not installed.
    """
    found: list[Judgement] = []
    files = [_files(test, output) for test, output in zip(tests, outputs, strict=True)]
    limits, count = run_limits(checker.limits), len(files)
    python = find(checker.language) is PYTHON
    source = _PYTHON.format(source=checker.source) if python else checker.source
    options: dict[str, Any] = {} if python else {"language": checker.language}
    if checker.files:
        options["beside"] = {file.name: _bytes(file.text) for file in checker.files}

    def start(done: int) -> AsyncGenerator[RunResult, None]:
        stdins = [b""] * (count - done)
        return sandbox.run(source, stdins, limits, files=files[done:], arguments=CHECKER_ARGUMENTS, **options)

    try:
        async with aclosing(steady(start, count)) as runs:
            async for run in runs:
                found += [_judgement(run)] * (count if run.status is Status.COMPILE_ERROR else 1)
    except SandboxError as error:
        found += [(Verdict.JUDGE_ERROR, f"sandbox: {error}")] * (count - len(found))
    return found[:count]


def _files(test: TestCase, output: bytes) -> dict[str, bytes]:
    return dict(zip(CHECKER_ARGUMENTS, (_bytes(test.input), output, _bytes(test.output)), strict=True))


def _judgement(run: RunResult) -> Judgement:
    message = (run.stderr.strip() or run.stdout.strip()).decode(errors="replace")
    if run.ok:
        return Verdict.ACCEPTED, message
    if run.status is Status.EXITED and run.exit_code in _WRONG:
        return Verdict.WRONG_ANSWER, message or _WRONG[run.exit_code]
    ending = f"exit code {run.exit_code}" if run.status is Status.EXITED else run.status.value
    return Verdict.JUDGE_ERROR, f"{FAILED} ({ending}): {message}".rstrip(": ")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
