"""The JSON forms that server and client share. Imports neither of them.

A *test set* is a row of the JSONL form of problems without what judging does not need. Its
name is the SHA-256 of its bytes. An answer to ``POST /judge`` is one JSON object a line:

| `event` | when                                        | fields                                        |
|---------|---------------------------------------------|-----------------------------------------------|
| `test`  | a test has run                              | `of` (public, hidden), `test` (its index), report |
| `wait`  | nothing new for `BEAT_S` seconds            | `queued`                                      |
| `done`  | last line: the verdict                      | `verdict`, `public`, `hidden`                 |
| `error` | last line instead: there is no verdict      | `error`                                       |

Inputs and expected outputs do not travel back: the client has them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Literal, NoReturn

from rlef.errors import DataError
from rlef.judge.types import HiddenReport, PublicReport, TestReport, Verdict
from rlef.problems.jsonl import problem_to_row, row_to_problem
from rlef.problems.types import Problem, Provenance, TestCase

Kind = Literal["public", "hidden"]
Which = Literal["public", "hidden", "both"]
Tell = Callable[[dict[str, Any]], None]

BEAT_S = 5.0
"""Seconds of silence after which the server says that it is alive."""

DIGEST = re.compile(r"[0-9a-f]{64}")
_NOT_SENT = ("id", "statement", "solutions", "provenance")
_KNOWN_TO_CLIENT = ("input", "expected")
_HINTS = {
    name: hint for name, hint in typing.get_type_hints(TestReport).items() if name not in _KNOWN_TO_CLIENT
}
"""What of a report travels, and its types."""


def loads(text: str | bytes) -> Any:
    """Strict JSON of a stranger. Raises ``ValueError``, also for NaN and hostile nesting."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: object, *, sort_keys: bool = False) -> bytes:
    """Compact ASCII JSON."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=sort_keys).encode("ascii")


def digest(body: bytes) -> str:
    """The name of a test set: SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


def pack(problem: Problem) -> bytes:
    """The test set of a problem; equal tests give equal bytes whatever the problem is called."""
    bare = dataclasses.replace(problem, statement="", solutions=(), provenance=Provenance())
    row = {key: value for key, value in problem_to_row(bare).items() if key not in _NOT_SENT}
    return dumps(row, sort_keys=True)


def identity(problem: Problem) -> tuple[object, ...]:
    """What `pack` depends on, to be hashed: for keeping digests without packing again."""
    return tuple(
        getattr(problem, field.name) for field in dataclasses.fields(problem) if field.name not in _NOT_SENT
    )


def unpack(body: bytes, name: str) -> Problem:
    """The problem in a test set. Raises ``DataError`` with the field that is wrong."""
    try:
        row = loads(body)
        if not isinstance(row, dict):
            raise DataError("a test set must be a JSON object like a row of a problem file")
        return row_to_problem({"id": f"tests/{name[:12]}", "statement": "", **row}, "test set")
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(f"the test set is not JSON that rlef reads: {error}") from None


def tests_of(problem: Problem, kind: Kind) -> tuple[TestCase, ...]:
    """The tests that an index counts."""
    return problem.public_tests if kind == "public" else problem.hidden_tests


def teller(problem: Problem, kind: Kind, tell: Tell) -> Callable[[TestReport], None]:
    """A watch for the judge that passes reports to ``tell`` as events.

    The index is that of a test with the same input and output, so tests may run in any order.
    """
    places = {(test.input, test.output): k for k, test in enumerate(tests_of(problem, kind))}

    def watch(report: TestReport) -> None:
        where = places[report.input, report.expected]
        shown = {name: getattr(report, name) for name in _HINTS}
        tell({"event": "test", "of": kind, "test": where, **shown})

    return watch


def report_of(event: dict[str, Any], tests: Sequence[TestCase]) -> TestReport:
    """The report in a ``test`` event. Raises ``ValueError`` if it is none."""
    where = event.get("test")
    if not isinstance(where, int) or not 0 <= where < len(tests):
        raise ValueError(f"no test {where!r}")
    test = tests[where]
    fields = {name: _as(_HINTS[name], event[name]) for name in _HINTS if name in event}
    try:
        return TestReport(input=test.input, expected=test.output, **fields)
    except TypeError:
        raise ValueError("a report without a verdict") from None


def done(public: PublicReport | None, hidden: HiddenReport | None) -> dict[str, Any]:
    """The last event of a program that was judged."""
    last = hidden or public
    assert last is not None
    return {
        "event": "done",
        "verdict": last.verdict.value,
        "public": _summary(public),
        "hidden": _summary(hidden),
    }


def _as(hint: Any, value: Any) -> Any:
    """A JSON value as the type of a report's field."""
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    kinds = (float, int) if hint is float else hint
    if isinstance(hint, type) and not isinstance(value, kinds):
        raise ValueError(f"{value!r} is no {hint.__name__}")
    return value


def _summary(report: PublicReport | HiddenReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    passed = sum(test.verdict is Verdict.ACCEPTED for test in report.tests)
    return {"verdict": report.verdict.value, "passed": passed, "total": report.total, "rung": report.rung}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
