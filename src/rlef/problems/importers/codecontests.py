"""CodeContests: public, private and generated tests, limits, right and wrong programs in five languages.

Two forms: the hub's parquet files, and the JSON that the set's own ``convert_riegeli_to_json.py``
(google-deepmind/code_contests) writes. Numbers are those of ``contest_problem.proto``, whose enumerations
have gaps, but for the hub's sources, which are counted without them. (The hub's features name
difficulties as if they had none either, one off from L on.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rlef.errors import DataError
from rlef.problems.asserts import Inexpressible
from rlef.problems.importers.record import (
    Benchmark,
    Entry,
    Form,
    Found,
    Options,
    meta_of,
    some,
    text_of,
)
from rlef.problems.tables import Row
from rlef.problems.types import REJECTED, Limits, Problem, Provenance, Solution, TestCase

LANGUAGES = ("unknown", "python2", "cpp17", "python", "java")
HUB_SOURCES = ("", "codechef", "codeforces", "hackerearth", "codejam", "atcoder", "aizu")
SOURCES = (*HUB_SOURCES[:5], "", *HUB_SOURCES[5:])
DIFFICULTIES = (
    "",
    "easy",
    "medium",
    "hard",
    "harder",
    "hardest",
    "external",
    *"abcdefghijk",
    "",
    *"lmnopqrstuv",
)

_SECONDS, _BYTES = 10.0, 10**9
"""Where a problem has no limits of its own (RLEF paper, appendix A.2)."""
_DURATION = re.compile(r"(seconds|nanos):\s*(\d+)")
"""A part of a time limit as a protocol buffer prints it, which is what the converter writes."""
_META = (
    "name",
    "cf_contest_id",
    "cf_index",
    "cf_points",
    "cf_rating",
    "is_description_translated",
    "untranslated_description",
)


def _problem(problem_id: str, entry: Entry, options: Options) -> Iterator[Found]:
    row, where = entry.row, entry.where
    groups = {name: _tests(row, name, where) for name in ("public_tests", "private_tests", "generated_tests")}
    _check(groups, entry.split if options.filtered else "")
    yield Problem(
        id=problem_id,
        statement=text_of(row, "description").strip() + "\n",
        public_tests=groups["public_tests"],
        private_tests=groups["private_tests"],
        generated_tests=groups["generated_tests"],
        comparison="deepmind",
        limits=_limits(row),
        input_file=text_of(row, "input_file"),
        output_file=text_of(row, "output_file"),
        solutions=some(
            [
                *_solutions(row, "solutions", "accepted", where),
                *_solutions(row, "incorrect_solutions", REJECTED, where),
            ],
            options.solutions,
        ),
        provenance=Provenance(
            dataset="codecontests",
            split=entry.split,
            family=_source(row) or "codecontests",
            difficulty=_named(DIFFICULTIES, row.get("difficulty")),
            license="CC-BY-4.0",
            source=_source(row),
            url=_url(row),
            tags=tuple(str(tag) for tag in row.get("cf_tags") or () if tag),
            meta=meta_of(row, _META),
        ),
    )


def _check(groups: Mapping[str, tuple[TestCase, ...]], split: str) -> None:
    """Raises ``Inexpressible`` for a problem that can't speak or judge, or that the paper leaves out."""
    if not groups["public_tests"]:
        raise Inexpressible("no public tests")
    if not groups["private_tests"] and not groups["generated_tests"]:
        raise Inexpressible("no private or generated tests")
    if split == "train" and not groups["private_tests"]:
        raise Inexpressible("no private tests; the paper leaves such training problems out")


def _tests(row: Row, key: str, where: str) -> tuple[TestCase, ...]:
    given, right = columns_of(row, key, ("input", "output"), where)
    return tuple(TestCase(input=i, output=o) for i, o in zip(given, right, strict=True))


def columns_of(row: Row, key: str, names: tuple[str, str], where: str) -> tuple[list[Any], list[Any]]:
    """Two columns of equal length that are written as an object of lists, or as a list of objects."""
    value = row.get(key) or {}
    if isinstance(value, list):
        value = {name: [item.get(name) for item in value if isinstance(item, dict)] for name in names}
    first, second = (value.get(name) or [] for name in names) if isinstance(value, dict) else ((), [])
    if not isinstance(first, list) or not isinstance(second, list) or len(first) != len(second):
        raise DataError(f"{where}: {key} must hold as many {names[0]}s as {names[1]}s")
    texts = (*first, *second) if names[0] == "input" else second
    if not all(isinstance(item, str) for item in texts):
        raise DataError(f"{where}: {key} must hold texts")
    return first, second


def _solutions(row: Row, key: str, verdict: str, where: str) -> Iterator[Solution]:
    languages, codes = columns_of(row, key, ("language", "solution"), where)
    for number, code in zip(languages, codes, strict=True):
        yield Solution(code=code, verdict=verdict, language=_named(LANGUAGES, number) or "unknown")


def _named(names: tuple[str, ...], value: Any) -> str:
    """A name by its number; a name that stands there itself is kept, a number beyond all as text."""
    if isinstance(value, int):
        return names[value] if 0 <= value < len(names) else str(value)
    return str(value or "").lower()


def _source(row: Row) -> str:
    converted = isinstance(row.get("time_limit"), str)
    return _named(SOURCES if converted else HUB_SOURCES, row.get("source"))


def _id(entry: Entry) -> str:
    """With the source: names may agree between sources."""
    name = re.sub(r"\s+", "-", str(entry.row["name"]).strip())
    return "/".join(filter(None, ("codecontests", _source(entry.row), name)))


def _limits(row: Row) -> Limits:
    time = row.get("time_limit") or {}
    if isinstance(time, str):
        time = {name: int(number) for name, number in _DURATION.findall(time)}
    seconds = (time.get("seconds") or 0) + (time.get("nanos") or 0) / 1e9
    return Limits(cpu_s=seconds or _SECONDS, memory_bytes=int(row.get("memory_limit_bytes") or _BYTES))


def _url(row: Row) -> str:
    contest, index = row.get("cf_contest_id"), row.get("cf_index")
    return f"https://codeforces.com/contest/{contest}/problem/{index}" if contest and index else ""


CODECONTESTS = Benchmark(
    name="codecontests",
    forms=(
        Form(
            fields=("name", "description", "public_tests", "private_tests", "generated_tests"),
            name=_id,
            make=_problem,
        ),
    ),
    files=("code_contests", "codecontests"),
    hub=("deepmind/code_contests",),
    solution_columns=("solutions", "incorrect_solutions"),
)
