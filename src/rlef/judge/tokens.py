"""When two words are the same answer: the rules of the comparison `tokens`.

Two whole numbers are equal if they are the same number, however long (a comparison as
floats accepts 20-digit answers that are off by one). Where the *expected* word has a point
or an exponent, any number within 1e-6, absolute or relative, will do. ``nan`` and ``inf``
are words, not numbers: they equal only themselves, letter for letter.
"""

from __future__ import annotations

import math
import re

TOLERANCE = 1e-6
"""Absolute and relative, against the expected number; testlib's usual ``rcmp6``."""

_WHOLE = re.compile(rb"[+-]?\d+")
_FLOAT = re.compile(rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")


def close(expected: float, got: float) -> bool:
    """True if two finite numbers are within `TOLERANCE`, absolute or relative to ``expected``."""
    if not (math.isfinite(expected) and math.isfinite(got)):
        return False
    return abs(got - expected) <= max(TOLERANCE, TOLERANCE * abs(expected))


def same(want: bytes, got: bytes) -> bool:
    """True if the word ``got`` is right where ``want`` is expected."""
    if want == got:
        return True
    if _WHOLE.fullmatch(want):
        return canonical(want) == canonical(got)
    if not (_FLOAT.fullmatch(want) and _FLOAT.fullmatch(got)):
        return False
    return close(float(want), float(got))


def canonical(word: bytes) -> bytes:
    """A whole number without plus and leading zeros; any other word as it is.

    Text, because ``int`` takes quadratic time.
    """
    if not _WHOLE.fullmatch(word):
        return word
    digits = word.lstrip(b"+-").lstrip(b"0") or b"0"
    return b"-" + digits if word.startswith(b"-") and digits != b"0" else digits


def tolerant(want: bytes) -> bool:
    """True if words that are not the same number as ``want`` can be right where it is expected."""
    return not _WHOLE.fullmatch(want) and number(want) is not None


def number(word: bytes) -> float | None:
    """The finite number that a word stands for; None if it stands for none."""
    value = float(word) if _FLOAT.fullmatch(word) else math.inf
    return value if math.isfinite(value) else None
