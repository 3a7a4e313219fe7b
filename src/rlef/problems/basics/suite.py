"""The splits of ``basics``: which parameters go where, and problems by id."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator
from typing import Any

from rlef.errors import DataError
from rlef.problems.basics.kind import Kind, make_problem
from rlef.problems.basics.level1_numbers import ARITHMETIC, QUESTIONS
from rlef.problems.basics.level1_texts import LISTS, TEXT
from rlef.problems.basics.level2_lists import CHANGES, FILTERS
from rlef.problems.basics.level2_texts import LINES, RANGES
from rlef.problems.basics.level3_lists import SEQUENCES
from rlef.problems.basics.level3_numbers import NUMBERS
from rlef.problems.basics.level3_texts import TEXTS
from rlef.problems.near import near
from rlef.problems.types import Problem

SEED = "basics-1"
"""Another seed is another suite: change it only with the name."""
SPLITS = ("train", "valid", "test")
TEST, VALID, TRAIN_MOST = 4, 2, 40
"""Instances of each kind; training takes what is left, up to ``TRAIN_MOST``."""

_BY_LEVEL = {
    1: ARITHMETIC + QUESTIONS + TEXT + LISTS,
    2: FILTERS + CHANGES + LINES + RANGES,
    3: NUMBERS + SEQUENCES + TEXTS,
}
KINDS: dict[str, Kind] = {kind.name: kind for kinds in _BY_LEVEL.values() for kind in kinds}
"""All kinds by name; the names are the suite's families."""
LEVELS: dict[str, int] = {kind.name: level for level, kinds in _BY_LEVEL.items() for kind in kinds}
"""Level of each kind: 1 is one expression, 2 a small loop, 3 a short algorithm."""


@functools.cache
def instances(kind_name: str, split: str) -> tuple[dict[str, Any], ...]:
    """Parameters of a kind's problems in a split. Splits share none."""
    pool = KINDS[kind_name].instances()
    random.Random(f"{SEED}/split/{kind_name}").shuffle(pool)
    bounds = {
        "test": (0, TEST),
        "valid": (TEST, TEST + VALID),
        "train": (TEST + VALID, TEST + VALID + TRAIN_MOST),
    }
    first, last = bounds[split]
    return tuple(pool[first:last])


class Basics:
    """One split of the suite. Training draws fresh tests, valid and test are fixed."""

    name = "basics"

    def __init__(self, split: str) -> None:
        """Raises ``DataError`` for a split that does not exist."""
        if split not in SPLITS:
            raise DataError(f"basics has no split {split!r}{near(split, SPLITS)}")
        self.split = split
        # One of each kind, then the next of each: the first so many ids hold all kinds.
        columns = [[(name, n) for n in range(len(instances(name, split)))] for name in KINDS]
        rows = itertools.chain.from_iterable(itertools.zip_longest(*columns))
        self._places = {f"basics/{split}/{name}/{n}": (name, n) for name, n in filter(None, rows)}

    def ids(self) -> list[str]:
        """All ids: ``basics/<split>/<kind>/<n>``."""
        return list(self._places)

    def get(self, problem_id: str, draw: int = 0) -> Problem:
        """The problem; in ``train`` with tests that depend on ``draw``.

        Raises ``DataError`` with the nearest id if there is no such problem.
        """
        if problem_id not in self._places:
            raise DataError(
                f"no problem {problem_id!r} in basics ({self.split}){near(problem_id, self._places)}"
            )
        name, n = self._places[problem_id]
        fresh = draw if self.split == "train" else 0
        return make_problem(
            KINDS[name],
            LEVELS[name],
            instances(name, self.split)[n],
            problem_id=problem_id,
            wording=n,
            split=self.split,
            rng=random.Random(f"{SEED}/tests/{problem_id}/{fresh}"),
        )

    def groups_of(self, problem_id: str) -> tuple[str, ...]:
        """Kind and level of a problem, as in its provenance."""
        name = self._places[problem_id][0]
        return (name, f"level{LEVELS[name]}")

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Problem]:
        return (self.get(problem_id) for problem_id in self._places)


def open_split(split: str) -> Basics:
    """A split of the suite. Raises ``DataError`` if there is no such split."""
    return Basics(split)
