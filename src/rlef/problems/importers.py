"""Readers of HumanEval, MBPP and APPS files, thin on purpose.

What is imported judges as the original does, but that floats may differ by 1e-6 and that a tuple
will do where a list is expected. A problem whose tests can't be said is left out and listed with the
reason; nothing is dropped silently. Data are parsed, never executed.

Covered: asserts about one call and a constant (`problems.checks`); other asserts, as code that runs
beside the candidate and is reported as weaker. Not covered: problems with a single test, APPS problems
tested by function calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlef.errors import DataError
from rlef.problems.asserts import Inexpressible, Tests, asserted_tests, checked_tests, docstring_examples
from rlef.problems.jsonl import json_lines
from rlef.problems.types import Limits, Problem, Provenance, Solution, TestCase


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Something in a file that did not become part of a problem."""

    id: str
    """The problem; an example that was left out names its problem too."""
    reason: str
    whole: bool = True
    """False if only one docstring example is left out and the problem is there."""


def import_humaneval(path: Path) -> tuple[list[Problem], list[Skipped]]:
    """HumanEval: docstring examples are public, the other asserts private.

    Without a readable example the first assert is public. Raises ``DataError`` for a file
    that is not HumanEval.
    """
    problems, skipped = [], []
    for where, row in _rows(path, ("task_id", "prompt", "entry_point", "canonical_solution", "test")):
        name, problem_id = str(row["entry_point"]), str(row["task_id"]).lower()
        try:
            tests = checked_tests(str(row["test"]), name, str(row["prompt"]), where)
            examples, lost = docstring_examples(str(row["prompt"]), name, tests)
            public, private = _share_out(examples, tests)
        except Inexpressible as reason:
            skipped.append(Skipped(id=problem_id, reason=str(reason)))
            continue
        skipped += [Skipped(id=problem_id, reason=reason, whole=False) for reason in lost]
        problems.append(
            Problem(
                id=problem_id,
                statement=f"Write the Python function `{name}`.\n\n{str(row['prompt']).strip()}\n",
                public_tests=public,
                private_tests=private,
                form="call",
                entry_point=name,
                solutions=(Solution(code=f"{row['prompt']}{row['canonical_solution']}", note="reference"),),
                provenance=Provenance(dataset="humaneval", family="humaneval", license="MIT"),
            )
        )
    return _some(problems, path), skipped


def import_mbpp(path: Path) -> tuple[list[Problem], list[Skipped]]:
    """MBPP: the first assert is public and stands in the statement, the others are private.

    Splits are the usual ones by ``task_id``; 1 to 10 are ``prompt``. Raises ``DataError``
    for a file that is not MBPP.
    """
    problems, skipped = [], []
    fields = ("text", "code", "task_id", "test_setup_code", "test_list", "challenge_test_list")
    for where, row in _rows(path, fields):
        problem_id = f"mbpp/{row['task_id']}"
        try:
            asserts = _texts(row, "test_list", where) + _texts(row, "challenge_test_list", where)
            code = str(row["code"]).replace("\r\n", "\n")
            name, tests = asserted_tests(asserts, str(row["test_setup_code"]).replace("\r\n", "\n"), code)
            public, private = _share_out({}, tests)
        except Inexpressible as reason:
            skipped.append(Skipped(id=problem_id, reason=str(reason)))
            continue
        statement = f"{str(row['text']).strip()}\nYour code must satisfy this test:\n{asserts[0].strip()}\n"
        problems.append(
            Problem(
                id=problem_id,
                statement=statement,
                public_tests=public,
                private_tests=private,
                form="call",
                entry_point=name,
                limits=Limits(cpu_s=5.0),  # the reference of mbpp/123 takes more than 2 s
                solutions=(Solution(code=code, note="reference"),),
                provenance=Provenance(
                    dataset="mbpp", split=_mbpp_split(row["task_id"]), family="mbpp", license="CC-BY-4.0"
                ),
            )
        )
    return _some(problems, path), skipped


def import_apps(path: Path) -> tuple[list[Problem], list[Skipped]]:
    """APPS problems on stdin: ``sample_io`` is public, the rest of ``test_list`` private.

    Raises ``DataError`` for a file that is not in this form.
    """
    problems: dict[str, Problem] = {}
    skipped = []
    fields = ("id", "description", "difficulty", "sample_io", "test_list", "starter_code")
    for where, row in _rows(path, fields):
        problem_id = f"apps/{row['id']}"
        try:
            if problem_id in problems:
                raise Inexpressible("the same id stands in an earlier row")
            problems[problem_id] = _apps_problem(problem_id, row, where)
        except Inexpressible as reason:
            skipped.append(Skipped(id=problem_id, reason=str(reason)))
    return _some(list(problems.values()), path), skipped


_MANY_ANSWERS = re.compile(
    r"any of them|any (valid|one of|correct)"
    r"|(several|multiple|many) (possible |correct |valid )?(answers|solutions)"
    r"|more than one (possible )?(answer|solution)",
    re.IGNORECASE,
)


def _apps_problem(problem_id: str, row: dict[str, Any], where: str) -> Problem:
    if str(row["starter_code"]).strip():
        raise Inexpressible("tested by function calls whose arguments are plain text")
    if _MANY_ANSWERS.search(str(row["description"])):
        raise Inexpressible("the statement allows several answers, the tests know one")
    public = _apps_tests(row, "sample_io", where)
    private = {text: out for text, out in _apps_tests(row, "test_list", where).items() if text not in public}
    if not public or not private:
        raise Inexpressible(f"no {'private' if public else 'public'} tests")
    difficulty = str(row["difficulty"])
    return Problem(
        id=problem_id,
        statement=str(row["description"]).strip() + "\n",
        public_tests=_tests(public),
        private_tests=_tests(private),
        limits=Limits(cpu_s=4.0),
        provenance=Provenance(dataset="apps", family="apps", difficulty=difficulty, license="MIT"),
    )


def _apps_tests(row: dict[str, Any], key: str, where: str) -> dict[str, str]:
    tests: dict[str, str] = {}
    for index, item in enumerate(_list(row, key, where)):
        match item:
            case {"input": str(text), "output": [str(output)]} | {"input": str(text), "output": str(output)}:
                tests[text] = output
            case _:
                raise DataError(f"{where}: {key}[{index}] must hold input text and output text")
    return tests


def _mbpp_split(task_id: object) -> str:
    number = int(str(task_id))
    return "prompt" if number <= 10 else "test" if number <= 510 else "valid" if number <= 600 else "train"


def _share_out(examples: Tests, tests: Tests) -> tuple[tuple[TestCase, ...], tuple[TestCase, ...]]:
    """Public and private tests with disjoint inputs and at least one of each."""
    every = list({**examples, **tests}.values())
    shown = {test.input for test in examples.values()} or {test.input for test in every[:1]}
    if all(test.input in shown for test in every):
        # All asserts stand in the docstring: the last one judges.
        shown.discard(every[-1].input)
    public = tuple(test for test in every if test.input in shown)
    private = tuple(test for test in every if test.input not in shown)
    if not public or not private:
        raise Inexpressible("fewer than two different tests")
    return public, private


def _tests(pairs: dict[str, str]) -> tuple[TestCase, ...]:
    return tuple(TestCase(input=text, output=output) for text, output in pairs.items())


def _rows(path: Path, fields: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    for where, row in json_lines(path):
        if not isinstance(row, dict):
            raise DataError(f"{where}: must be an object")
        missing = [name for name in fields if name not in row]
        if missing:
            raise DataError(f"{where}: field {missing[0]!r} is missing")
        yield where, row


def _list(row: dict[str, Any], key: str, where: str) -> list[Any]:
    if not isinstance(row[key], list):
        raise DataError(f"{where}: {key} must be a list")
    return list(row[key])


def _texts(row: dict[str, Any], key: str, where: str) -> list[str]:
    items = _list(row, key, where)
    if not all(isinstance(item, str) for item in items):
        raise DataError(f"{where}: {key} must be a list of texts")
    return items


def _some(problems: list[Problem], path: Path) -> list[Problem]:
    if not problems:
        raise DataError(f"{path} holds no problem that can be imported")
    return problems
