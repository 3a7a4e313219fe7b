"""What a family of the suite is: a statement, its visible parameters, its open conventions.

A family's statement shows the visible parameters and leaves the conventions open.
The same statement therefore stands over as many different problems as there are
conventions, and only a failing public test tells which one is meant.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

Values = Mapping[str, Any]
"""Parameter or convention names to their values."""

SEPARATORS = (" ", ",", ";", "/", "|")
"""No separator can be told from another by its spaces alone."""
CASES = ("kept", "upper", "lower", "title", "swapped")
_WORD_LIST = (
    "ant bee cat dog eel fox gnu hen ibis jay kite lion mole newt owl pig quail rat seal toad "
    "urchin vole wolf yak zebra bear crow deer duck frog goat hawk lamb lynx moth mule puma swan "
    "tuna wasp"
)
WORDS = tuple(_WORD_LIST.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One procedural family."""

    name: str
    wordings: tuple[str, ...]
    """Statements as format strings over the visible parameters."""
    visible: Mapping[str, tuple[Any, ...]]
    """Axes of the visible parameters; the space is their product."""
    hidden: Mapping[str, tuple[Any, ...]]
    """Axes of the conventions that the statement leaves open."""
    draw_input: Callable[[Random, Values], str]
    """One line of input that tends to tell the conventions apart."""
    solve: Callable[[str, Values, Values], str]
    """Output for an input, visible and hidden values: the oracle."""
    program: Callable[[Values, Values], str]
    """A Python program that does the same: the reference solution."""
    valid: Callable[[Values], bool] = lambda visible: True
    """Which points of the visible space make sense."""

    def visibles(self) -> list[dict[str, Any]]:
        """Every visible point, in a fixed order."""
        return [point for point in _product(self.visible) if self.valid(point)]

    def conventions(self) -> list[dict[str, Any]]:
        """Every combination of the open conventions, in a fixed order."""
        return _product(self.hidden)


def _product(axes: Mapping[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def numbers(random: Random, count: int, low: int, high: int) -> list[int]:
    """``count`` different integers of ``low..high`` in random order."""
    return random.sample(range(low, high + 1), count)


def line(items: list[Any]) -> str:
    """Items as one line of input."""
    return " ".join(str(item) for item in items)


def ints(text: str) -> list[int]:
    """The integers of an input line."""
    return [int(part) for part in text.split()]


def recase(text: str, case: str) -> str:
    """Apply a letter-case convention."""
    match case:
        case "upper":
            return text.upper()
        case "lower":
            return text.lower()
        case "title":
            return text.title()
        case "swapped":
            return text.swapcase()
        case _:
            return text


CASE_CODE = {
    "kept": "",
    "upper": ".upper()",
    "lower": ".lower()",
    "title": ".title()",
    "swapped": ".swapcase()",
}
"""The method call that applies a letter-case convention in a program."""


def mixed(random: Random, word: str) -> str:
    """The word with random capital letters, so that every letter-case convention shows."""
    return "".join(c.upper() if random.random() < 0.5 else c for c in word)
