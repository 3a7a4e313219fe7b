"""Certifying a whole set: several problems at a time, each certificate kept, progress with time to go."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from rlef import __version__
from rlef.config import Sandbox as Settings
from rlef.errors import DataError
from rlef.judge.certify import Certifier, chosen
from rlef.judge.findings import Certificate, Kind
from rlef.problems.jsonl import problem_to_row
from rlef.problems.types import Problem
from rlef.runs import Appender, hold
from rlef.sandbox import Sandbox
from rlef.views.text import span

_START = b'{"key":'
"""How a row of the file begins: what a torn one is known by."""
_EVERY_S = 10.0
"""Seconds between lines of progress."""


class Kept:
    """The file of certificates: what is in it is not run again. Without a path nothing is kept.

    A row is found by all that it depends on: the problem with its solutions, the languages that are run, how
    many solutions, the version. Only the places of the rows are in memory, as a large set's have gigabytes.
    One process writes at a time.

    Example::

        with Kept(Path("mbpp.rows"), ("python",)) as kept:
            await certify_all(problems, settings, kept, take, say)
    """

    def __init__(self, path: Path | None, spoken: Sequence[str], most: int | None = None) -> None:
        """Raises ``DataError`` for another kind of file, and ``RunError`` if another process writes it."""
        self.spoken, self.most = spoken, most
        self._path = path
        self._places: dict[str, int] = {}
        self._file: Appender | None = None
        if path:
            if path.exists():
                self._places = _places(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = path.open("ab")
            try:
                hold(self._lock, path)
            except BaseException:
                self._lock.close()
                raise
            self._file = Appender(path)

    def place(self, problem: Problem) -> int | None:
        """Where the certificate of this very problem and its solutions is, if it was there at the start."""
        return self._places.get(self._key(problem)) if self._places else None

    def read(self, place: int) -> Certificate:
        """The certificate at a place."""
        assert self._path, "without a file it holds nothing"
        with self._path.open("rb") as file:
            file.seek(place)
            return Certificate.from_json(json.loads(file.readline())["certificate"])

    def add(self, problem: Problem, certificate: Certificate) -> None:
        """Write a certificate to the file. One with a failure of the sandbox is tried again next time."""
        if self._file and all(finding.kind is not Kind.JUDGE_ERROR for finding in certificate.findings):
            self._file.write({"key": self._key(problem), "certificate": certificate.to_json()})

    def _key(self, problem: Problem) -> str:
        text = json.dumps([__version__, self.most, self.spoken, problem_to_row(problem)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()
            self._lock.close()


def _places(path: Path) -> dict[str, int]:
    """Where in the file the row of each key begins, in bytes."""
    other = DataError(f"{path} is not what --out writes; choose another name")
    if not path.is_file():
        raise other
    places: dict[str, int] = {}
    at = 0
    with path.open("rb") as file:
        for line in file:
            # A torn last line is ours only if it begins as ours do: it will be cut off.
            if not line.endswith(b"\n"):
                if line[: len(_START)] != _START[: len(line)]:
                    raise other
                break
            try:
                row = json.loads(line)
                Certificate.from_json(row["certificate"])
                places[str(row["key"])] = at
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise other from None
            at += len(line)
    return places


class _Progress:
    """Says now and then how far it is. The time to go is judged by the tests that are still to be run."""

    def __init__(self, problems: int, tests: int, say: Callable[[str], None]) -> None:
        self._problems, self._tests, self._say = problems, tests, say
        self._started = self._told = time.monotonic()
        self._done = self._ran = 0

    def ran(self, tests: int) -> None:
        """So many tests were run."""
        self._ran += tests
        now = time.monotonic()
        if now - self._told < _EVERY_S:
            return
        self._told = now
        left = (now - self._started) / max(1, self._ran) * (self._tests - self._ran)
        self._say(f"{self._done} of {self._problems} problems, {span(max(0, left))} to go")

    def known(self, tests: int) -> None:
        """So many need not be run."""
        self._tests -= tests

    def done(self) -> None:
        """A problem is done."""
        self._done += 1


async def certify_all(
    problems: Sequence[Problem],
    settings: Settings,
    kept: Kept,
    take: Callable[[Certificate], None],
    say: Callable[[str], None],
) -> None:
    """Certify every problem; ``take`` gets the certificates in the order of the problems, as they come.

    ``say`` gets lines of progress. What ends it early (an error, Ctrl-C) ends it at once, and every problem
    that was done by then is in ``kept``.
    """

    def work(problem: Problem) -> int:
        tests = len(problem.public_tests) + len(problem.hidden_tests)
        return tests * len(chosen(problem, kept.spoken, kept.most))

    progress = _Progress(len(problems), sum(map(work, problems)), say)

    def told(problem: Problem) -> None:
        progress.ran(len(problem.public_tests) + len(problem.hidden_tests))

    async with await Sandbox.open(settings) as sandbox:
        certifier = Certifier(sandbox, spoken=kept.spoken, most=kept.most, told=told)
        waiting = asyncio.Semaphore(2 * sandbox.slots)

        async def one(problem: Problem) -> Certificate | int:
            """The place of what the file holds: those are all known at once, and read one by one."""
            async with waiting:
                found: Certificate | int | None = kept.place(problem)
                if found is None:
                    found = await certifier.certify(problem)
                    kept.add(problem, found)
                else:
                    progress.known(work(problem))
                progress.done()
                return found

        try:
            async with asyncio.TaskGroup() as group:
                # Taken from the left, so that no certificate stays in memory once it was told.
                tasks = deque(group.create_task(one(problem)) for problem in problems)
                while tasks:
                    found = await tasks.popleft()
                    take(kept.read(found) if isinstance(found, int) else found)
                    await asyncio.sleep(0)  # a task that is done gives the sandbox no turn
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
