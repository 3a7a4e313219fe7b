"""What a test of a called function checks: the closed list of names for ``TestCase.check``.

| name             | the assertion that it stands for                          | ``output``   |
|------------------|-----------------------------------------------------------|--------------|
| `equal`          | ``f(x) == output``, as `judge.plain` compares             | the value    |
| `bool`           | ``assert f(x)`` and ``assert not f(x)``                   | true, false  |
| `int` `float` `len` `list` `tuple` `set` `sorted` | ``sorted(f(x)) == output`` and so on | the value |
| `round:2`        | ``round(f(x), 2) == output``                              | the value    |
| `below:1e-06`    | ``abs(f(x) - output) < 1e-06``                            | a number     |
| `within:1e-06`   | ``abs(f(x) - output) <= 1e-06``                           | a number     |
| `isclose:1e-09:0.0` | ``math.isclose(f(x), output, rel_tol=…, abs_tol=…)``   | a number     |
| `code`           | ``input`` is a program that calls the function and fails if it is wrong | none |

All but `code` are applied to the returned plain value by the judge, away from the program. `code`
runs in the program's own process, which can forge its end: reports of it are ``weak``.
"""

from __future__ import annotations

import functools
import math

CONVERSIONS = ("bool", "int", "float", "len", "list", "tuple", "set", "sorted")
CODE = "code"
_NUMBERS = {"round": 1, "below": 1, "within": 1, "isclose": 2}
"""How many numbers follow a name."""


@functools.lru_cache(256)
def split_check(check: str) -> tuple[str, tuple[float, ...]]:
    """The name of a check and its numbers. Raises ``ValueError`` unless it is in the list."""
    name, *words = check.split(":")
    numbers = tuple(float(word) for word in words)
    known = name in ("equal", CODE, *CONVERSIONS, *_NUMBERS)
    if not known or len(numbers) != _NUMBERS.get(name, 0) or not all(map(math.isfinite, numbers)):
        raise ValueError(f"no such check: {check!r}")
    if name == "round" and not numbers[0].is_integer():
        raise ValueError(f"{check!r} must round to whole digits")
    return name, numbers
