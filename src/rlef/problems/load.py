"""Data sets by name or path."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from rlef.errors import DataError
from rlef.problems.importers import Skipped, import_apps, import_humaneval, import_mbpp
from rlef.problems.jsonl import read_problems
from rlef.problems.near import near
from rlef.problems.types import Problem, ProblemSet

SPLITS = ("train", "valid", "test")
BUNDLED = ("conventions", "basics")

Importer = Callable[[Path], tuple[list[Problem], list[Skipped]]]
FILES: dict[str, tuple[str, Importer]] = {
    "humaneval": ("HumanEval.jsonl.gz", import_humaneval),
    "mbpp": ("mbpp.jsonl.gz", import_mbpp),
    "apps": ("apps_150.jsonl.gz", import_apps),
}
"""Data sets that the user brings: file name inside ``RLEF_DATA`` and its reader."""


@runtime_checkable
class Grouped(Protocol):
    """A problem set that knows a problem's groups without making the problem."""

    def groups_of(self, problem_id: str) -> tuple[str, ...]:
        """Family first, then difficulty where there is one."""
        ...


class ListProblems:
    """A split whose problems are all in memory. ``draw`` is ignored: the data are fixed."""

    def __init__(self, name: str, split: str, problems: Sequence[Problem]) -> None:
        """Raises ``DataError`` if there are no problems or an id is there twice."""
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
) -> ProblemSet:
    """A split of a data set.

    ``name_or_path``: ``conventions``, ``basics``, a ``.jsonl(.gz)`` file of problems, or
    ``humaneval``, ``mbpp``, ``apps``, which are read from the folder in ``RLEF_DATA``, or from
    a file or folder given after a colon (``mbpp:data/mbpp.jsonl.gz``). JSONL problems that name
    a split in their provenance are kept if it is ``split``; files that name none, and
    ``humaneval`` and ``apps``, are the same for every split.
    ``families`` keeps problems whose family or difficulty is named. ``limit`` keeps the first
    so many. ``seed`` other than 0 shuffles the ids before ``limit``.

    Raises ``DataError`` with one line for anything that does not exist.
    """
    if split not in SPLITS:
        raise DataError(f"no split {split!r}{near(split, SPLITS)}; splits are {', '.join(SPLITS)}")
    whole = _open(name_or_path, split)
    ids = _of_families(whole, families) if families else whole.ids()
    if seed:
        random.Random(f"order/{seed}").shuffle(ids)
    if limit is not None:
        ids = ids[:limit]
    return whole if ids == whole.ids() else Selection(whole, ids)


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


def _open(name_or_path: str, split: str) -> ProblemSet:
    name, colon, place = name_or_path.partition(":")
    if name_or_path in BUNDLED:
        return _open_bundled(name_or_path, split)
    if name in FILES and (name_or_path == name or colon):
        return _open_import(name, place, split)
    if name_or_path.endswith((".jsonl", ".jsonl.gz")):
        return _open_jsonl(Path(name_or_path), split)
    known = (*BUNDLED, *FILES)
    raise DataError(
        f"no data set {name_or_path!r}{near(name_or_path, known)}; "
        f"data sets are {', '.join(known)}, or the path of a .jsonl or .jsonl.gz file"
    )


def _open_bundled(name: str, split: str) -> ProblemSet:
    # Lazily, so that reading a JSONL file does not build the suites.
    if name == "basics":
        from rlef.problems import basics

        return basics.open_split(split)
    from rlef.problems.conventions import suite

    return suite.open_split(split)


def _open_import(name: str, place: str, split: str) -> ProblemSet:
    file_name, importer = FILES[name]
    root = place or os.environ.get("RLEF_DATA", "")
    if not root:
        raise DataError(
            f"{name} needs {file_name}: set RLEF_DATA to the folder that holds it, or give {name}:PATH"
        )
    path = Path(root)
    if not place or path.is_dir():
        path = path / file_name
    if not path.is_file():
        raise DataError(
            f"{name} needs the file {path}, which does not exist: put it there, "
            f"set RLEF_DATA to the folder that holds {file_name}, or give {name}:PATH"
        )
    problems, _ = importer(path)
    return ListProblems(name, split, _of_split(problems, split, str(path)))


def _open_jsonl(path: Path, split: str) -> ProblemSet:
    return ListProblems(path.name, split, _of_split(read_problems(path), split, str(path)))


def _of_split(problems: list[Problem], split: str, where: str) -> list[Problem]:
    splits = sorted({problem.provenance.split for problem in problems} - {""})
    if not splits:
        return problems
    if split not in splits:
        raise DataError(f"{where} has no split {split!r}; its splits are {', '.join(splits)}")
    return [problem for problem in problems if problem.provenance.split == split]


def _of_families(problems: ProblemSet, families: Sequence[str]) -> list[str]:
    of_id = {problem_id: groups(problems, problem_id) for problem_id in problems.ids()}
    known = sorted({name for names in of_id.values() for name in names if name})
    for family in families:
        if family not in known:
            hint = near(family, known) or f"; it has {', '.join(known)}"
            raise DataError(f"{problems.name} has no family or difficulty {family!r}{hint}")
    return [problem_id for problem_id, names in of_id.items() if set(names) & set(families)]
