"""Values as plain JSON data: how the result of a called function is read and compared.

A candidate's result crosses to the judge as text and becomes ``None``, ``bool``, ``int``,
``float``, ``str``, ``list`` or ``dict``, nothing else: no object of the program's making,
with an ``__eq__`` of its own, ever meets the expected value.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from rlef.judge.tokens import close


class NotPlain(ValueError):
    """A text that is not one strict JSON value."""


def parse(text: str | bytes) -> Any:
    """Read one strict JSON value. Raises ``NotPlain``, also for NaN and hostile nesting."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise NotPlain("nested too deeply") from None
    except ValueError as error:
        raise NotPlain(str(error)) from None


def equal(expected: Any, got: Any) -> bool:
    """True if two plain values are the same.

    Floats may differ by 1e-6, absolute or relative; ``True`` is not ``1``; where a whole
    number is expected, a float must be exactly that number (as ``==`` has it).
    """
    pairs = [(expected, got)]  # a stack, because a hostile value may be nested deeply
    while pairs:
        want, have = pairs.pop()
        if isinstance(want, list) and isinstance(have, list) and len(want) == len(have):
            pairs += zip(want, have, strict=True)
        elif isinstance(want, dict) and isinstance(have, dict) and want.keys() == have.keys():
            pairs += ((want[key], have[key]) for key in want)
        elif isinstance(want, list | dict) or not _same_scalar(want, have):
            return False
    return True


def _same_scalar(want: Any, have: Any) -> bool:
    if isinstance(want, float) and isinstance(have, int | float) and not isinstance(have, bool):
        try:
            return close(want, float(have))
        except OverflowError:  # an int beyond every float
            return False
    if isinstance(want, bool) or isinstance(have, bool):
        return want is have
    return bool(isinstance(have, int | float | str | None) and want == have)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")
