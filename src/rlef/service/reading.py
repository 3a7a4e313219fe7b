"""Reads the answer to ``POST /judge``: all of it, or none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2

from rlef.errors import DataError
from rlef.judge.types import HiddenReport, PublicReport, TestReport
from rlef.problems.types import Problem
from rlef.service import wire

Reports = tuple[PublicReport | None, HiddenReport | None]


class Unserved(Exception):
    """A service did not judge the program; another one may, or the same one later."""


async def reports(lines: AsyncIterator[str], problem: Problem) -> Reports:
    """The reports in the events of a stream, which is read to its end.

    Raises ``Unserved`` for anything but a whole and consistent answer, ``DataError`` if the
    service says that the tests make no sense, and what reading the stream raises.
    """
    answer = _Answer(problem)
    try:
        async for line in lines:
            answer.take(wire.loads(line))
    except httpx2.HTTPError:
        if answer.found is None:
            raise
    except DataError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise Unserved(f"it answered what is not a report: {error}") from None
    if answer.found is None:
        raise Unserved("the connection ended before the verdict")
    return answer.found


class _Answer:
    """What has come so far. Raises ``ValueError``, ``KeyError`` or ``TypeError`` for nonsense."""

    def __init__(self, problem: Problem) -> None:
        self.found: Reports | None = None
        self._problem = problem
        self._tests: dict[str, list[TestReport]] = {"public": [], "hidden": []}

    def take(self, event: dict[str, Any]) -> None:
        """One event; unknown ones are of a newer service and mean nothing here."""
        if event["event"] == "test":
            kind = event["of"]
            self._tests[kind].append(wire.report_of(event, wire.tests_of(self._problem, kind)))
        elif event["event"] == "error":
            message = event["error"]["message"]
            raise DataError(message) if event["error"]["code"] == "unusable_tests" else Unserved(message)
        elif event["event"] == "done":
            self.found = self._finished(event)

    def _finished(self, event: dict[str, Any]) -> Reports:
        public = hidden = None
        if event["public"] is not None:
            tests, total = tuple(self._tests["public"]), len(self._problem.public_tests)
            if len(tests) != total:
                raise ValueError(f"{len(tests)} reports of {total} public tests")
            public = PublicReport(tests=tests, total=total, rung=event["public"]["rung"])
        if event["hidden"] is not None:
            tests, total = tuple(self._tests["hidden"]), len(self._problem.hidden_tests)
            hidden = HiddenReport(tests=tests, total=total, rung=event["hidden"]["rung"])
        last = hidden or public
        if last is None or last.verdict.value != event["verdict"]:
            raise ValueError("the verdict is not that of the reports")
        return public, hidden
