"""What is compared of a problem: words of its statement, its tests, its right programs."""

from __future__ import annotations

import ast
import functools
import hashlib
import re
import unicodedata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlef.problems.types import Problem

Hashes = NDArray[np.uint64]

_WORD = re.compile(r"\w+")
_BASE = np.uint64(0x9E3779B97F4A7C15)
"""An odd number: what polynomials of word hashes are taken at, modulo 2**64."""


_FRAME = re.compile(
    r"Write the Python function `\w+`\.\n\n|\nYour code must satisfy this test:\n.*\Z", re.DOTALL
)
"""What the importers of HumanEval and MBPP put round the sets' own texts."""


def own_text(statement: str) -> str:
    """The statement as its set has it."""
    return _FRAME.sub("", statement)


def words_of(text: str) -> list[str]:
    """The words of a text; punctuation, case, spacing and Unicode's ways of writing them are no matter."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def grams(words: list[str], n: int) -> Hashes:
    """Hashes of all runs of ``n`` words, in order, shape ``[len(words) - n + 1]``; the same everywhere."""
    count = len(words) - n + 1
    if count < 1:
        return np.empty(0, dtype=np.uint64)
    each = np.fromiter(map(_word_hash, words), dtype=np.uint64, count=len(words))
    found = np.zeros(count, dtype=np.uint64)
    for offset in range(n):  # wraps modulo 2**64, as numpy's whole numbers do
        found = found * _BASE + each[offset : offset + count]
    return found


def hash_of(text: str) -> int:
    """64 bits of a text; the same on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


_word_hash = functools.lru_cache(1 << 16)(hash_of)
"""For words alone: a cache of whole tests would keep gigabytes."""


def tests_of(problem: Problem) -> set[int]:
    """A hash of every test: what goes in and must come out, spacing apart; not the function's name."""
    tests = problem.public_tests + problem.hidden_tests
    return {hash_of("\0".join((test.check, _tidy(test.input), _tidy(test.output)))) for test in tests}


def solutions_of(problem: Problem, least: int) -> set[int]:
    """A hash of every right program of at least ``least`` characters, comments and layout apart."""
    right = (
        item.code for item in problem.solutions if item.verdict == "accepted" and item.language == "python"
    )
    return {hash_of(text) for text in map(_bare, right) if len(text) >= least}


def _tidy(text: str) -> str:
    return " ".join(text.split())


def _bare(code: str) -> str:
    """The program as Python itself lays it out, without comments and docstrings. Parsed, never run."""
    try:
        tree = ast.parse(code)
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and _is_text(body[:1]):
                node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
        return ast.unparse(ast.fix_missing_locations(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _tidy(code)


def _is_text(statements: list[Any]) -> bool:
    match statements:
        case [ast.Expr(value=ast.Constant(value=str()))]:
            return True
    return False
