"""Duplicates within a set: equal statements, equal tests, and statements that are nearly equal.

Nearly equal: the Jaccard similarity of the statements' runs of five words, which MinHash with
locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman and Ullman, "Mining of Massive
Datasets", chapter 3) finds without comparing all pairs. Every pair that it proposes is then compared
exactly, so what is reported is true; what it overlooks is rare (`bands`). The same set gives the
same groups on every machine. Written here because datasketch, which does the same, brings SciPy.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rlef.problems.similar.words import Hashes, grams, hash_of, tests_of, words_of
from rlef.problems.types import Problem

Kind = Literal["statement", "tests", "near"]
Numbers = NDArray[np.intp]
_Two = tuple[int, int]

SHINGLE = 5
"""Words in a run. A shorter statement is one run."""
PERMUTATIONS = 128
_AT_ONCE = 4096
_FEW = 16
"""Problems in a bucket up to which every pair is looked at."""
RECALL = 0.995
"""At least this share of the pairs at the very threshold is proposed; of more similar pairs, more."""
LEAST_TESTS = 3
"""Equal tests say nothing if there are fewer: many a problem has the one test 1 -> 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two problems and why they are the same."""

    first: str
    second: str
    kind: Kind
    similarity: float
    """Jaccard similarity of the statements; 1 for equal ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Problems that are the same, in the set's order, and the pairs that tie them together."""

    ids: tuple[str, ...]
    pairs: tuple[Pair, ...]


def duplicates(problems: Sequence[Problem], near: float | None = 0.8) -> list[Group]:
    """Groups of problems that are tied by pairs, in the set's order.

    ``near``: the least similarity of two statements, above 0 and at most 1; None finds equal ones
    alone. A group has just as many pairs as tie it together.
    """
    keys, shingled = [], []
    for problem in problems:
        words = words_of(problem.statement)
        keys.append(hash_of(" ".join(words)) if words else None)
        shingled.append(shingles(words))
    ties = _Ties(len(problems))
    found: list[tuple[int, int, Kind]] = []
    found += [(*pair, "statement") for pair in ties.new(_equal(keys))]
    found += [(*pair, "tests") for pair in ties.new(_equal(list(map(_test_key, problems))))]
    if near is not None:
        close = ties.new(
            _proposed(shingled, near, ties.labels),
            lambda one, other: jaccard(shingled[one], shingled[other]) >= near,
        )
        found += [(*pair, "near") for pair in close]
    return _groups(problems, shingled, found, ties)


def shingles(words: list[str]) -> Hashes:
    """The different runs of `SHINGLE` words, sorted."""
    return np.unique(grams(words, max(1, min(SHINGLE, len(words)))))


def jaccard(left: Hashes, right: Hashes) -> float:
    """Shared items among all items of two sorted sets; 0 if both are empty."""
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / max(1, len(left) + len(right) - shared)


def bands(near: float) -> tuple[int, int]:
    """Bands and rows a band: most rows with which a pair of similarity ``near`` is proposed with `RECALL`.

    Two MinHashes agree with a probability that is the similarity s; one of b bands of r rows agrees
    with 1 - (1 - s^r)^b.
    """
    for rows in range(16, 1, -1):
        count = PERMUTATIONS // rows
        if 1 - (1 - near**rows) ** count >= RECALL:
            return count, rows
    return PERMUTATIONS, 1


def min_hashes(items: Hashes) -> Hashes:
    """MinHash signature, of shape ``[PERMUTATIONS]``: the least of the items' hashes by each function."""
    least = np.full(PERMUTATIONS, 2**64 - 1, dtype=np.uint64)
    for start in range(0, len(items), _AT_ONCE):
        hashed = items[start : start + _AT_ONCE, None] * _FACTORS[None, :] + _SHIFTS[None, :]
        np.minimum(least, hashed.min(axis=0), out=least)
    return least >> np.uint64(32)  # the low bits of a product depend on the low bits alone


_DRAWS = random.Random("minhash")
_FACTORS = np.array([_DRAWS.getrandbits(64) | 1 for _ in range(PERMUTATIONS)], dtype=np.uint64)
_SHIFTS = np.array([_DRAWS.getrandbits(64) for _ in range(PERMUTATIONS)], dtype=np.uint64)


class _Ties:
    """Which problems are in one group so far: a group is labelled with the number of its first problem."""

    def __init__(self, count: int) -> None:
        self.labels = np.arange(count)

    def new(
        self, pairs: Iterable[tuple[int, int]], holds: Callable[[int, int], bool] = lambda left, right: True
    ) -> Iterator[tuple[int, int]]:
        """Those pairs that hold and tie two groups together, which they do from then on."""
        for left, right in pairs:
            one, other = sorted((self.labels[left], self.labels[right]))
            if one != other and holds(left, right):
                self.labels[self.labels == other] = one
                yield left, right


def _equal(keys: Sequence[object]) -> Iterator[tuple[int, int]]:
    """Pairs of numbers whose keys are equal and not empty: each with the first of its kind."""
    firsts: dict[object, int] = {}
    for number, key in enumerate(keys):
        if key:
            first = firsts.setdefault(key, number)
            if first != number:
                yield first, number


def _test_key(problem: Problem) -> tuple[int, ...]:
    tests = tests_of(problem)
    return tuple(sorted(tests)) if len(tests) >= LEAST_TESTS else ()


def _proposed(shingled: Sequence[Hashes], near: float, labels: Numbers) -> Iterator[_Two]:
    """Pairs of numbers whose signatures agree in a band, those of the same shingles apart."""
    different = {items.tobytes(): number for number, items in reversed(list(enumerate(shingled)))}
    numbers = sorted(number for number in different.values() if len(shingled[number]))
    signatures = np.zeros((len(shingled), PERMUTATIONS), dtype=np.uint32)
    for number in numbers:
        signatures[number] = min_hashes(shingled[number])
    count, rows = bands(near)
    for band in range(count):
        buckets: dict[bytes, list[int]] = {}
        for number in numbers:
            buckets.setdefault(signatures[number, band * rows : (band + 1) * rows].tobytes(), []).append(
                number
            )
        for bucket in buckets.values():
            few = len(bucket) <= _FEW
            yield from combinations(bucket, 2) if few else _crowd(bucket, shingled, near, labels)


def _crowd(bucket: list[int], shingled: Sequence[Hashes], near: float, labels: Numbers) -> Iterator[_Two]:
    """Pairs of a large bucket that are alike enough and not in one group by now.

    Of a thousand problems made from one template, nearly all agree in a band, alike enough or not. So all
    earlier ones are compared at once, by the lists of those that have each shingle.
    """
    members = np.array(bucket)
    sizes = np.array([len(shingled[number]) for number in bucket])
    every, codes = np.unique(np.concatenate([shingled[number] for number in bucket]), return_inverse=True)
    having = np.repeat(np.arange(len(bucket)), sizes)[np.argsort(codes, kind="stable")]
    lists = np.split(having, np.cumsum(np.bincount(codes, minlength=len(every)))[:-1])
    own = np.split(codes, np.cumsum(sizes)[:-1])
    for at in range(1, len(bucket)):
        yield bucket[0], bucket[at]
        apart = labels[members[:at]] != labels[members[at]]
        if not apart.any():
            continue
        shared = np.bincount(np.concatenate([lists[code] for code in own[at]]), minlength=len(bucket))[:at]
        alike = shared / (sizes[:at] + sizes[at] - shared) >= near
        yield from ((int(other), bucket[at]) for other in members[:at][apart & alike])


def _groups(
    problems: Sequence[Problem],
    shingled: Sequence[Hashes],
    found: Sequence[tuple[int, int, Kind]],
    ties: _Ties,
) -> list[Group]:
    members: dict[int, list[int]] = {}
    for number in range(len(problems)):
        members.setdefault(int(ties.labels[number]), []).append(number)
    pairs: dict[int, list[Pair]] = {}
    for left, right, kind in sorted(found):
        similarity = 1.0 if kind == "statement" else jaccard(shingled[left], shingled[right])
        pair = Pair(first=problems[left].id, second=problems[right].id, kind=kind, similarity=similarity)
        pairs.setdefault(int(ties.labels[left]), []).append(pair)
    return [
        Group(ids=tuple(problems[number].id for number in numbers), pairs=tuple(pairs[root]))
        for root, numbers in members.items()
        if len(numbers) > 1
    ]
