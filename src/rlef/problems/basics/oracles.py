"""Answers of level 3 that take more than an expression; other algorithms than the programs' own."""

from __future__ import annotations

import functools
import itertools
import math
import string
from collections.abc import Sequence


def in_base(n: int, base: int) -> str:
    """Digits of ``n`` in a base up to 10."""
    return in_base(n // base, base) + str(n % base) if n >= base else str(n)


def is_prime(n: int) -> bool:
    """Trial division."""
    return n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))


@functools.cache
def fewest_coins(n: int, coins: tuple[int, ...]) -> int:
    """Fewest coins that sum to ``n``; one of them is 1."""
    return 0 if n == 0 else 1 + min(fewest_coins(n - coin, coins) for coin in coins if coin <= n)


def greedy_coins(n: int, coins: tuple[int, ...]) -> int:
    """Coins that always taking the largest needs; not always the fewest."""
    count = 0
    for coin in sorted(coins, reverse=True):
        count += n // coin
        n %= coin
    return count


def josephus(n: int, k: int) -> int:
    """Last of 1..n when every k-th in the circle leaves; by the recurrence."""
    place = 0
    for size in range(2, n + 1):
        place = (place + k) % size
    return place + 1


def longest_run(flags: Sequence[bool]) -> int:
    """Length of the longest run of true flags."""
    return max((len(list(run)) for flag, run in itertools.groupby(flags) if flag), default=0)


def depth(text: str, up: str, down: str) -> int:
    """Deepest nesting."""
    steps = [(letter == up) - (letter == down) for letter in text]
    return max(itertools.accumulate(steps, initial=0))


def halving_steps(n: int, k: int, add: int) -> int:
    """Steps until ``n`` is at most ``k``, halving even numbers and adding to odd ones."""
    return 0 if n <= k else 1 + halving_steps(n // 2 if n % 2 == 0 else n + add, k, add)


def ways_to_climb(n: int, k: int) -> int:
    """Ways to write ``n`` as an ordered sum of 1s and ``k``s, by counting the ``k``s."""
    return sum(math.comb(n - j * k + j, j) for j in range(n // k + 1))


def rotate(letter: str, k: int) -> str:
    """The letter ``k`` places on in the alphabet, from z on to a."""
    alphabet = string.ascii_lowercase
    return alphabet[(alphabet.index(letter) + k) % 26]


@functools.cache
def sum_sequence(n: int, a: int, b: int) -> int:
    """Term ``n``, from 1, of the sequence that starts ``a, b`` and adds up its last two terms."""
    return a if n == 1 else b if n == 2 else sum_sequence(n - 1, a, b) + sum_sequence(n - 2, a, b)
