"""What a benchmark is to the importers, and what they need of its rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

from rlef.errors import DataError
from rlef.problems.asserts import Inexpressible, Tests
from rlef.problems.checks import CODE
from rlef.problems.tables import Row, parse_json
from rlef.problems.types import Problem, Solution, TestCase


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Something in a file that did not become part of a problem."""

    id: str
    """The problem; an example that was left out names its problem too."""
    reason: str
    whole: bool = True
    """False if only one docstring example is left out and the problem is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much of a set is imported."""

    solutions: int | None = None
    """Most known-good and most known-bad programs that a problem keeps; None for all. CodeContests
    has gigabytes of them."""
    most: int | None = None
    """Read no further once there are so many problems of the split; None reads everything."""
    filtered: bool = True
    """CodeContests: leave out training problems without private tests (RLEF paper, section 3.1)."""
    testlib: str = ""
    """CodeContests+: the text of ``testlib.h``, which its checkers include."""


EVERYTHING = Options()


class Entry(NamedTuple):
    """A row and where it stands."""

    where: str
    row: Row
    split: str
    """The split that its file names, or an empty text."""
    number: int
    """Rows of this split before it."""


Found = Problem | Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way in which the rows of a benchmark are written."""

    fields: tuple[str, ...]
    """Columns that a row must have; the first form whose columns are all there is taken."""
    name: Callable[[Entry], str]
    """A problem's id."""
    make: Callable[[str, Entry, Options], Iterator[Found]]
    """The problem with an id, and what was left out. Raises ``Inexpressible`` if all of it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A known data set."""

    name: str
    forms: tuple[Form, ...]
    files: tuple[str, ...]
    """Files or folders in which it is looked for inside ``RLEF_DATA``."""
    hub: tuple[str, ...]
    """Ids of data sets on the hub."""
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Parts that are asked for by name (``livecodebench@release_v5``), as glob patterns of paths."""
    variant: str = ""
    """The part that is meant if none is named."""
    solution_columns: tuple[str, ...] = ()
    """Columns that are not read where no solutions are wanted."""


def form_of(benchmark: Benchmark, entry: Entry) -> Form:
    """The form of a row. Raises ``DataError`` that names a missing column of the usual form."""
    for form in benchmark.forms:
        if all(name in entry.row for name in form.fields):
            return form
    missing = next(name for name in benchmark.forms[0].fields if name not in entry.row)
    raise DataError(f"{entry.where}: field {missing!r} is missing; this is no row of {benchmark.name}")


# -- values of a row


def text_of(row: Row, key: str) -> str:
    """The text of a column; empty for null and for a column that is not there."""
    value = row.get(key)
    return "" if value is None else str(value)


def list_of(row: Row, key: str, where: str) -> list[Any]:
    """The list of a column. Raises ``DataError`` if it is something else."""
    value = row.get(key)
    if not isinstance(value, list):
        raise DataError(f"{where}: {key} must be a list")
    return list(value)


def texts_of(row: Row, key: str, where: str) -> list[str]:
    """The list of texts of a column. Raises ``DataError`` if it is something else."""
    items = list_of(row, key, where)
    if not all(isinstance(item, str) for item in items):
        raise DataError(f"{where}: {key} must be a list of texts")
    return items


def json_of(row: Row, key: str) -> Any:
    """The JSON value in a text column; None for an empty one. Raises ``Inexpressible``."""
    text = row.get(key)
    if not isinstance(text, str):
        return text  # some copies hold the value itself
    try:
        return parse_json(text) if text.strip() else None
    except ValueError as error:
        raise Inexpressible(f"{key} is not JSON ({error})") from None


def meta_of(row: Row, keys: Iterable[str]) -> dict[str, Any]:
    """Columns that are kept by their own names, without empty ones."""
    kept = {key: _json(row[key]) for key in keys if key in row}
    return {key: value for key, value in kept.items() if value not in (None, "", [], {})}


def _json(value: Any) -> Any:
    """A value as JSON has it; what it has not becomes text."""
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    plain = value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))
    return value if plain else str(value)


def unanswered(problem: Problem) -> bool:
    """True if a test of the problem has no output yet: `judge.filling` makes it."""
    tests = (*problem.public_tests, *problem.hidden_tests)
    return problem.form == "call" and any(not test.output and test.check != CODE for test in tests)


_APART = 60
"""Most characters between the input and the output of an example."""
_DAY = re.compile(r"\s*(\d{4}-\d{2}-\d{2})(?!\d)")


def day_of(text: object) -> str:
    """The day that a text begins with, ``2024-05-31``, or an empty text."""
    found = _DAY.match(str(text or ""))
    return found[1] if found else ""


# -- parts of a problem


def some(solutions: Sequence[Solution], most: int | None) -> tuple[Solution, ...]:
    """At most ``most`` known-good and as many known-bad programs, Python first: that is what is run."""
    if most is None:
        return tuple(solutions)
    kept: list[Solution] = []
    for good in (True, False):
        of_kind = [s for s in solutions if (s.verdict == "accepted") is good]
        kept += sorted(of_kind, key=lambda s: s.language != "python")[:most]
    return tuple(kept)


Shares = tuple[tuple[TestCase, ...], tuple[TestCase, ...]]
"""Public and private tests."""


def share_out(examples: Tests, tests: Tests) -> Shares:
    """Examples are public, or the first test if there are none; `_shares`."""
    return _shares(list({**examples, **tests}.values()), {test.input for test in examples.values()})


def shown_in(statement: str, tests: Sequence[TestCase]) -> Shares:
    """Public and private tests of a set that does not part them.

    Public are the tests whose input stands in the statement word for word, with the output soon after it,
    or the first test if there are none. Equal tests are one; `_shares`.
    """
    words = f" {' '.join(statement.split())} "
    every = list(dict.fromkeys(tests))
    return _shares(every, {test.input for test in every if _stands(test, words)})


def _shares(every: Sequence[TestCase], shown: set[str]) -> Shares:
    """Public and private tests with disjoint inputs and at least one of each; without ``shown`` inputs
    the first test is public, and where all are shown the last one judges.

    Raises ``Inexpressible`` if there are fewer than two different inputs.
    """
    inputs = {test.input for test in every}
    if len(inputs) < 2:
        raise Inexpressible("fewer than two different tests")
    shown = shown or {every[0].input}
    if shown >= inputs:
        shown = shown - {every[-1].input}
    public = tuple(test for test in every if test.input in shown)
    private = tuple(test for test in every if test.input not in shown)
    return public, private


def _stands(test: TestCase, words: str) -> bool:
    """True if an example of the statement, given as words between blanks, is this test."""
    if len(test.input) + len(test.output) > 2 * len(words):
        return False  # a long text would be sought in vain
    given, right = (" ".join(text.split()) for text in (test.input, test.output))
    at = words.find(f" {given} ") if given and right else -1
    while at >= 0:
        end = at + len(given) + 1
        if words.find(f" {right} ", end, end + _APART + len(right)) >= 0:
            return True
        at = words.find(f" {given} ", at + 1)
    return False
