"""Which programs may make many calls in one process: none that leaks, nearly all that are honest."""

# ruff: noqa: E501 (programs read better whole)

import importlib
import json

import pytest

from leaks import LEAKS
from rlef.sandbox.zygote import names
from rlef.sandbox.zygote.state import keeps_state
from sandbox_help import opened

CLEAN = {
    "arithmetic": "def f(x): return x + 1",
    "a typical solution": """
from typing import List, Optional
from collections import defaultdict, Counter, deque
import heapq
import math

MOD = 10**9 + 7
INF = float('inf')
DIRS = [(0, 1), (1, 0), (-1, 0), (0, -1)]
VOWELS = set('aeiou')
ROMAN = {'I': 1, 'V': 5}

class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next

def helper(nums: List[int], k: Optional[int] = None) -> int:
    return sum(n for n in nums if n % 2) % MOD

class Solution:
    LIMIT = 5

    def f(self, x):
        self.best = 0
        seen = defaultdict(list)
        for i, (dx, dy) in enumerate(DIRS):
            seen[dx].append(i)
            seen[dx][0] += dy
        graph = {c: ROMAN.get(c, 0) for c in 'IV' if c not in VOWELS}

        def dfs(i, memo={}):
            nonlocal seen
            if i in memo:
                return memo[i]
            memo[i] = dfs(i - 1) + 1 if i > 0 else 0
            self.best = max(self.best, memo[i])
            return memo[i]

        heap = []
        heapq.heappush(heap, (math.inf, 1))
        node = ListNode(1)
        node.next = ListNode(2)
        while node and node.next:
            node = node.next
        queue = deque([1])
        queue.append(heap.pop()[1])
        order = sorted(queue, key=lambda q: -q)
        return [dfs(x), self.best, self.LIMIT, helper([x]), node.val, order, Counter(order).most_common(1)]
""",
    "a cache within a call": "from functools import lru_cache\ndef f(x):\n    @lru_cache(maxsize=None)\n    def g(n): return n if n < 2 else g(n - 1) + g(n - 2)\n    return g(x)",
    "a limit set once": "import sys\nsys.setrecursionlimit(10**6)\ndef f(x): return x",
    "a function applied": "from functools import cmp_to_key, reduce\ndef c(a, b): return a - b\ndef f(x): return sorted(map(abs, [x, 1]), key=cmp_to_key(c)) + [reduce(c, [1, 2])]",
    "a check of a type": "def f(x): return type(x) == int and type(x) in (int, float) and isinstance(x, int) and type(x).__name__",
    "a main block": "def f(x): return x\nif __name__ == '__main__':\n    total = [f(1)]\n    print(total, f(2))\n    assert f(3) == 3",
    "errors": "class E(ValueError):\n    pass\ndef f(x):\n    try:\n        raise E('x')\n    except (E, KeyError) as e:\n        return str(e)",
    "star imports": "from math import *\nfrom typing import *\nfrom collections import *\ndef f(x: List[int]): return sqrt(x) + len(Counter([x]))",
    "a closure made in the call": "def make(n):\n    def g():\n        nonlocal n\n        n += 1\n        return n\n    g.seen = []\n    return g\ndef f(x): return make(x)()",
    "a generator made in the call": "def g(n):\n    yield from range(n)\ndef f(x): return list(g(x))",
    "a static method called": "class Solution:\n    @staticmethod\n    def g(x): return x\n    def f(self, x): return self.g(x) + Solution.g(x)",
    "a pattern": "import re\nP = re.compile('a+')\ndef f(x): return len(P.findall('aab')) + len(re.sub('a', 'b', 'aa'))",
    "a table of operators": "import operator\nOPS = {'+': operator.add}\ndef f(x): return OPS['+'](x, 1)",
    "an unused import": "import random\nimport os.path\ndef f(x): return x",
    "a data class": "from dataclasses import dataclass\n@dataclass\nclass P:\n    a: int\n    b: int = 0\ndef f(x):\n    p = P(x)\n    p.b += 1\n    return p.b",
    "a type alias": "from typing import List\nGrid = List[List[int]]\ndef f(x: Grid) -> Grid: return x",
    "a string of everything": "def f(x): return f'{x:>{3}} {x!r}' + '%d' % x + '{}'.format(x) + ''.join(c for c in 'abc')",
}


@pytest.mark.parametrize("name", LEAKS)
def test_no_program_that_leaks_is_taken_for_clean(name):
    assert keeps_state(LEAKS[name].encode(), "f")


@pytest.mark.parametrize("name", CLEAN)
def test_honest_programs_are_understood(name):
    assert keeps_state(CLEAN[name].encode(), "f") == ""


_LOOP = "\nimport json as _j\n_f = Solution().f if 'Solution' in globals() else f\nprint(_j.dumps([_f(n) for n in (1, 2, 3)]))"


def test_the_leaks_are_leaks_and_calls_give_what_fresh_processes_give():
    """Each leaking program in a loop of its own, one process a call, and by the sandbox's calls."""
    arguments = [b"[1]", b"[2]", b"[3]"]
    with opened() as bench:
        for name, source in LEAKS.items():
            loop = bench.one(source + _LOOP)
            assert loop.ok, (name, loop.stderr)
            alone = [bench.calls(source, "f", [one])[0] for one in arguments]
            assert all(run.ok for run in alone), (name, alone)
            values = [json.loads(run.outward) for run in alone]
            assert json.loads(loop.stdout) != values, name
            assert [run.outward for run in bench.calls(source, "f", arguments)] == [
                run.outward for run in alone
            ]


@pytest.mark.parametrize("name", CLEAN)
def test_clean_programs_give_together_what_they_give_alone(name):
    with opened() as bench:
        arguments = [json.dumps([n]).encode() for n in (3, 1, 2, 3)]
        together = bench.calls(CLEAN[name], "f", arguments)
        alone = bench.calls(CLEAN[name], "f", arguments, chunk=1)
        assert [run.shared for run in together] == [False, True, True, True]
        assert [run.outward for run in together] == [run.outward for run in alone]
        assert all(run.ok for run in alone)


def test_no_name_of_the_library_tells_a_lie():
    """A name that decides how arguments are looked at is the builtin's, or that very function."""
    special = {*names.READS, "map", "filter", "isinstance", "issubclass"}
    for sound, foreign in names.KNOWN.values():
        assert not special & (sound | foreign)


def test_nothing_can_be_stored_in_what_is_called_sound():
    for module, (sound, _) in names.KNOWN.items():
        for name in sound:
            value = getattr(importlib.import_module(module), name)
            with pytest.raises((AttributeError, TypeError)):
                value.kept = 1


@pytest.mark.parametrize(
    "source", ["x = " + "(" * 90 + "1" + ")" * 90 + "\ndef f(x): pass", "def f(x): return x" + "\n#" * 20_000]
)
def test_what_is_too_long_or_too_deep_is_not_looked_at(source):
    assert keeps_state(source.encode(), "f") in ("", "nested too deeply", "too long to look at")


def test_deep_programs_are_no_trouble():
    deep = "x = " + "-" * 3000 + "1\ndef f(x): return x"
    assert keeps_state(deep.encode(), "f") == "nested too deeply"


@pytest.mark.parametrize("entry", ["g", "x", "A", "len", "f.g", ""])
def test_what_is_called_must_be_a_plain_function(entry):
    assert keeps_state(b"x = 1\nclass A: pass\ndef f(x): return x", entry)
