"""The benchmarks that are known, and how their files become problems."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from rlef.errors import DataError
from rlef.problems import tables
from rlef.problems.asserts import Inexpressible
from rlef.problems.importers import evalplus, evalplus_hub
from rlef.problems.importers.apps import APPS, TACO
from rlef.problems.importers.codecontests import CODECONTESTS
from rlef.problems.importers.codecontests_plus import CODECONTESTS_PLUS, TESTLIB
from rlef.problems.importers.humaneval import HUMANEVAL
from rlef.problems.importers.livecodebench import LIVECODEBENCH
from rlef.problems.importers.mbpp import MBPP
from rlef.problems.importers.record import (
    EVERYTHING,
    Benchmark,
    Entry,
    Form,
    Found,
    Options,
    Skipped,
    form_of,
    unanswered,
)
from rlef.problems.jsonl import check_problem
from rlef.problems.types import Problem

HUMANEVAL_PLUS = Benchmark(
    name="humaneval+",
    forms=(evalplus.HUMANEVAL_FORM, evalplus_hub.HUMANEVAL_FORM),
    files=("HumanEvalPlus.jsonl.gz", "HumanEvalPlus.jsonl", "humanevalplus"),
    hub=("evalplus/humanevalplus",),
)
MBPP_PLUS = Benchmark(
    name="mbpp+",
    forms=(evalplus.MBPP_FORM, evalplus_hub.MBPP_FORM),
    files=("MbppPlus.jsonl.gz", "MbppPlus.jsonl", "mbppplus"),
    hub=("evalplus/mbppplus",),
)

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        HUMANEVAL,
        HUMANEVAL_PLUS,
        MBPP,
        MBPP_PLUS,
        APPS,
        TACO,
        CODECONTESTS,
        CODECONTESTS_PLUS,
        LIVECODEBENCH,
    )
}
"""By short name."""
HUB: dict[str, Benchmark] = {hub: benchmark for benchmark in BENCHMARKS.values() for hub in benchmark.hub}
"""By id on the hub."""


_OF_ANOTHER_KIND = (
    *(TypeError, ValueError, LookupError, AttributeError, ArithmeticError),
    *(RecursionError, MemoryError),  # of what is nested, or unpacks to too much
)
"""What code for one kind of value raises for another."""


def imported(
    benchmark: Benchmark,
    place: Path | str,
    *,
    split: str = "",
    variant: str = "",
    options: Options = EVERYTHING,
) -> tuple[list[Problem], list[Skipped]]:
    """All problems of a file or folder, and what was left out with the reason.

    Nothing of a file is dropped silently. Raises ``DataError`` for a file that is not of this set.
    """
    problems: list[Problem] = []
    skipped: list[Skipped] = []
    left = options.most
    for found in stream(benchmark, place, split=split, variant=variant, options=options):
        if isinstance(found, Skipped):
            skipped.append(found)
            continue
        problems.append(found)
        if left is not None and (not split or found.provenance.split in ("", split)):
            left -= 1
            if not left:
                break
    if not problems:
        why = f"; the first of {len(skipped)}: {skipped[0].id}: {skipped[0].reason}" if skipped else ""
        raise DataError(f"{place} holds no problem that can be imported{why}")
    return problems, skipped


def stream(
    benchmark: Benchmark,
    place: Path | str,
    *,
    split: str = "",
    variant: str = "",
    options: Options = EVERYTHING,
) -> Iterator[Found]:
    """The same, one at a time, for sets that do not fit into memory."""
    if benchmark is CODECONTESTS_PLUS:
        options = _with_testlib(options, Path(place))
    seen: set[str] = set()
    for entry in entries(benchmark, place, split=split, variant=variant, options=options):
        form = form_of(benchmark, entry)
        if (problem_id := form.name(entry)) in seen:
            yield Skipped(id=problem_id, reason="the same id stands in an earlier row")
            continue
        found = made(form, entry, options)
        seen |= {one.id for one in found if isinstance(one, Problem)}
        yield from found


def made(form: Form, entry: Entry, options: Options) -> list[Found]:
    """The problem in a row, with what was left out of it, or the reason why there is none."""
    problem_id = form.name(entry)
    try:
        found = list(form.make(problem_id, entry, options))
        for one in found:
            if isinstance(one, Problem) and not unanswered(one):
                _check(one)
        return found
    except Inexpressible as reason:
        return [Skipped(id=problem_id, reason=str(reason))]
    except DataError:
        raise
    except _OF_ANOTHER_KIND as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        return [Skipped(id=problem_id, reason=f"a column is not of the documented kind ({why})")]


def _check(problem: Problem) -> None:
    try:
        check_problem(problem, "problem")
    except DataError as error:
        raise Inexpressible(str(error)) from None


def entries(
    benchmark: Benchmark,
    place: Path | str,
    *,
    split: str = "",
    variant: str = "",
    options: Options = EVERYTHING,
) -> Iterator[Entry]:
    """The rows of a benchmark, without columns that are not wanted."""
    unwanted = benchmark.solution_columns if options.solutions == 0 else ()
    root, counts = Path(place), dict[str, int]()
    for path in chosen(benchmark, root, split=split, variant=variant):
        named = tables.split_of(path.relative_to(root) if root.is_dir() else Path(path.name))
        columns = tables.columns(path) if unwanted else None
        wanted = [name for name in columns if name not in unwanted] if columns is not None else None
        for where, row in tables.rows(path, columns=wanted):
            for name in unwanted:
                row.pop(name, None)
            number = counts.get(named, 0)
            counts[named] = number + 1
            yield Entry(where, row, named, number)


def chosen(benchmark: Benchmark, root: Path, *, split: str = "", variant: str = "") -> Sequence[Path]:
    """The files of a variant and split. Raises ``DataError`` if there are none."""
    if variant and variant not in benchmark.variants:
        known = ", ".join(benchmark.variants) or "none"
        raise DataError(f"{benchmark.name} has no part {variant!r}; its parts are {known}")
    if root.is_file():
        return [root]
    found = tables.files(root, split=split)
    patterns = benchmark.variants.get(variant or benchmark.variant, ())
    names = {path: path.relative_to(root).as_posix() for path in found}
    missing = [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in names.values())]
    if variant and missing:
        raise DataError(f"{root} has not all of {benchmark.name}@{variant}; it lacks {', '.join(missing)}")
    return [path for path in found if any(fnmatch(names[path], one) for one in patterns)] or found


def _with_testlib(options: Options, place: Path) -> Options:
    """``testlib.h`` beside the data, or where ``RLEF_TESTLIB`` says."""
    given = os.environ.get("RLEF_TESTLIB", "")
    places = [Path(given)] if given else [place / TESTLIB, place.parent / TESTLIB]
    path = next((path for path in places if path.is_file()), None)
    if options.testlib or path is None:
        if given and not options.testlib:
            raise DataError(f"RLEF_TESTLIB is {given}, which is no file; give the path of testlib.h")
        return options
    return replace(options, testlib=path.read_text(encoding="utf-8", errors="replace"))
