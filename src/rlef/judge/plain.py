"""When two values are the same answer, for functions that are called.

A candidate's result crosses to the judge as text and becomes plain data (`problems.plain`),
nothing else: no object of the program's making, with an ``__eq__`` of its own, ever meets the
expected value.

Floats may differ by 1e-6, absolute or relative; ``True`` is not ``1``; where a whole number is
expected, a float must be exactly that number (as ``==`` has it). Where a list is expected, a tuple
will do, since most data sets say both in JSON; where a tuple is expected, only a tuple. In sets and as keys
numbers are compared exactly. ``nan`` is the same as ``nan``.
"""

from __future__ import annotations

import math
from typing import Any

from rlef.judge.tokens import TOLERANCE, close
from rlef.problems.plain import NotPlain, Pairs, Set, parse

__all__ = ["NotPlain", "equal", "parse"]


def equal(expected: Any, got: Any) -> bool:
    """True if two parsed values are the same, by the rules above."""
    pairs = [(expected, got)]  # a stack, because a hostile value may be nested deeply
    while pairs:
        want, have = pairs.pop()
        if isinstance(want, list | tuple):
            if not isinstance(have, (list, tuple) if isinstance(want, list) else tuple):
                return False
            if len(want) != len(have):
                return False
            pairs += zip(want, have, strict=True)
        elif isinstance(want, dict | Pairs):
            if not isinstance(have, type(want)):
                return False
            left, right = _by_key(want), _by_key(have)
            if left.keys() != right.keys():
                return False
            pairs += ((left[key], right[key]) for key in left)
        elif not (_same_set(want, have) if isinstance(want, Set) else _same_scalar(want, have)):
            return False
    return True


def _by_key(value: dict[str, Any] | Pairs) -> dict[str, Any]:
    return value if isinstance(value, dict) else {key: item for key, (_, item) in value.by_key.items()}


def _same_set(want: Set, have: Any) -> bool:
    return isinstance(have, Set) and want.keys == have.keys


def _same_scalar(want: Any, have: Any) -> bool:
    if isinstance(want, bool) or isinstance(have, bool):
        return want is have
    if isinstance(have, complex) and not have.imag:
        have = have.real
    if isinstance(want, complex) and not want.imag:
        want = want.real
    if isinstance(want, complex):
        return isinstance(have, int | float | complex) and _near(want, have)
    if isinstance(want, float) and isinstance(have, int | float):
        return _same_float(want, have)
    return bool(isinstance(have, int | float | str | bytes | None) and want == have)


def _same_float(want: float, have: float) -> bool:
    if math.isnan(want):
        return isinstance(have, float) and math.isnan(have)
    if math.isinf(want):
        return want == have
    try:
        return close(want, float(have))
    except OverflowError:  # an int beyond every float
        return False


def _near(want: complex, have: complex) -> bool:
    try:
        return abs(have - want) <= max(TOLERANCE, TOLERANCE * abs(want))
    except OverflowError:
        return False
