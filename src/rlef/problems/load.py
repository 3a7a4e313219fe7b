"""Data sets by name or path."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from rlef.errors import DataError
from rlef.problems import tables
from rlef.problems.corpora import FORMS, HUBS
from rlef.problems.corpora.opening import opened
from rlef.problems.importers import BENCHMARKS, HUB, Benchmark, Options, Skipped, imported, unanswered
from rlef.problems.jsonl import read_problems
from rlef.problems.near import near
from rlef.problems.types import Problem, ProblemSet

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w.-]+)?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
SPLITS = ("train", "valid", "test")
ALL = "all"
"""Every problem of a file, whatever its split."""
BUNDLED = ("conventions", "basics")


@runtime_checkable
class Grouped(Protocol):
    """A problem set that knows a problem's groups without making the problem."""

    def groups_of(self, problem_id: str) -> tuple[str, ...]:
        """Family first, then difficulty where there is one."""
        ...


class ListProblems:
    """A split whose problems are all in memory. ``draw`` is ignored: the data are fixed."""

    def __init__(
        self, name: str, split: str, problems: Sequence[Problem], skipped: Sequence[Skipped] = ()
    ) -> None:
        """Raises ``DataError`` if there are no problems or an id is there twice."""
        self.skipped = tuple(skipped)
        """What its file holds besides, with the reason why it is not here."""
        self.name = name
        self.split = split
        self._problems = {problem.id: problem for problem in problems}
        if not problems:
            raise DataError(f"{name} has no problems in split {split!r}")
        if len(self._problems) < len(problems):
            raise DataError(f"{name} holds the same problem id twice; ids must be unique")

    def ids(self) -> list[str]:
        """All ids, in file order."""
        return list(self._problems)

    def get(self, problem_id: str, draw: int = 0) -> Problem:
        """The problem with this id. Raises ``DataError`` with the nearest id if unknown."""
        if problem_id not in self._problems:
            raise unknown_problem(problem_id, self)
        return self._problems[problem_id]

    def __len__(self) -> int:
        return len(self._problems)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._problems.values())


class Selection:
    """Some of the ids of another set, in the given order; problems and draws are the other's."""

    def __init__(self, whole: ProblemSet, ids: Sequence[str]) -> None:
        self._whole = whole
        self._ids = dict.fromkeys(ids)
        self.name = whole.name
        self.split = whole.split
        self.skipped: tuple[Skipped, ...] = getattr(whole, "skipped", ())

    def ids(self) -> list[str]:
        """The selected ids."""
        return list(self._ids)

    def get(self, problem_id: str, draw: int = 0) -> Problem:
        """The problem with this id. Raises ``DataError`` with the nearest id if not selected."""
        if problem_id not in self._ids:
            raise unknown_problem(problem_id, self)
        return self._whole.get(problem_id, draw)

    def groups_of(self, problem_id: str) -> tuple[str, ...]:
        """Family, then difficulty."""
        return groups(self._whole, problem_id)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Problem]:
        return (self._whole.get(problem_id) for problem_id in self._ids)


def load(
    name_or_path: str,
    split: str,
    *,
    families: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
    after: str = "",
    before: str = "",
    solutions: int | None = None,
) -> ProblemSet:
    """A split of a data set.

    ``name_or_path``: ``conventions``, ``basics``, a ``.jsonl(.gz)`` file of problems, or one of
    `importers.BENCHMARKS` (``mbpp``), which is read from the folder in ``RLEF_DATA``, from
    a file or folder given after a colon (``mbpp:data/mbpp.jsonl.gz``), or from the hub if its id
    is given (``deepmind/code_contests``), or a corpus (``verl:train.parquet``, `corpora.opening`).
    ``@`` names a part or a revision
    (``livecodebench@release_v5``); ``docs/data.md`` has all of them. Problems that name
    a split are kept if it is ``split``, or if that is ``all``; files that name none are the same for every
    split.
    ``families`` keeps problems whose family or difficulty is named. ``after`` and ``before`` keep
    problems published on the first of these days or later, and before the second. ``limit`` keeps the
    first so many. ``seed`` other than 0 shuffles the ids before ``limit``. ``solutions`` is how many
    known-good and known-bad programs a problem of a benchmark keeps; None for all.

    Raises ``DataError`` with one line for anything that does not exist.
    """
    if split not in (*SPLITS, ALL):
        raise DataError(f"no split {split!r}{near(split, SPLITS)}; splits are {', '.join(SPLITS)}")
    whole_needed = families or seed or after or before
    most = None if whole_needed else limit
    whole = _open(name_or_path, split, Options(solutions=solutions, most=most))
    ids = _of_families(whole, families) if families else whole.ids()
    if after or before:
        ids = _of_days(whole, ids, after, before)
    if seed:
        random.Random(f"order/{seed}").shuffle(ids)
    if limit is not None:
        ids = ids[:limit]
    return whole if ids == whole.ids() else Selection(whole, ids)


def usual_split(name_or_path: str) -> str:
    """What is meant where no split is named: ``test`` of a bundled set, all of anything else."""
    return "test" if name_or_path in BUNDLED else ALL


def groups(problems: ProblemSet, problem_id: str) -> tuple[str, ...]:
    """Family and difficulty of a problem."""
    if isinstance(problems, Grouped):
        return problems.groups_of(problem_id)
    provenance = problems.get(problem_id).provenance
    return (provenance.family, provenance.difficulty)


def unknown_problem(problem_id: str, problems: ProblemSet) -> DataError:
    """The error for an id that is not in the set, with the nearest one that is."""
    return DataError(
        f"no problem {problem_id!r} in {problems.name} ({problems.split}){near(problem_id, problems.ids())}"
    )


def _open(name_or_path: str, split: str, options: Options) -> ProblemSet:
    name = name_or_path.partition(":")[0].partition("@")[0]
    if name_or_path in BUNDLED:
        return _open_bundled(name_or_path, split)
    if name in BENCHMARKS or name in HUB:
        return _open_benchmark(name_or_path, split, options)
    corpus = opened(name_or_path, split)
    if corpus:
        of_split = _of_split(corpus.problems, split, name_or_path)
        return ListProblems(corpus.name, split, of_split, corpus.skipped)
    if name_or_path.endswith((".jsonl", ".jsonl.gz")):
        return _open_jsonl(Path(name_or_path), split)
    known = (*BUNDLED, *BENCHMARKS)
    hint = near(name_or_path, (*known, *FORMS, *HUB, *HUBS))
    if _HUB_ID.fullmatch(name_or_path) and not Path(name_or_path).exists():
        raise DataError(
            f"{name_or_path!r} is no data set that rlef can read{hint}; of the hub it knows "
            f"{', '.join((*HUB, *HUBS))}; write others as a JSONL file of problems"
        )
    sets = f"; data sets are {', '.join(known)}, a .jsonl file of problems, or NAME:PATH as in docs/data.md"
    raise DataError(f"no data set {name_or_path!r}{hint or sets}")


def _open_bundled(name: str, split: str) -> ProblemSet:
    # Lazily, so that reading a JSONL file does not build the suites.
    if name == "basics":
        from rlef.problems import basics

        return basics.open_split(split)
    from rlef.problems.conventions import suite

    return suite.open_split(split)


def unfilled(name_or_path: str) -> tuple[list[Problem], list[Skipped]]:
    """The problems of all splits of a benchmark, with tests that may lack outputs, and what is left out."""
    name = name_or_path.partition(":")[0].partition("@")[0]
    if name not in BENCHMARKS and name not in HUB:
        raise DataError(
            f"{name_or_path!r} is no benchmark{near(name, BENCHMARKS)}; they are {', '.join(BENCHMARKS)}"
        )
    _, _, problems, skipped = _read_benchmark(name_or_path, "", Options())
    return problems, skipped


def _open_benchmark(asked: str, split: str, options: Options) -> ProblemSet:
    name, found, problems, skipped = _read_benchmark(asked, "" if split == ALL else split, options)
    if any(unanswered(problem) for problem in problems):
        raise DataError(
            f"{name} holds inputs without outputs; run its references for them once: "
            f"`rlef data fill {asked} {name}.jsonl`, and then use {name}.jsonl"
        )
    return ListProblems(name, split, _of_split(problems, split, str(found)), skipped)


def _read_benchmark(
    asked: str, split: str, options: Options
) -> tuple[str, Path, list[Problem], list[Skipped]]:
    """``NAME``, ``NAME@PART``, ``NAME:PATH``, ``ORG/NAME`` or ``ORG/NAME@REVISION`` of a known set."""
    name, _, place = asked.partition(":")
    short, _, part = name.partition("@")
    if short in HUB:
        benchmark = HUB[short]
        variant = part if part in benchmark.variants else ""
        found = tables.hub(
            short,
            revision=part if part and not variant else None,
            split=split,
            patterns=benchmark.variants.get(variant or benchmark.variant, ()),
        )
    else:
        benchmark, variant = BENCHMARKS[short], part
        found = _place(benchmark, place)
    problems, skipped = imported(benchmark, found, split=split, variant=variant, options=options)
    return benchmark.name, found, problems, skipped


def _place(benchmark: Benchmark, place: str) -> Path:
    """The file or folder that holds a benchmark."""
    name, files = benchmark.name, benchmark.files
    root = place or os.environ.get("RLEF_DATA", "")
    if not root:
        raise DataError(
            f"{name} needs {files[0]}: set RLEF_DATA to the folder that holds it, give {name}:PATH, "
            f"or take it from the hub as {benchmark.hub[0]}"
        )
    path = Path(root)
    inside = next((path / file for file in files if (path / file).exists()), None)
    if inside is None and (not place or not path.exists()):
        wanted = path if place else path / files[0]
        raise DataError(
            f"{name} needs the file {wanted}, which does not exist: put it there, "
            f"set RLEF_DATA to the folder that holds {files[0]}, or give {name}:PATH"
        )
    return inside or path


def _open_jsonl(path: Path, split: str) -> ProblemSet:
    try:
        problems = read_problems(path)
    except DataError as error:
        theirs = [name for name, benchmark in BENCHMARKS.items() if path.name in benchmark.files]
        hint = f"; a benchmark's own file is named {theirs[0]}:{path}" if theirs else ""
        raise DataError(f"{error}{hint}") from None
    return ListProblems(path.name, split, _of_split(problems, split, str(path)))


def _of_split(problems: list[Problem], split: str, where: str) -> list[Problem]:
    splits = sorted({problem.provenance.split for problem in problems} - {""})
    if not splits or split == ALL:
        return problems
    if split not in splits:
        raise DataError(f"{where} has no split {split!r}; its splits are {', '.join(splits)}")
    return [problem for problem in problems if problem.provenance.split == split]


def _of_days(problems: ProblemSet, ids: list[str], after: str, before: str) -> list[str]:
    """Ids of problems of known date in ``[after, before)``; ISO days compare as texts."""
    for name, day in (("after", after), ("before", before)):
        if day and not _DAY.fullmatch(day):
            raise DataError(f"data.{name} is {day!r}; write a day as 2024-05-31")
    days = {problem_id: problems.get(problem_id).provenance.date for problem_id in ids}
    if not any(days.values()):
        raise DataError(f"{problems.name} does not say when its problems were published")
    kept = [one for one, day in days.items() if day and day >= after and (not before or day < before)]
    if not kept:
        first, last = min(filter(None, days.values())), max(days.values())
        raise DataError(f"{problems.name} has no problems of these days; they are of {first} to {last}")
    return kept


def _of_families(problems: ProblemSet, families: Sequence[str]) -> list[str]:
    of_id = {problem_id: groups(problems, problem_id) for problem_id in problems.ids()}
    known = sorted({name for names in of_id.values() for name in names if name})
    for family in families:
        if family not in known:
            hint = near(family, known) or f"; it has {', '.join(known)}"
            raise DataError(f"{problems.name} has no family or difficulty {family!r}{hint}")
    return [problem_id for problem_id, names in of_id.items() if set(names) & set(families)]
