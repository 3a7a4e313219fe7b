"""APPS and TACO: their tests are a JSON text of inputs and outputs, for stdin or for a function.

Neither parts public tests from hidden ones: public are those that the statement shows word for word,
or the first (`record.shown_in`). The APPS file with ``sample_io`` says itself what is public.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from rlef.errors import DataError
from rlef.problems import plain
from rlef.problems.asserts import Inexpressible
from rlef.problems.importers.record import (
    Benchmark,
    Entry,
    Form,
    Found,
    Options,
    day_of,
    json_of,
    list_of,
    meta_of,
    shown_in,
    some,
    text_of,
)
from rlef.problems.literals import value_of
from rlef.problems.tables import Row
from rlef.problems.types import Limits, Problem, Provenance, Solution, TestCase

_LIMITS = Limits(cpu_s=4.0)
_BYTES = {"bytes": 1, "kilobytes": 2**10, "kb": 2**10, "megabytes": 2**20, "mb": 2**20, "gigabytes": 2**30}
_META = (
    "problem_id",
    "starter_code",
    "name",
    "raw_tags",
    "skill_types",
    "picture_num",
    "Expected Auxiliary Space",
    "Expected Time Complexity",
)


# -- the file with sample_io


def _sampled(problem_id: str, entry: Entry, options: Options) -> Iterator[Found]:
    row = entry.row
    if str(row["starter_code"]).strip():
        raise Inexpressible("tested by function calls whose arguments are plain text")
    public = _listed(row, "sample_io", entry.where)
    private = {k: test for k, test in _listed(row, "test_list", entry.where).items() if k not in public}
    if not public or not private:
        raise Inexpressible(f"no {'private' if public else 'public'} tests")
    yield Problem(
        id=problem_id,
        statement=str(row["description"]).strip() + "\n",
        public_tests=tuple(public.values()),
        private_tests=tuple(private.values()),
        limits=_LIMITS,
        provenance=Provenance(
            dataset="apps",
            split=entry.split,
            family="apps",
            difficulty=str(row["difficulty"]),
            license="MIT",
            meta=meta_of(row, ("name",)),
        ),
    )


def _listed(row: Row, key: str, where: str) -> dict[str, TestCase]:
    tests: dict[str, TestCase] = {}
    for index, item in enumerate(list_of(row, key, where)):
        match item:
            case {"input": str(text), "output": [str(output), *also]} if all(
                isinstance(other, str) for other in also
            ):
                tests[text] = TestCase(input=text, output=output, also=tuple(also))
            case {"input": str(text), "output": str(output)}:
                tests[text] = TestCase(input=text, output=output)
            case _:
                raise DataError(f"{where}: {key}[{index}] must hold input text and output text")
    return tests


# -- the sets' own form


def _original(dataset: str, license_name: str) -> Any:
    def make(problem_id: str, entry: Entry, options: Options) -> Iterator[Found]:
        row = entry.row
        tests, name = tests_of(json_of(row, "input_output"))
        statement = statement_of(str(row["question"]), text_of(row, "starter_code"))
        public, private = shown_in(statement, tests)
        yield Problem(
            id=problem_id,
            statement=statement,
            public_tests=public,
            private_tests=private,
            form="call" if name else "stdin",
            entry_point=name or None,
            limits=_limits(row),
            solutions=some(_solutions(row), options.solutions),
            provenance=Provenance(
                dataset=dataset,
                split=entry.split,
                family=dataset,
                difficulty=text_of(row, "difficulty").lower(),
                license=license_name,
                date=day_of(row.get("date")),
                source=text_of(row, "source"),
                url=text_of(row, "url"),
                tags=_tags(row),
                meta=meta_of(row, _META),
            ),
        )

    return make


def statement_of(question: str, starter: str) -> str:
    """The question, and the code that an answer to it has to start with, if there is any."""
    begin = f"\nBegin your code like this:\n\n```python\n{starter.strip()}\n```\n" if starter.strip() else ""
    return f"{question.strip()}\n{begin}"


def tests_of(value: Any) -> tuple[list[TestCase], str]:
    """The tests in ``{"inputs": …, "outputs": …, "fn_name": …}``, and the function's name.

    Lines may be a list; of a call the value may stand in a list of its own. Raises ``Inexpressible``.
    """
    if not isinstance(value, dict) or not value.get("inputs"):
        raise Inexpressible("no tests")
    inputs, outputs = value["inputs"], value.get("outputs")
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise Inexpressible("inputs and outputs are not lists of the same length")
    name = str(value.get("fn_name") or "")
    make = call_test if name else _stdin_test
    return [make(given, right) for given, right in zip(inputs, outputs, strict=True)], name


def call_test(arguments: Any, expected: Any) -> TestCase:
    """The test of a call with a list of arguments. Raises ``Inexpressible``.

    Keys of a dictionary that look like numbers are numbers: JSON has no others, and APPS' own runner
    takes them so.
    """
    if not isinstance(arguments, list):
        raise Inexpressible("the arguments of a call are not a list")
    arguments = [_numbered(arguments[0]), *arguments[1:]] if arguments else []
    alone = isinstance(expected, list) and len(expected) == 1
    answers = [expected[0], expected] if alone else [expected]
    first, *also = dict.fromkeys(_dumped(_numbered(answer)) for answer in answers)
    return TestCase(input=_dumped(arguments), output=first, also=tuple(also))


def _stdin_test(given: Any, right: Any) -> TestCase:
    return TestCase(input=_lines(given), output=_lines(right))


def _lines(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    if not isinstance(value, str):
        raise Inexpressible("an input or output is neither text nor lines")
    return value


def _numbered(value: Any) -> Any:
    if isinstance(value, dict) and value and all(re.fullmatch(r"-?\d{1,18}", str(key)) for key in value):
        return {int(key): item for key, item in value.items()}
    return value


def _dumped(value: Any) -> str:
    try:
        return plain.dumps(value)
    except plain.NotPlain as reason:
        raise Inexpressible(str(reason)) from None


def _limits(row: Row) -> Limits:
    time = re.match(r"\s*([\d.]+)\s*s", text_of(row, "time_limit"))
    memory = re.match(r"\s*([\d.]+)\s*([a-z]+)", text_of(row, "memory_limit").lower())
    seconds = float(time[1]) if time and time[1].count(".") < 2 else 0.0
    size = float(memory[1]) * _BYTES.get(memory[2], 0) if memory and memory[1].count(".") < 2 else 0.0
    return Limits(cpu_s=seconds or _LIMITS.cpu_s, memory_bytes=int(size) or _LIMITS.memory_bytes)


def _solutions(row: Row) -> list[Solution]:
    found = json_of(row, "solutions") or []
    if not isinstance(found, list) or not all(isinstance(code, str) for code in found):
        raise Inexpressible("solutions are not a list of texts")
    return [Solution(code=code, note="" if at else "reference") for at, code in enumerate(found)]


def _tags(row: Row) -> tuple[str, ...]:
    """Tags, which TACO writes as a Python list in a text."""
    value = row.get("tags")
    if isinstance(value, str) and value.strip():
        try:
            value = value_of(ast.parse(value.strip(), mode="eval").body)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            value = [value]
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _number(entry: Entry) -> str:
    given = entry.row.get("problem_id", entry.row.get("id"))
    return str(entry.number if given is None else given)


APPS = Benchmark(
    name="apps",
    forms=(
        Form(
            fields=("id", "description", "difficulty", "sample_io", "test_list", "starter_code"),
            name=lambda entry: f"apps/{entry.row['id']}",
            make=_sampled,
        ),
        Form(
            fields=("problem_id", "question", "input_output", "difficulty"),
            name=lambda entry: "/".join(filter(None, ("apps", entry.split, _number(entry)))),
            make=_original("apps", "MIT"),
        ),
    ),
    files=("apps_150.jsonl.gz", "apps"),
    hub=("codeparrot/apps",),
    solution_columns=("solutions",),
)
TACO = Benchmark(
    name="taco",
    forms=(
        Form(
            fields=("question", "input_output", "difficulty", "starter_code", "source"),
            name=lambda entry: "/".join(filter(None, ("taco", entry.split, _number(entry)))),
            make=_original("taco", "Apache-2.0"),
        ),
    ),
    files=("TACO", "taco"),
    hub=("BAAI/TACO",),
    solution_columns=("solutions",),
)
