"""Training problems that are known from a benchmark.

By a run of ``ngram`` words that a benchmark's statement has too, punctuation and case apart: 13 words
in the GPT-3 paper (Brown et al. 2020, appendix C), 8 in s1 and open-r1. A statement of fewer words, but
8 at least, is a run as a whole, as there; a third of MBPP's sentences are that short. A run that more
than ``common`` training problems have is boilerplate (*the first line contains the number of test
cases*) and does not count, as in that paper, and neither does a run of numbers alone (*1 2 3 4*). Beside
that, and whatever is common: by an equal statement, by equal tests, and by an equal right program.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlef.problems.similar.words import (
    Hashes,
    grams,
    hash_of,
    own_text,
    solutions_of,
    tests_of,
    words_of,
)
from rlef.problems.types import Problem

Reason = Literal["statement", "ngram", "tests", "solution"]

_HAS_LETTER = re.compile(r"[^\W\d_]")
NGRAM = 13
SHORTEST = 8
"""Words that a whole statement must have to be a run."""
COMMON = 10
LEAST_TESTS = 3
"""Tests that two problems must share at least, and half of the fewer ones, to be the same."""
LEAST_SOLUTION = 80
"""Characters below which an equal program is chance: ``print(sum(map(int, input().split())))``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A training problem and the benchmark's problem that it is, or quotes."""

    id: str
    benchmark: str
    other: str
    """The benchmark's problem."""
    reason: Reason
    what: str
    """The run of words; how many tests; empty for statements and programs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """What is known, and what was passed over."""

    hits: list[Hit]
    """At most one of each reason for a training problem, in the set's order."""
    common: dict[str, int]
    """Runs that count as boilerplate, with the number of training problems that have them."""


def contamination(
    train: Sequence[Problem],
    benchmarks: Mapping[str, Iterable[Problem]],
    *,
    ngram: int = NGRAM,
    common: int = COMMON,
) -> Contamination:
    """Training problems that are known from the benchmarks, by name."""
    known = _Known(benchmarks, ngram)
    runs = [known.runs(problem) for problem in train]
    counts = Counter(run for found in runs for run in found)
    hits = []
    for problem, found in zip(train, runs, strict=True):
        hits += known.same(problem)
        rare = next(((run, other) for run, other in found.items() if counts[run] <= common), None)
        if rare:
            hits.append(_hit(problem, rare[1], "ngram", rare[0]))
    usual = {run: count for run, count in counts.most_common() if count > common}
    return Contamination(hits=hits, common=usual)


_Other = tuple[str, str]
"""A benchmark's name and the id of one of its problems."""


def _hit(problem: Problem, other: _Other, reason: Reason, what: str = "") -> Hit:
    return Hit(id=problem.id, benchmark=other[0], other=other[1], reason=reason, what=what)


def _own_words(problem: Problem) -> list[str]:
    return words_of(own_text(problem.statement))


class _Index(NamedTuple):
    """Runs of one length: their hashes, sorted, and the numbers of the problems that have them."""

    hashes: Hashes
    owners: NDArray[np.intp]


def _index(runs: list[tuple[int, Hashes]]) -> _Index:
    every = np.concatenate([hashes for _, hashes in runs])
    owners = np.repeat([number for number, _ in runs], [len(hashes) for _, hashes in runs])
    # Of a run that several problems have, the first one's name is told.
    hashes, first = np.unique(every, return_index=True)
    return _Index(hashes, owners[first])


class _Known:
    """Everything of the benchmarks that a training problem is held against."""

    def __init__(self, benchmarks: Mapping[str, Iterable[Problem]], ngram: int) -> None:
        self.ngram = ngram
        self.statements: dict[int, _Other] = {}
        self.solutions: dict[int, _Other] = {}
        self.tests: dict[int, list[_Other]] = {}
        self.sizes: dict[_Other, int] = {}
        self.others: list[_Other] = []
        each: dict[int, list[tuple[int, Hashes]]] = {}
        for name, problems in benchmarks.items():
            for problem in problems:
                number, words, own = len(self.others), words_of(problem.statement), _own_words(problem)
                each.setdefault(ngram, []).append((number, np.unique(grams(words, ngram))))
                if SHORTEST <= len(own) < ngram:
                    each.setdefault(len(own), []).append((number, grams(own, len(own))))
                self.others.append((name, problem.id))
                self._learn(problem, self.others[-1], own)
        self.indexes = {length: _index(runs) for length, runs in each.items()}

    def _learn(self, problem: Problem, other: _Other, own: list[str]) -> None:
        if own:
            self.statements.setdefault(hash_of(" ".join(own)), other)
        for code in solutions_of(problem, LEAST_SOLUTION):
            self.solutions.setdefault(code, other)
        tests = tests_of(problem)
        self.sizes[other] = len(tests)
        for test in tests:
            self.tests.setdefault(test, []).append(other)

    def runs(self, problem: Problem) -> dict[str, _Other]:
        """The runs of words in the statement that a benchmark has, and which problem has them."""
        words = words_of(problem.statement)
        named: dict[str, _Other] = {}
        for length, index in self.indexes.items():
            found = grams(words, length)
            if not len(found) or not len(index.hashes):
                continue
            places = np.minimum(np.searchsorted(index.hashes, found), len(index.hashes) - 1)
            for start in np.flatnonzero(index.hashes[places] == found).tolist():
                run = " ".join(words[start : start + length])
                named[run] = self.others[index.owners[places[start]]]
        return {run: other for run, other in named.items() if _HAS_LETTER.search(run)}

    def same(self, problem: Problem) -> list[Hit]:
        """Equal statement, tests or right program."""
        hits = []
        other = self.statements.get(hash_of(" ".join(_own_words(problem))))
        if other:
            hits.append(_hit(problem, other, "statement"))
        tests = tests_of(problem)
        shared = Counter(other for test in sorted(tests) for other in self.tests.get(test, ()))
        for one, count in shared.most_common():
            if count >= max(LEAST_TESTS, min(len(tests), self.sizes[one]) / 2):
                hits.append(_hit(problem, one, "tests", f"{count} tests"))
                break
        for code in sorted(solutions_of(problem, LEAST_SOLUTION)):
            if code in self.solutions:
                return [*hits, _hit(problem, self.solutions[code], "solution")]
        return hits
