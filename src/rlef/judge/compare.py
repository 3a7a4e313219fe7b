"""Does this output answer that test? Three ways of holding bytes against expected bytes.

| mode     | what counts                                                                        |
|----------|------------------------------------------------------------------------------------|
| `tokens` | the words between ASCII white space, in order; numbers as below, letters case and all |
| `lines`  | every byte, except white space at the end of a line and blank lines at the end       |
| `exact`  | every byte                                                                           |

Numbers in `tokens` mode: two whole numbers are equal if they are the same number, however
long (a comparison as floats accepts 20-digit answers that are off by one). Where the
*expected* word has a point or an exponent, any number within 1e-6, absolute or relative,
will do. ``nan`` and ``inf`` are words, not numbers: they equal only themselves.

``got`` comes from an untrusted program, so every step is linear in its length.
"""

from __future__ import annotations

import math
import re

from rlef.problems.types import Comparison

TOLERANCE = 1e-6
"""Absolute and relative, against the expected number; testlib's usual ``rcmp6``."""

_WHOLE = re.compile(rb"[+-]?\d+")
_FLOAT = re.compile(rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")


def matches(expected: str | bytes, got: bytes, mode: Comparison) -> bool:
    """True if output ``got`` answers a test that expects ``expected``."""
    want = expected.encode("utf-8", "surrogatepass") if isinstance(expected, str) else expected
    if want == got:
        return True
    if mode == "exact":
        return False
    if mode == "lines":
        return _lines(want) == _lines(got)
    words, answer = want.split(), got.split()
    return len(words) == len(answer) and all(map(_same_token, words, answer))


def close(expected: float, got: float) -> bool:
    """True if two finite numbers are within `TOLERANCE`, absolute or relative to ``expected``."""
    if not (math.isfinite(expected) and math.isfinite(got)):
        return False
    return abs(got - expected) <= max(TOLERANCE, TOLERANCE * abs(expected))


def _lines(text: bytes) -> list[bytes]:
    lines = [line.rstrip() for line in text.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _same_token(want: bytes, got: bytes) -> bool:
    if want == got:
        return True
    if _WHOLE.fullmatch(want):
        return bool(_WHOLE.fullmatch(got)) and _canonical(want) == _canonical(got)
    if not (_FLOAT.fullmatch(want) and _FLOAT.fullmatch(got)):
        return False
    return close(float(want), float(got))


def _canonical(number: bytes) -> bytes:
    """A whole number without plus and leading zeros. Text, because ``int`` is quadratic."""
    digits = number.lstrip(b"+-").lstrip(b"0") or b"0"
    return b"-" + digits if number.startswith(b"-") and digits != b"0" else digits
