"""Honest programs with their inputs: rlef's suites, public benchmarks, and mutants of both.

A test of a benchmark becomes a line that prints what it computes, so that there is something to
compare. Programs that print times, addresses or unseeded chance have nothing to compare, and are
left out (`differential_plain.refusal` names them); where ``random`` is imported, it is seeded in
the first line, on both sides.
"""

from __future__ import annotations

import ast
import gzip
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from differential_mutants import mutate
from differential_plain import refusal
from rlef.problems import basics, conventions

INPUTS = 3
"""Most inputs that a program runs on."""

SOURCES = ("endings", "conventions", "basics", "humaneval", "mbpp", "apps inputs", "mutants")

_READERS = {
    "tokens": "import sys\nwords = sys.stdin.read().split()\nprint(len(words), sorted(words)[:50])",
    "lines": "import sys\nfor n, line in enumerate(sys.stdin):\n    print(n, repr(line))",
    "bytes": "import sys, collections\nprint(collections.Counter(sys.stdin.buffer.read()).most_common(9))",
    "numbers": "import re, sys\nprint(sum(int(x) for x in re.findall(r'-?\\d+', sys.stdin.read())))",
    "input": "while True:\n    print(input()[::-1])",
    "integers": "n = int(input())\nrows = [list(map(int, input().split())) for _ in range(n)]\nprint(rows)",
    "json": "import json, sys\nprint(json.dumps(json.load(sys.stdin), indent=1, sort_keys=True))",
    "echo": "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())",
    "digest": "import hashlib, sys\nprint(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())",
    "mixed": "import sys\na = input()\nb = sys.stdin.readline()\nprint(a, b, file=sys.stderr)\nprint({a, b})",
}
"""Programs that read the inputs of APPS: its rows hold tests and no solutions."""


_ENDINGS = {
    "misspelt name": "total = 1\nprint(totl)",
    "misspelt attribute": "print('a'.spilt())",
    "misspelt in a chain": "value = 1\ntry:\n    valeu\nexcept NameError:\n    raise KeyError(valuee)",
    "cause": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('no') from e",
    "context": "try:\n    [][1]\nexcept IndexError:\n    {}['k']",
    "no context": "try:\n    [][1]\nexcept IndexError:\n    raise KeyError('k') from None",
    "notes": "e = ValueError('a')\ne.add_note('first\\nsecond')\nraise e",
    "group": "raise ExceptionGroup('some', [ValueError(1), KeyError(2)])",
    "own class": "class Odd(Exception):\n    def __str__(self):\n        return 'a\\n  b'\nraise Odd",
    "no message": "raise ValueError",
    "str fails": "class Odd(Exception):\n    def __str__(self):\n        raise KeyError\nraise Odd",
    "assert": "x = 3\nassert x == 4, f'got {x}'",
    "recursion": "def f(n):\n    return f(n + 1)\nf(0)",
    "mutual recursion": "def f(n):\n    return g(n)\ndef g(n):\n    return f(n)\nf(0)",
    "in a lambda": "print(list(map(lambda x: 1 // x, [1, 0])))",
    "in a comprehension": "print([1 // x for x in [1, 0]])",
    "in a method": "class A:\n    def f(self):\n        return self.g\nA().f()",
    "in a del": "class A:\n    def __init__(self):\n        self.x = 1\na = A()\ndel a\na",
    "over lines": "x = 0\ny = (1 +\n     2 //\n     x)\n",
    "tabs": "def f():\n\tif 1:\n\t\treturn {}[\t'k']\nf()",
    "white space at the end": "x = []  \nprint( x[1] )   \n",
    "carriage returns": "x = []\r\nif 1:\r\n    print(x[1])  \r\n",
    "old line ends": "x = []\rprint(x[1])\r",
    "form feed": "x = 1\n\x0cy = 2\n1 / 0\n",
    "separators in a text": "x = '\u2028 \x85 \x1c \x0b'\nprint(len(x), x[9:]); print(x[9])\n",
    "wide characters": "x = '\u65e5\u672c'; y = x['\u00e9']\n",
    "mark at the start": "\ufeffprint('\u00e9')\n1 / 0\n",
    "no line end": "print(1); 1 / 0",
    "in the library": "import json\njson.loads('{')",
    "in a generator": "def g():\n    yield 1\n    raise LookupError('x')\nsum(g())",
    "exit in a function": "import sys\ndef f():\n    sys.exit('bye')\nf()",
    "exit with a tuple": "raise SystemExit(1, 2)",
    "exit with None": "raise SystemExit(None)",
    "exit with a float": "raise SystemExit(2.5)",
    "exit with True": "raise SystemExit(True)",
    "interrupt": "raise KeyboardInterrupt",
    "stop iteration": "next(iter([]))",
    "unprintable text": "print('\\ud800')",
    "syntax": "def f(:\n    pass",
    "syntax at the end": "print((1, 2)\n",
    "late syntax": "print(1)\nreturn 2\n",
    "bad indent": "if 1:\n    x = 1\n  y = 2\n",
    "tabs and spaces": "if 1:\n        x = 1\n\ty = 2\n",
    "unknown escape": "print('\\d')",
    "is with a literal": "x = 1\nprint(x is 1)",
    "huge int to text": "print(10 ** 5000)",
    "error while printing": "class A:\n    def __repr__(self):\n        return 1\nprint([A()])",
    "partial line": "import sys\nsys.stdout.write('no end')",
    "stderr": "import sys\nprint('x', file=sys.stderr)\nprint('y')\nsys.stderr.write('no end')",
    "closed stdout": "import sys\nprint('a')\nsys.stdout.close()\n",
    "print to closed stdout": "import sys\nsys.stdout.close()\nprint('a')\n",
    "empty": "",
    "comment": "# nothing",
}
"""Hand-written ways to end, above all with a traceback."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run on both sides."""

    source: str
    """One of `SOURCES`."""
    name: str
    code: str
    stdins: tuple[bytes, ...]


def programs(count: int, data: Path | None, seed: int = 0) -> list[Program]:
    """About ``count`` programs: three in four known ones, the others mutants.

    Each source gives about as much as the others, or all that it has. ``data`` is the folder
    with the benchmarks; without one only the suites take part.
    """
    known = [*_suite("conventions"), *_suite("basics")]
    if data is not None:
        known += [*_humaneval(data), *_mbpp(data), *_apps(data)]
    known = [_seeded(program) for program in known]
    known += [Program("endings", name, code, (b"",)) for name, code in _ENDINGS.items()]
    mutants = itertools.islice(_mutants(known, Random(f"differential {seed}")), count // 4)
    return [*_shares(known, count - count // 4), *mutants]


def _shares(known: list[Program], count: int) -> Iterator[Program]:
    by_source = {name: [p for p in known if p.source == name] for name in SOURCES}
    left = count
    for n, (_, mine) in enumerate(sorted(by_source.items(), key=lambda item: len(item[1]))):
        share = min(len(mine), left // (len(by_source) - n))
        left -= share
        yield from (mine[k * len(mine) // share] for k in range(share))


def data_folder() -> Path | None:
    """The folder with the benchmarks' files, as ``rlef data`` finds it."""
    folder = os.environ.get("RLEF_DATA", "")
    return Path(folder) if folder and (Path(folder) / "mbpp.jsonl.gz").exists() else None


def _seeded(program: Program) -> Program:
    if "random" not in program.code:
        return program
    code = "import random; random.seed(0)\n" + program.code
    return Program(program.source, program.name, code, program.stdins)


def _suite(name: str) -> Iterator[Program]:
    suite = {"conventions": conventions, "basics": basics}[name]
    for number, problem in enumerate(suite.open_split("test")):
        tests = (*problem.public_tests, *problem.hidden_tests)[:INPUTS]
        stdins = tuple(test.input.encode() for test in tests)
        for k, solution in enumerate(problem.solutions):
            # Endless loops all end alike, and each takes the whole limit: a few are enough.
            if solution.verdict != "time_limit" or number % 40 == 0:
                yield Program(name, f"{problem.id} {k} {solution.note}", solution.code, stdins)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def _humaneval(data: Path) -> Iterator[Program]:
    for row in _rows(data / "HumanEval.jsonl.gz"):
        tree = ast.parse(row["test"])
        code = f"{row['prompt']}{row['canonical_solution']}\n{_printing(tree)}\ncheck({row['entry_point']})\n"
        yield Program("humaneval", row["task_id"], code, (b"",))


def _mbpp(data: Path) -> Iterator[Program]:
    for row in _rows(data / "mbpp.jsonl.gz"):
        tree = ast.parse("\n".join(row["test_list"]))
        code = f"{row['test_setup_code']}\n{row['code']}\n{_printing(tree)}\n"
        yield Program("mbpp", f"mbpp/{row['task_id']}", code, (b"",))


def _printing(tree: ast.Module) -> str:
    """The text of ``tree`` with each ``assert left == right`` as ``print(repr(left))``."""

    class Prints(ast.NodeTransformer):
        def visit_Assert(self, node: ast.Assert) -> ast.stmt:
            test = node.test
            value = test.left if isinstance(test, ast.Compare) else test
            shown = ast.Call(ast.Name("repr", ast.Load()), [value], [])
            return ast.Expr(ast.Call(ast.Name("print", ast.Load()), [shown], []))

    return ast.unparse(ast.fix_missing_locations(Prints().visit(tree)))


def _apps(data: Path) -> Iterator[Program]:
    for row, (name, code) in zip(
        _rows(data / "apps_150.jsonl.gz"), itertools.cycle(_READERS.items()), strict=False
    ):
        texts = [_text(test["input"]) for test in (*row["sample_io"], *row["test_list"])]
        stdins = tuple(text.encode("utf-8", "surrogatepass") for text in texts[:INPUTS])
        yield Program("apps inputs", f"apps/{row['name']} {name}", code, stdins)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _mutants(known: list[Program], random: Random) -> Iterator[Program]:
    """Mutants without end; of those that the plain side refuses none is yielded."""
    of = {name: [p for p in known if p.source == name and not refusal(p.code)] for name in SOURCES}
    of = {name: mothers for name, mothers in of.items() if mothers}
    for number in itertools.count():
        mother = random.choice(of[random.choice(list(of))])
        code = mutate(mother.code, random)
        if code is not None and not refusal(code):
            yield Program("mutants", f"{number} of {mother.name}", code, mother.stdins)
