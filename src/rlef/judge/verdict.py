"""From one run to the report of one test: the only place where a verdict is decided.

| the run                                | verdict                                             |
|----------------------------------------|-----------------------------------------------------|
| ended by itself with exit code 0       | ``accepted`` or ``wrong_answer``, by its output       |
| the same, and the checker failed       | ``judge_error``                                      |
| ended otherwise, or by a signal        | ``runtime_error``, whatever it had printed            |
| was stopped at a limit                 | the limit's own verdict                             |
| never ran, as it does not compile      | ``compile_error``                                   |
"""

from __future__ import annotations

import signal

from rlef.errors import DataError, SandboxError
from rlef.judge import plain, views
from rlef.judge.compare import answers
from rlef.judge.types import TestReport, Verdict
from rlef.problems.checks import CODE
from rlef.problems.types import Problem, TestCase
from rlef.sandbox.types import RunResult, Status

_VERDICT = {
    Status.EXITED: Verdict.RUNTIME_ERROR,  # exit code 0 is handled before this table
    Status.SIGNALLED: Verdict.RUNTIME_ERROR,
    Status.CPU_LIMIT: Verdict.TIME_LIMIT,
    Status.IDLE_LIMIT: Verdict.IDLE_LIMIT,
    Status.MEMORY_LIMIT: Verdict.MEMORY_LIMIT,
    Status.OUTPUT_LIMIT: Verdict.OUTPUT_LIMIT,
    Status.COMPILE_ERROR: Verdict.COMPILE_ERROR,
}


def report_of(
    problem: Problem,
    test: TestCase,
    run: RunResult,
    *,
    keep: int,
    checked: tuple[Verdict, str] | None = None,
) -> TestReport:
    """Hold a run against its test. At most ``keep`` characters of each stream are reported.

    ``checked`` is the judgement of the problem's checker on the output, and its message.
    """
    got = run.outward if problem.form == "call" else run.stdout
    error = run.stderr.decode(errors="replace")
    message = ""
    if run.ok and checked is not None:
        verdict, message = checked
        error = message if verdict is Verdict.JUDGE_ERROR else error
    elif run.ok:
        right = _answers(problem, test, got)
        verdict = Verdict.ACCEPTED if right else Verdict.WRONG_ANSWER
    else:
        verdict = _VERDICT[run.status]
        error = error if error.strip() else _ending(run)
    return TestReport(
        verdict=verdict,
        input=test.input,
        expected=test.output,
        got=got.decode(errors="replace")[:keep],
        error=error[-keep:],
        checker_message=message[:keep],
        cpu_s=run.cpu_s,
        peak_bytes=run.peak_bytes,
        check=test.check,
    )


def judge_error(test: TestCase, error: SandboxError) -> TestReport:
    """The report of a test that the sandbox failed to run."""
    return TestReport(
        verdict=Verdict.JUDGE_ERROR,
        input=test.input,
        expected=test.output,
        error=f"sandbox: {error}",
        check=test.check,
    )


def _answers(problem: Problem, test: TestCase, got: bytes) -> bool:
    if problem.form == "stdin":
        return answers(test, got, problem.comparison)
    if test.check == CODE:
        return got == b"true"
    try:
        expected = [plain.parse(output) for output in (test.output, *test.also)]
    except plain.NotPlain as error:
        raise DataError(f"problem {problem.id}: an expected value is not JSON: {error}") from None
    try:
        value = plain.parse(got)
    except plain.NotPlain:
        return False
    return any(views.holds(test.check, right, value) for right in expected)


def _ending(run: RunResult) -> str:
    """How a run that said nothing on stderr ended."""
    if run.status is Status.SIGNALLED:
        known = {s.value: s.name for s in signal.Signals}
        return f"killed by {known.get(run.signal, f'signal {run.signal}')}"
    return f"exit code {run.exit_code}" if run.status is Status.EXITED else ""
