"""Function-call problems: from a problem and a program to one run for each test.

The values come back over a channel that only the test process has (`sandbox.calls`), and are
compared here, in the parent. A program gains nothing by writing to the channel itself that a plain
``return`` would not give it, as the expected value is not in its process.

Tests of check ``code`` are the exception: their text holds the answer and runs in the program's own
process. Their reports are ``weak``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from itertools import groupby
from typing import Any, Protocol

from rlef.errors import DataError
from rlef.judge import plain
from rlef.problems.checks import CODE, split_check
from rlef.problems.types import Problem, TestCase
from rlef.sandbox.types import RunLimits, RunResult, Status

Steady = Callable[[Callable[[int], AsyncGenerator[RunResult, None]], int], AsyncGenerator[RunResult, None]]
"""Goes on after failures of the sandbox: from a start at the n-th input, and how many there are."""


class Caller(Protocol):
    """What calls need of a sandbox."""

    def call(
        self,
        source: str,
        function: str,
        arguments: Sequence[bytes],
        limits: RunLimits,
        *,
        together_s: float = ...,
        alone: bool = ...,
    ) -> AsyncGenerator[RunResult, None]:
        """See `sandbox.Sandbox.call`."""
        ...


def entry_name(problem: Problem) -> str:
    """The function to call, ``f`` for ``Solution().f`` too. Raises ``DataError`` if there is none."""
    name = (problem.entry_point or "").removeprefix("Solution().").removeprefix("Solution.")
    if not name.isidentifier():
        raise DataError(f"problem {problem.id} is tested by calls, so it needs the name of a function")
    return name


def check_test(test: TestCase, problem_id: str) -> None:
    """Raise ``DataError`` unless the arguments are a list and the check is known: what goes wrong
    with them in the test process would look like the candidate's failure.
    """
    try:
        split_check(test.check)
        if test.check != CODE and not isinstance(plain.parse(test.input), list):
            raise DataError(f"problem {problem_id}: the arguments of a test must be a JSON list")
    except plain.NotPlain as error:
        raise DataError(f"problem {problem_id}: the arguments of a test are not JSON: {error}") from None
    except ValueError as error:
        raise DataError(f"problem {problem_id}: {error}") from None


async def runs(
    sandbox: Caller,
    steady: Steady,
    problem: Problem,
    code: str,
    tests: Sequence[TestCase],
    limits: RunLimits,
    *,
    alone: bool = False,
) -> AsyncGenerator[RunResult, None]:
    """One run for each test, in order, or a single one if the program does not compile.

    ``limits`` may have some grace; ``alone``: while nothing else runs.
    """
    # Calls that share a process have no part in the grace: which of them took it would not show.
    options: dict[str, Any] = {"alone": True} if alone else {"together_s": problem.limits.cpu_s}
    name = entry_name(problem)
    for test in tests:
        check_test(test, problem.id)
    for is_code, some in groupby(tests, key=lambda test: test.check == CODE):
        function = "" if is_code else name
        texts = [test.input.encode("utf-8", "surrogatepass") for test in some]

        def start(
            done: int, function: str = function, texts: list[bytes] = texts
        ) -> AsyncGenerator[RunResult, None]:
            return sandbox.call(code, function, texts[done:], limits, **options)

        async with aclosing(steady(start, len(texts))) as made:
            async for run in made:
                yield run
                if run.status is Status.COMPILE_ERROR:
                    return
