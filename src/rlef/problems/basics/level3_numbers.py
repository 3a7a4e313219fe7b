"""Level 3, single numbers: a short algorithm."""

from __future__ import annotations

import itertools
import math
import random

from rlef.problems.basics import draws
from rlef.problems.basics.kind import INT, PAIR, Kind, lines
from rlef.problems.basics.oracles import (
    fewest_coins,
    greedy_coins,
    halving_steps,
    in_base,
    is_prime,
    josephus,
    sum_sequence,
    ways_to_climb,
)

NUMBERS = (
    Kind(
        name="gcd-with",
        reads=INT,
        says=("Print the greatest common divisor of n and {k}.",),
        params={"k": [6 * i for i in range(2, 40)]},
        draw=lambda r, k: r.choice((2, 3, 6, 12)) * draws.number(r, 1, 20),
        answer=lambda n, k: math.gcd(n, k),
        wrong_answer=lambda n, k: n % k,
        program=lines("k = {k}", "while k:", "    n, k = k, n % k", "print(n)"),
        wrong="print(n % {k})",
    ),
    Kind(
        name="lcm-with",
        reads=INT,
        says=("Print the least common multiple of n and {k}.",),
        params={"k": [k for k in range(4, 60) if not is_prime(k)]},
        draw=lambda r, k: draws.number(r, 2, 40),
        answer=lambda n, k: math.lcm(n, k),
        wrong_answer=lambda n, k: n * k,
        program=lines("m = n", "while m % {k} != 0:", "    m += n", "print(m)"),
        wrong="print(n * {k})",
    ),
    Kind(
        name="to-base",
        reads=INT,
        says=("Write n in base {k} and print {c} and then the digits, without a space.",),
        params={"k": range(2, 10), "c": ("b", "x", "#")},
        draw=lambda r, k, c: draws.number(r, 1, 300),
        answer=lambda n, k, c: c + in_base(n, k),
        wrong_answer=lambda n, k, c: c + in_base(n, k)[::-1],
        program=lines(
            'digits = ""',
            "while n:",
            "    digits = str(n % {k}) + digits",
            "    n //= {k}",
            'print("{c}" + digits)',
        ),
        wrong=lines(
            'digits = ""',
            "while n:",
            "    digits = digits + str(n % {k})",
            "    n //= {k}",
            'print("{c}" + digits)',
        ),
    ),
    Kind(
        name="primes-after",
        reads=INT,
        says=("Print the smallest prime number greater than n plus {k}.",),
        params={"k": range(1, 60)},
        draw=lambda r, k: draws.number(r, 1, 60),
        answer=lambda n, k: next(p for p in itertools.count(n + k + 1) if is_prime(p)),
        wrong_answer=lambda n, k: next(p for p in itertools.count(n + k + 1) if p % 2),
        program=lines(
            "p = n + {k} + 1", "while any(p % d == 0 for d in range(2, p)):", "    p += 1", "print(p)"
        ),
        wrong=lines("p = n + {k} + 1", "while p % 2 == 0:", "    p += 1", "print(p)"),
    ),
    Kind(
        name="digit-sum-equals",
        reads=INT,
        says=("Print how many integers from 1 to n have digits that sum to {k}.",),
        params={"k": range(2, 17)},
        draw=lambda r, k: draws.number(r, 20, 400),
        answer=lambda n, k: sum(sum(map(int, str(i))) == k for i in range(1, n + 1)),
        wrong_answer=lambda n, k: sum(i % 9 == k % 9 for i in range(1, n + 1)),
        program=lines(
            "count = 0",
            "for i in range(1, n + 1):",
            "    if sum(int(d) for d in str(i)) == {k}:",
            "        count += 1",
            "print(count)",
        ),
        wrong="print(sum(i % 9 == {k} % 9 for i in range(1, n + 1)))",
    ),
    Kind(
        name="halving-steps",
        reads=INT,
        says=(
            "While n is greater than {k}: halve n if it is even, otherwise add {c} to it. Print the "
            "number of steps.",
        ),
        params={"k": range(4, 16), "c": (1, 3)},
        draw=lambda r, k, c: draws.number(r, 1, 400),
        answer=lambda n, k, c: halving_steps(n, k, c),
        wrong_answer=lambda n, k, c: halving_steps(n, k - 1, c),
        program=lines(
            "steps = 0",
            "while n > {k}:",
            "    n = n // 2 if n % 2 == 0 else n + {c}",
            "    steps += 1",
            "print(steps)",
        ),
        wrong=lines(
            "steps = 0",
            "while n >= {k}:",
            "    n = n // 2 if n % 2 == 0 else n + {c}",
            "    steps += 1",
            "print(steps)",
        ),
    ),
    Kind(
        name="sum-sequence",
        reads=INT,
        says=(
            "A sequence starts with {a}, {b}; each next term is the sum of the last two. Print term "
            "number n.",
        ),
        params={"a": range(1, 10), "b": range(1, 10)},
        draw=lambda r, a, b: draws.number(r, 1, 25),
        answer=lambda n, a, b: sum_sequence(n, a, b),
        wrong_answer=lambda n, a, b: sum_sequence(n + 1, a, b),
        program=lines("x, y = {a}, {b}", "for _ in range(n - 1):", "    x, y = y, x + y", "print(x)"),
        wrong=lines("x, y = {a}, {b}", "for _ in range(n):", "    x, y = y, x + y", "print(x)"),
    ),
    Kind(
        name="power-remainder",
        reads=INT,
        says=("Print the remainder of {k} to the power of n divided by {m}.",),
        params={"k": range(2, 10), "m": [m for m in range(11, 40) if is_prime(m)]},
        draw=lambda r, k, m: draws.number(r, 1, 60),
        answer=lambda n, k, m: pow(k, n, m),
        wrong_answer=lambda n, k, m: k * n % m,
        program=lines("x = 1", "for _ in range(n):", "    x = x * {k} % {m}", "print(x)"),
        wrong="print({k} * n % {m})",
    ),
    Kind(
        name="climb",
        reads=INT,
        says=(
            "You climb n stairs and take 1 or {k} stairs at each step. Print in how many ways you can do it.",
        ),
        params={"k": range(2, 18)},
        draw=lambda r, k: k + draws.number(r, 0, 20),
        answer=lambda n, k: ways_to_climb(n, k),
        wrong_answer=lambda n, k: n // k + 1,
        program=lines(
            "ways = [1]",
            "for i in range(1, n + 1):",
            "    ways.append(ways[i - 1] + (ways[i - {k}] if i >= {k} else 0))",
            "print(ways[n])",
        ),
        wrong="print(n // {k} + 1)",
    ),
    Kind(
        name="coins",
        reads=INT,
        says=("You have coins of value 1, {a} and {b}. Print the fewest coins that sum to n.",),
        params={"a": range(3, 9), "b": range(4, 14)},
        keep=lambda a, b: a < b and any(_tempting(n, a, b) for n in range(2 * b)),
        draw=lambda r, a, b: _coin_sum(r, a, b),
        answer=lambda n, a, b: fewest_coins(n, (1, a, b)),
        wrong_answer=lambda n, a, b: greedy_coins(n, (1, a, b)),
        program=lines(
            "best = [0]",
            "for i in range(1, n + 1):",
            "    best.append(1 + min(best[i - c] for c in (1, {a}, {b}) if c <= i))",
            "print(best[n])",
        ),
        wrong=lines(
            "count = 0", "for c in ({b}, {a}, 1):", "    count += n // c", "    n %= c", "print(count)"
        ),
    ),
    Kind(
        name="circle",
        reads=INT,
        says=(
            "Numbers 1 to n stand in a circle. Counting from 1, every {k}-th leaves until one is left. "
            "Print it.",
        ),
        params={"k": range(2, 20)},
        draw=lambda r, k: draws.number(r, 2, 30),
        answer=lambda n, k: josephus(n, k),
        wrong_answer=lambda n, k: (k - 1) % n + 1,
        program=lines(
            "circle = list(range(1, n + 1))",
            "at = 0",
            "while len(circle) > 1:",
            "    at = (at + {k} - 1) % len(circle)",
            "    circle.pop(at)",
            "print(circle[0])",
        ),
        wrong="print(({k} - 1) % n + 1)",
    ),
    Kind(
        name="count-either",
        reads=PAIR,
        says=("Print how many of the integers from a to b, both included, are divisible by {k} or by {m}.",),
        params={"k": range(3, 9), "m": range(4, 12)},
        keep=lambda k, m: m % k != 0 and k % m != 0,
        draw=lambda r, k, m: (low := draws.number(r, 1, 50), low + draws.number(r, 0, 90)),
        answer=lambda ab, k, m: sum(i % k == 0 or i % m == 0 for i in range(ab[0], ab[1] + 1)),
        wrong_answer=lambda ab, k, m: sum((i % k == 0) + (i % m == 0) for i in range(ab[0], ab[1] + 1)),
        program=lines(
            "count = 0",
            "for i in range(a, b + 1):",
            "    if i % {k} == 0 or i % {m} == 0:",
            "        count += 1",
            "print(count)",
        ),
        wrong=lines(
            "count = 0",
            "for i in range(a, b + 1):",
            "    count += (i % {k} == 0) + (i % {m} == 0)",
            "print(count)",
        ),
    ),
)


def _tempting(n: int, a: int, b: int) -> bool:
    return greedy_coins(n, (1, a, b)) > fewest_coins(n, (1, a, b))


def _coin_sum(rng: random.Random, a: int, b: int) -> int:
    tempting = [n for n in range(60) if _tempting(n, a, b)]
    return rng.choice(tempting) if rng.random() < 0.4 else rng.randint(1, 60)
