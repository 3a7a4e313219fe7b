"""Ways to draw inputs. All take the random generator first and lean towards the edges."""

from __future__ import annotations

import random
from collections.abc import Sequence

LETTERS = "abcdefghijklmnopqrstuvwxyz"

# fmt: off
NOUNS = (
    "apple", "bird", "boat", "book", "bread", "bridge", "candle", "castle", "cloud", "copper", "corner",
    "dragon", "eagle", "falcon", "field", "finger", "flower", "forest", "garden", "glass", "grape",
    "hammer", "harbor", "hill", "horse", "island", "jacket", "kettle", "ladder", "lake", "lemon", "letter",
    "lion", "marble", "market", "meadow", "mirror", "monkey", "moon", "mountain", "needle", "ocean",
    "orange", "oven", "paper", "pencil", "pepper", "piano", "pillow", "planet", "pocket", "potato",
    "puzzle", "rabbit", "river", "rocket", "saddle", "salmon", "school", "shadow", "silver", "spider",
    "spoon", "spring", "station", "stone", "summer", "table", "tiger", "timber", "tunnel", "valley",
    "velvet", "village", "violin", "wagon", "water", "whale", "window", "winter", "wolf", "yellow", "zebra",
)
# fmt: on
"""Plain words, three to eight letters, for inputs and as parameters."""


def number(rng: random.Random, low: int = 1, high: int = 99) -> int:
    """A whole number from ``low`` to ``high``."""
    return rng.randint(low, high)


def numbers(rng: random.Random, low: int = 1, high: int = 30, *, size: tuple[int, int] = (4, 7)) -> list[int]:
    """A list of whole numbers; ``size`` is the shortest and the longest length."""
    return [rng.randint(low, high) for _ in range(rng.randint(*size))]


def near(rng: random.Random, edge: int, spread: int = 6) -> int:
    """A whole number at or around ``edge``; one in three is the edge itself."""
    return edge if rng.random() < 1 / 3 else edge + rng.randint(-spread, spread)


def numbers_near(
    rng: random.Random, edge: int, spread: int = 9, *, size: tuple[int, int] = (4, 7)
) -> list[int]:
    """Numbers on both sides of ``edge``, always with one below, one above and the edge itself."""
    found = [edge, edge - rng.randint(1, spread), edge + rng.randint(1, spread)]
    found += [edge + rng.randint(-spread, spread) for _ in range(rng.randint(*size) - 3)]
    rng.shuffle(found)
    return found


def numbers_mixed(rng: random.Random, special: int, high: int = 30) -> list[int]:
    """Numbers among which ``special`` stands at a random place about half of the time."""
    found = numbers(rng, 1, high)
    found = [value + (value == special) for value in found]
    for _ in range(rng.choice((0, 1, 2))):
        found[rng.randrange(len(found))] = special
    return found


def word(rng: random.Random, at_least: int = 3) -> str:
    """A plain word of ``at_least`` letters or more."""
    return rng.choice([noun for noun in NOUNS if len(noun) >= at_least])


def word_with(rng: random.Random, letter: str, most: int = 3) -> str:
    """A word into which ``letter`` is put none to ``most`` times; it need not make sense."""
    letters = [letter_ for letter_ in word(rng) if letter_ != letter]
    for _ in range(rng.randint(0, most)):
        letters.insert(rng.randint(0, len(letters)), letter)
    return "".join(letters)


def letters(rng: random.Random, alphabet: Sequence[str], size: tuple[int, int] = (4, 9)) -> str:
    """A word made of letters of ``alphabet``."""
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(*size)))


def words(rng: random.Random, size: tuple[int, int] = (3, 6)) -> list[str]:
    """A line of plain words, repeats allowed."""
    return [word(rng) for _ in range(rng.randint(*size))]


def words_with(rng: random.Random, special: str) -> list[str]:
    """A line of words with ``special`` in it none to three times."""
    found = [noun for noun in words(rng) if noun != special]
    for _ in range(rng.randint(0, 3)):
        found.insert(rng.randint(0, len(found)), special)
    return found or [special]
