"""Level 3, lists: a short algorithm."""

from __future__ import annotations

import itertools
import random

from rlef.problems.basics import draws
from rlef.problems.basics.kind import INTS, Kind, lines
from rlef.problems.basics.oracles import longest_run

SEQUENCES = (
    Kind(
        name="longest-run",
        reads=INTS,
        says=("Print the length of the longest run of neighbouring numbers that are all greater than {k}.",),
        params={"k": range(4, 50)},
        draw=lambda r, k: draws.numbers_near(r, k, size=(6, 10)),
        answer=lambda xs, k: longest_run([x > k for x in xs]),
        wrong_answer=lambda xs, k: sum(x > k for x in xs),
        program=lines(
            "best = run = 0",
            "for x in numbers:",
            "    run = run + 1 if x > {k} else 0",
            "    best = max(best, run)",
            "print(best)",
        ),
        wrong="print(sum(x > {k} for x in numbers))",
    ),
    Kind(
        name="pair-with-sum",
        reads=INTS,
        says=("Print yes if two numbers at different places sum to {k}, otherwise print no.",),
        params={"k": [2 * i for i in range(5, 30)]},
        draw=lambda r, k: _pairs(r, k),
        answer=lambda xs, k: any(x + y == k for x, y in itertools.combinations(xs, 2)),
        wrong_answer=lambda xs, k: any(k - x in xs for x in xs),
        program=lines(
            "seen = set()",
            'found = "no"',
            "for x in numbers:",
            "    if {k} - x in seen:",
            '        found = "yes"',
            "    seen.add(x)",
            "print(found)",
        ),
        wrong='print("yes" if any({k} - x in numbers for x in numbers) else "no")',
    ),
    Kind(
        name="closest-to",
        reads=INTS,
        says=("Print the number that is closest to {k}. If two are equally close, print the smaller one.",),
        params={"k": range(10, 60)},
        draw=lambda r, k: [k + r.choice((-1, 1)) * r.randint(1, 6) for _ in range(r.randint(4, 7))],
        answer=lambda xs, k: sorted((abs(x - k), x) for x in xs)[0][1],
        wrong_answer=lambda xs, k: max(xs, key=lambda x: (-abs(x - k), x)),
        program=lines(
            "best = numbers[0]",
            "for x in sorted(numbers):",
            "    if abs(x - {k}) < abs(best - {k}) or (abs(x - {k}) == abs(best - {k}) and x < best):",
            "        best = x",
            "print(best)",
        ),
        wrong=lines("best = max(numbers, key=lambda x: (-abs(x - {k}), x))", "print(best)"),
    ),
    Kind(
        name="sort-by-distance",
        reads=INTS,
        says=(
            "Sort the numbers by their distance to {k}, nearest first; of equal distances the smaller "
            "first. Print them on one line.",
        ),
        params={"k": range(10, 60)},
        draw=lambda r, k: draws.numbers_near(r, k),
        answer=lambda xs, k: [x for _, x in sorted((abs(x - k), x) for x in xs)],
        wrong_answer=lambda xs, k: sorted(xs, key=lambda x: (x - k, x)),
        program="print(*sorted(numbers, key=lambda x: (abs(x - {k}), x)))",
        wrong="print(*sorted(numbers, key=lambda x: (x - {k}, x)))",
    ),
    Kind(
        name="sum-passes",
        reads=INTS,
        says=("Add the numbers from the left. Print how many are needed until the sum is greater than {k}.",),
        params={"k": range(20, 70)},
        draw=lambda r, k: _passing(r, k),
        answer=lambda xs, k: next(i for i, total in enumerate(itertools.accumulate(xs), 1) if total > k),
        wrong_answer=lambda xs, k: next(
            i for i, total in enumerate(itertools.accumulate(xs), 1) if total >= k
        ),
        program=lines(
            "total = count = 0",
            "for x in numbers:",
            "    if total > {k}:",
            "        break",
            "    total += x",
            "    count += 1",
            "print(count)",
        ),
        wrong=lines(
            "total = count = 0",
            "for x in numbers:",
            "    if total >= {k}:",
            "        break",
            "    total += x",
            "    count += 1",
            "print(count)",
        ),
    ),
    Kind(
        name="best-window",
        reads=INTS,
        says=("Print the {c} sum of {k} neighbouring numbers.",),
        params={"k": range(2, 9), "c": ("largest", "smallest")},
        draw=lambda r, k, c: draws.numbers(r, size=(k + 1, k + 4)),
        answer=lambda xs, k, c: sorted(sum(xs[i : i + k]) for i in range(len(xs) - k + 1))[-(c == "largest")],
        wrong_answer=lambda xs, k, c: sum(sorted(xs, reverse=c == "largest")[:k]),
        program=lines(
            "total = sum(numbers[:{k}])",
            "sums = [total]",
            "for i in range({k}, len(numbers)):",
            "    total += numbers[i] - numbers[i - {k}]",
            "    sums.append(total)",
            'print(max(sums) if "{c}" == "largest" else min(sums))',
        ),
        wrong='print(sum(sorted(numbers, reverse="{c}" == "largest")[:{k}]))',
    ),
    Kind(
        name="kth-above",
        reads=INTS,
        says=(
            "Among the numbers greater than {m}, print the number that is in place {k} from the smallest.",
        ),
        params={"k": (2, 3), "m": range(5, 40)},
        draw=lambda r, k, m: [m, *(m + d for d in r.sample(range(-6, 15), 9) if d), m + 20, m + 21, m + 22],
        answer=lambda xs, k, m: [x for x in sorted(xs) if x > m][k - 1],
        wrong_answer=lambda xs, k, m: [x for x in sorted(xs) if x >= m][k - 1],
        program="print(sorted(x for x in numbers if x > {m})[{k} - 1])",
        wrong="print(sorted(x for x in numbers if x >= {m})[{k} - 1])",
    ),
    Kind(
        name="distinct-without",
        reads=INTS,
        says=("Print how many different numbers there are, not counting {k}.",),
        params={"k": range(1, 16)},
        draw=lambda r, k: draws.numbers_mixed(r, k, 12),
        answer=lambda xs, k: len(set(xs) - {k}),
        wrong_answer=lambda xs, k: len(set(xs)) - 1,
        program=lines(
            "seen = []",
            "for x in numbers:",
            "    if x != {k} and x not in seen:",
            "        seen.append(x)",
            "print(len(seen))",
        ),
        wrong="print(len(set(numbers)) - 1)",
    ),
    Kind(
        name="inversions-over",
        reads=INTS,
        says=(
            "Count the pairs in which an earlier number is more than {k} larger than a later one. "
            "Print the count.",
        ),
        params={"k": range(1, 16)},
        draw=lambda r, k: _falling(r, k),
        answer=lambda xs, k: sum(x > y + k for x, y in itertools.combinations(xs, 2)),
        wrong_answer=lambda xs, k: sum(x >= y + k for x, y in itertools.combinations(xs, 2)),
        program=lines(
            "count = 0",
            "for i in range(len(numbers)):",
            "    for j in range(i + 1, len(numbers)):",
            "        if numbers[i] - numbers[j] > {k}:",
            "            count += 1",
            "print(count)",
        ),
        wrong=lines(
            "count = 0",
            "for i in range(len(numbers)):",
            "    for j in range(i + 1, len(numbers)):",
            "        if numbers[i] - numbers[j] >= {k}:",
            "            count += 1",
            "print(count)",
        ),
    ),
)


def _pairs(rng: random.Random, k: int) -> list[int]:
    """Numbers with half of ``k`` once, or a true pair, or neither."""
    found = [x for x in draws.numbers(rng, 1, k - 1) if x < k // 2]
    found += [k // 2] if rng.random() < 0.5 else []
    found += [k - found[0]] if found and rng.random() < 0.5 else []
    rng.shuffle(found)
    return [*found, k + 1]


def _passing(rng: random.Random, k: int) -> list[int]:
    """Numbers whose running sum hits ``k`` itself half of the time and passes it in any case."""
    first, second = rng.randint(1, k // 2 - 1), rng.randint(1, k // 2 - 1)
    third = k - first - second if rng.random() < 0.5 else rng.randint(1, k)
    return [first, second, third, *draws.numbers(rng, size=(2, 4)), k]


def _falling(rng: random.Random, k: int) -> list[int]:
    start = rng.randint(20, 40)
    return [
        start,
        start - k,
        *(start + rng.choice((-k, k, rng.randint(-18, 18))) for _ in range(rng.randint(2, 4))),
    ]
