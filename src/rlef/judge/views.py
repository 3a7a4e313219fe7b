"""What a test checks of a returned value (`problems.checks`), worked out on plain data in the parent.

The value is a hostile program's: whatever Python would raise on it means that the check does not hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rlef.judge import plain
from rlef.problems.checks import split_check
from rlef.problems.plain import Pairs, Set, set_of


def holds(check: str, want: Any, have: Any) -> bool:
    """True if the check ``check`` against ``want`` holds for the parsed value ``have``."""
    name, numbers = split_check(check)
    if name in ("equal", "code"):
        return plain.equal(want, have)
    try:
        if name in _DISTANCES:
            return _DISTANCES[name](want, have, *numbers)
        view = round(_number(have), int(numbers[0])) if name == "round" else _VIEWS[name](have)
        return plain.equal(want, view)
    except (TypeError, ValueError, ArithmeticError, RecursionError):
        return False


def _number(value: Any) -> Any:
    if not isinstance(value, int | float):
        raise TypeError("not a number")
    return value


def _items(value: Any) -> list[Any]:
    """The items that Python would iterate over. Those of a set come in the order that they came in."""
    if isinstance(value, Set):
        return list(value.items)
    if isinstance(value, Pairs):
        return [key for key, _ in value.by_key.values()]
    return list(value)


def _truth(value: Any) -> bool:
    return bool(value.items if isinstance(value, Set) else value)


_VIEWS: dict[str, Callable[[Any], Any]] = {
    "bool": _truth,
    "int": lambda value: int(value if isinstance(value, str) else _number(value)),
    "float": lambda value: float(value if isinstance(value, str) else _number(value)),
    "len": lambda value: len(_items(value)),
    "list": _items,
    "tuple": lambda value: tuple(_items(value)),
    "set": lambda value: set_of(_items(value)),
    "sorted": lambda value: sorted(_items(value)),
}
_DISTANCES: dict[str, Callable[..., bool]] = {
    "below": lambda want, have, most: abs(_number(have) - want) < most,
    "within": lambda want, have, most: abs(_number(have) - want) <= most,
    "isclose": lambda want, have, rel, absolute: math.isclose(
        _number(have), want, rel_tol=rel, abs_tol=absolute
    ),
}
