r"""The output rule of the runner that ships with CodeContests, its faults included.

For figures that can be held against those of papers that used it. It is
``OutputsMatch`` of google-deepmind/code_contests, ``execution/tester_sandboxer.cc``, over
Abseil's number parser:

- Words are what stands between blank, ``\n``, ``\t``, ``\r`` and ``\v``, without regard to
  the case of ASCII letters. A form feed is no white space, but is stripped from numbers.
- Where the two lists of words are not the same, they must be equally long, and each pair
  must be two numbers less than 1e-5 apart, or the same word. There is no relative tolerance.
- Every number is a double, whole numbers too: 9007199254740993 equals 9007199254740992.
- ``inf``, ``infinity``, ``nan`` and ``nan(abc)`` are numbers, and at no distance from anything. So
  they are right only where all words are the same.

Two things are not carried over: numbers of 50 million digits, which Abseil takes for words,
and the verdict. There, what a program printed decides even if it crashed or ran too long;
here, how it ended comes first, whatever the comparison (``judge.verdict``).
"""

from __future__ import annotations

import math
import re

PRECISION = 1e-5
"""Numbers must be less than this apart, whatever their size."""

_NUMBER = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)")
_NAN = re.compile(rb"[+-]?nan(?:\([0-9a-z_]*\))?")


def outputs_match(expected: bytes, got: bytes) -> bool:
    """True if CodeContests' runner would accept ``got``."""
    want, have = _words(expected), _words(got)
    return want == have or (len(want) == len(have) and all(map(_values_match, want, have)))


def _words(text: bytes) -> list[bytes]:
    for blank in (b"\n", b"\t", b"\r", b"\v"):
        text = text.replace(blank, b" ")
    return [word for word in text.lower().split(b" ") if word]


def _values_match(want: bytes, got: bytes) -> bool:
    a, b = _number(want), _number(got)
    # inf - inf and anything with nan give nan, and no comparison with nan is true.
    return want == got if a is None or b is None else abs(a - b) < PRECISION


def _number(word: bytes) -> float | None:
    text = word.strip(b"\f")
    if _NUMBER.fullmatch(text):
        return float(text)
    return math.nan if _NAN.fullmatch(text) else None
