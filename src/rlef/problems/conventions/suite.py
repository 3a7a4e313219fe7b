"""Splits of the suite: which statements and conventions, and the tests of each problem.

Splits are made over the *visible* points of each family, so no statement of one split
occurs in another, and a fortiori no (visible parameters, convention) pair does.

``valid`` and ``test`` cross every chosen statement with every convention of its family.
That makes the ceiling of a policy that never sees feedback a fact about the data: the
same statement stands over ten problems with the same inputs and ten different answers, so
``budget`` programs can't solve more than ``budget`` of the ten, whatever they hold.
"""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from rlef.errors import DataError
from rlef.problems.conventions.families import FAMILIES
from rlef.problems.conventions.family import Family, Values
from rlef.problems.types import Limits, Problem, Provenance, Solution, TestCase

_NAME = "conventions"
SIZES = {"train": 2000, "valid": 200, "test": 400}
_PUBLIC, _PRIVATE = 2, 4
_LIMITS = Limits(cpu_s=0.5, memory_bytes=128 * 2**20, output_bytes=64 * 2**10)
_VERSION = 2
"""Part of every seed: raise it when a family changes, so that old figures can't be mixed in."""


@dataclass(frozen=True, slots=True)
class _Point:
    """One problem before its tests are drawn."""

    id: str
    split: str
    family: Family
    visible: dict[str, Any]
    hidden: dict[str, Any]

    @property
    def statement(self) -> str:
        # The wording hangs on the visible point only: it must not tell conventions apart.
        random = Random(f"{_VERSION}/wording/{self.family.name}/{self.visible}")
        return random.choice(self.family.wordings).format(**self.visible)


def _shares(total: int, families: list[str]) -> dict[str, int]:
    """Deal ``total`` over families as evenly as possible, the first ones getting more."""
    low, more = divmod(total, len(families))
    return {name: low + (i < more) for i, name in enumerate(families)}


@cache
def _statements(name: str) -> dict[str, list[dict[str, Any]]]:
    """The visible parameters of a family, shuffled and dealt to the splits."""
    family = FAMILIES[name]
    visibles = family.visibles()
    Random(f"{_VERSION}/split/{name}").shuffle(visibles)
    statements: dict[str, list[dict[str, Any]]] = {}
    for split in ("test", "valid"):
        count = _shares(SIZES[split] // len(family.conventions()), list(FAMILIES))[name]
        statements[split], visibles = visibles[:count], visibles[count:]
    return statements | {"train": visibles}


@cache
def _points(split: str) -> tuple[_Point, ...]:
    """Every problem of a split, in the order of its ids."""
    points: list[_Point] = []
    for name, family in FAMILIES.items():
        visibles = _statements(name)[split]
        if split == "train":
            pairs = _train_pairs(family, visibles, _shares(SIZES["train"], list(FAMILIES))[name])
        else:
            pairs = [(v, h) for v in visibles for h in family.conventions()]
        points += [
            _Point(f"conventions/{split}/{name}/{i}", split, family, visible, hidden)
            for i, (visible, hidden) in enumerate(pairs)
        ]
    return tuple(points)


def _train_pairs(family: Family, visibles: list[dict[str, Any]], count: int) -> list[tuple[Any, Any]]:
    """``count`` different pairs with as many different visible points as there are."""
    conventions = family.conventions()
    random = Random(f"{_VERSION}/train/{family.name}")
    turn = [random.sample(range(len(conventions)), len(conventions)) for _ in visibles]
    pairs = [
        (v, conventions[turn[i][lap]]) for lap in range(len(conventions)) for i, v in enumerate(visibles)
    ]
    return pairs[:count]


def _tells_apart(inputs: list[str], family: Family, visible: Values) -> bool:
    """True if no two conventions have the same outputs on all of these inputs."""
    outputs = [tuple(family.solve(text, visible, h) for text in inputs) for h in family.conventions()]
    return len(set(outputs)) == len(outputs)


def _draw_inputs(point: _Point, draw: int) -> list[str]:
    """Inputs of the public tests, which tell all conventions apart, then of the private ones.

    They hang on the statement and the draw, not on the convention: ten problems under one
    statement have the same inputs and differ in their outputs alone, so no program, whatever
    it has memorised, passes the tests of two of them.
    """
    random = Random(f"{_VERSION}/inputs/{point.split}/{point.family.name}/{point.visible}/{draw}")
    chosen: list[str] = []
    for count in (_PUBLIC, _PRIVATE):
        for _ in range(2000):
            drawn = [point.family.draw_input(random, point.visible) for _ in range(count)]
            fresh = len(set(drawn)) == count and not set(drawn) & set(chosen)
            if fresh and (chosen or _tells_apart(drawn, point.family, point.visible)):
                break
        else:
            raise AssertionError(f"{point.id}: can't draw {count} more inputs")
        chosen += drawn
    return chosen


def _solutions(point: _Point, public: list[TestCase], random: Random) -> tuple[Solution, ...]:
    """The reference, another convention, a slow, a crashing and a greedy program."""
    family, visible, hidden = point.family, point.visible, point.hidden
    reference = family.program(visible, hidden)
    other = random.choice([h for h in family.conventions() if h != hidden])
    answers = {test.input.strip(): test.output.strip() for test in public}
    return (
        Solution(code=reference, note="reference"),
        Solution(code=family.program(visible, other), verdict="wrong_answer", note=f"wrong: {other}"),
        Solution(code="while True:pass\n" + reference, verdict="time_limit", note="slow"),
        Solution(code=reference + "\nraise ValueError", verdict="runtime_error", note="crashing"),
        Solution(code=f'print({answers!r}.get(input(),"?"))', verdict="wrong_answer", note="greedy"),
    )


class ConventionsSplit:
    """One split as a ``ProblemSet``. Training draws fresh tests, the others are fixed."""

    def __init__(self, split: str) -> None:
        if split not in SIZES:
            raise DataError(f"conventions has no split {split!r}; splits are {', '.join(SIZES)}")
        self.name = _NAME
        self.split = split
        self._by_id = {point.id: point for point in _points(split)}

    def ids(self) -> list[str]:
        """All ids: ``conventions/<split>/<family>/<n>``."""
        return list(self._by_id)

    def get(self, problem_id: str, draw: int = 0) -> Problem:
        """The problem, with the tests of this draw if the split is ``train``."""
        point = self._by_id.get(problem_id)
        if point is None:
            near = difflib.get_close_matches(problem_id, self._by_id, n=1)
            raise DataError(f"no problem {problem_id!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return _problem(point, draw if self.split == "train" else 0)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Problem]:
        return (self.get(problem_id) for problem_id in self._by_id)


def open_split(split: str) -> ConventionsSplit:
    """``train`` (2,000 problems), ``valid`` (200) or ``test`` (400)."""
    return ConventionsSplit(split)


def blind_masses(problems: Iterable[Problem]) -> dict[str, tuple[float, ...]]:
    """What a policy that reads statements and no feedback can know of each problem.

    For every problem id, the shares of the conventions among the problems under the same
    statement. They are counted in the data itself, so the sum of the ``k`` largest is the most
    that any such policy solves with ``k`` attempts, even one that knows the whole split.
    """
    groups: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        groups[problem.statement].append(problem)
    masses: dict[str, tuple[float, ...]] = {}
    for group in groups.values():
        counts = Counter(tuple(problem.provenance.hidden.values()) for problem in group)
        shares = tuple(count / len(group) for count in counts.values())
        masses |= {problem.id: shares for problem in group}
    return masses


def draw_problem(random: Random) -> Problem:
    """A problem under any statement that valid and test do not have.

    There are 72,000 of these (statement, convention) pairs, of which train has 2,000. The tiny
    model is warm-started on them, so that it learns to copy from a statement, not to know it.
    """
    family = random.choice(list(FAMILIES.values()))
    visible = random.choice(_statements(family.name)["train"])
    hidden = random.choice(family.conventions())
    point = _Point(f"conventions/warm/{family.name}/0", "warm", family, visible, hidden)
    return _problem(point, random.randrange(2**30))


def _problem(point: _Point, draw: int) -> Problem:
    tests = [
        TestCase(input=text + "\n", output=point.family.solve(text, point.visible, point.hidden) + "\n")
        for text in _draw_inputs(point, draw)
    ]
    public, private = tests[:_PUBLIC], tests[_PUBLIC:]
    return Problem(
        id=point.id,
        statement=point.statement,
        public_tests=tuple(public),
        private_tests=tuple(private),
        limits=_LIMITS,
        comparison="lines",  # 3.50 and 3.5 are two conventions
        solutions=_solutions(point, public, Random(f"{_VERSION}/wrong/{point.id}/{draw}")),
        provenance=Provenance(
            dataset=_NAME,
            split=point.split,
            family=point.family.name,
            license="Apache-2.0",
            visible=dict(point.visible),
            hidden=dict(point.hidden),
        ),
    )
