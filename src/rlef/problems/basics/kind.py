"""What a kind of basic problem is, and how a problem is made from it.

A kind is a template: wordings, parameters that the wordings show, a way to draw
inputs, and an answer computed here in Python. The program texts are written apart
from the answer function, so that one checks the other when both are judged.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlef.problems.types import Limits, Problem, Provenance, Solution, TestCase

Params = Mapping[str, Any]
Answer = Callable[..., object]
"""``answer(value, **params)``: text, a number, a list (printed on one line) or a bool (yes, no)."""

PUBLIC, PRIVATE = 3, 5
LIMITS = Limits(cpu_s=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One form of input: how the statement says it, how a program reads it, how it is written."""

    says: str
    code: str
    """Python that reads stdin into the names that the statement uses."""
    write: Callable[[Any], str]
    """Input text, without the last newline, of a drawn value."""


def _spaced(values: Sequence[object]) -> str:
    return " ".join(str(value) for value in values)


INT = Reader(says="Read an integer n with `n = int(input())`.", code="n = int(input())", write=str)
PAIR = Reader(
    says="Read two integers a and b with `a, b = map(int, input().split())`.",
    code="a, b = map(int, input().split())",
    write=_spaced,
)
WORD = Reader(says="Read a word with `word = input()`.", code="word = input()", write=str)
WORDS = Reader(
    says="Read a line of words with `words = input().split()`.",
    code="words = input().split()",
    write=_spaced,
)
INTS = Reader(
    says="Read a line of integers with `numbers = list(map(int, input().split()))`.",
    code="numbers = list(map(int, input().split()))",
    write=_spaced,
)
COLUMN = Reader(
    says="The first line of the input is an integer n. Then come n lines with one integer each.",
    code="n = int(input())\nnumbers = [int(input()) for _ in range(n)]",
    write=lambda values: "\n".join(str(value) for value in (len(values), *values)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A template of problems. Texts hold parameters in braces: ``Print n plus {k}.``"""

    name: str
    reads: Reader
    says: tuple[str, ...]
    """Wordings of the task, all with the same meaning."""
    params: Mapping[str, Sequence[Any]]
    """Values of each parameter; an instance is one combination."""
    draw: Callable[..., Any]
    """``draw(rng, **params)``: an input value; often one that the wrong program gets wrong."""
    answer: Answer
    wrong_answer: Answer
    """What the wrong program prints; tests are drawn until they tell it from ``answer``."""
    program: str
    """Reference, after the reader's code."""
    wrong: str
    """A likely mistake, after the reader's code."""
    keep: Callable[..., bool] = field(default=lambda **params: True)
    """Combinations to keep."""

    def instances(self) -> list[dict[str, Any]]:
        """All parameter combinations, in a fixed order."""
        combinations = itertools.product(*self.params.values())
        every = (dict(zip(self.params, values, strict=True)) for values in combinations)
        return [params for params in every if self.keep(**params)]

    def reference(self, params: Params) -> str:
        """The known-good program."""
        return f"{self.reads.code}\n{fill(self.program, params)}\n"

    def wrong_program(self, params: Params) -> str:
        """The known-bad program."""
        return f"{self.reads.code}\n{fill(self.wrong, params)}\n"


def lines(*texts: str) -> str:
    """The lines of a program as one text."""
    return "\n".join(texts)


def fill(text: str, params: Params) -> str:
    """Put parameters into a text. Braces around anything else stay."""
    for name, value in params.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def show(answer: object) -> str:
    """The text that a right program prints."""
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    if isinstance(answer, list):
        return _spaced(answer)
    return str(answer)


def draw_tests(kind: Kind, params: Params, rng: random.Random) -> list[TestCase]:
    """``PUBLIC`` and then ``PRIVATE`` tests on different inputs.

    Both groups tell the wrong program from the right one and hold two different
    outputs, so that neither a likely mistake nor a constant passes.
    """
    for _ in range(1000):
        tests = {}
        for _ in range(8 * (PUBLIC + PRIVATE)):
            value = kind.draw(rng, **params)
            text = kind.reads.write(value)
            right = show(kind.answer(value, **params))
            if right.strip():
                tests[text] = (right, show(kind.wrong_answer(value, **params)))
            if len(tests) == PUBLIC + PRIVATE:
                break
        pairs = list(tests.values())
        if len(pairs) == PUBLIC + PRIVATE and _telling(pairs[:PUBLIC]) and _telling(pairs[PUBLIC:]):
            return [TestCase(input=text + "\n", output=right + "\n") for text, (right, _) in tests.items()]
    raise AssertionError(f"{kind.name} with {dict(params)} draws no telling tests")


def _telling(pairs: Sequence[tuple[str, str]]) -> bool:
    return any(right.split() != wrong.split() for right, wrong in pairs) and len({r for r, _ in pairs}) > 1


def make_problem(
    kind: Kind, level: int, params: Params, *, problem_id: str, wording: int, split: str, rng: random.Random
) -> Problem:
    """A problem with fresh tests from ``rng``; the first public test is the statement's example."""
    tests = draw_tests(kind, params, rng)
    public, private = tuple(tests[:PUBLIC]), tuple(tests[PUBLIC:])
    task = fill(kind.says[wording % len(kind.says)], params)
    example = f"Example input:\n{public[0].input}Example output:\n{public[0].output}"
    return Problem(
        id=problem_id,
        statement=f"{kind.reads.says} {task}\n{example}",
        public_tests=public,
        private_tests=private,
        limits=LIMITS,
        solutions=_solutions(kind, params, public),
        provenance=Provenance(
            dataset="basics",
            split=split,
            family=kind.name,
            difficulty=f"level{level}",
            license="Apache-2.0",
            visible=dict(params),
        ),
    )


def _solutions(kind: Kind, params: Params, public: Sequence[TestCase]) -> tuple[Solution, ...]:
    answers = json.dumps({test.input.strip(): test.output.strip() for test in public}, ensure_ascii=True)
    greedy = f"import sys\nanswers = {answers}\nprint(answers.get(sys.stdin.read().strip(), ''))\n"
    slow = f"{kind.reads.code}\nsteps = 0\nwhile True:\n    steps += 1\n"
    crash = f"{kind.reads.code}\nprint([][0])\n"
    return (
        Solution(code=kind.reference(params), note="reference"),
        Solution(code=kind.wrong_program(params), verdict="wrong_answer", note="wrong"),
        Solution(code=greedy, verdict="wrong_answer", note="greedy"),
        Solution(code=slow, verdict="time_limit", note="slow"),
        Solution(code=crash, verdict="runtime_error", note="crash"),
    )
