"""Readers of HumanEval, MBPP and APPS files, thin on purpose.

What is imported judges as the original does. A problem whose tests can't be said as
(input, output) pairs is left out and listed with the reason; nothing is dropped
silently. Data are parsed as literals only, never executed.

Covered: asserts that compare one call with a literal. Not covered: tolerances, random
tests, arguments that JSON has no form for (tuples, sets, keys that are not text), APPS
problems tested by function calls. A tuple as a result becomes a JSON list, so a list
is accepted in its place.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlef.errors import DataError
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


class _Inexpressible(Exception):
    """A test that is not a pair of JSON input and JSON output."""


def import_humaneval(path: Path) -> tuple[list[Problem], list[Skipped]]:
    """HumanEval: docstring examples are public, the other asserts private.

    Without a readable example the first assert is public. Raises ``DataError`` for a file
    that is not HumanEval.
    """
    problems, skipped = [], []
    for where, row in _rows(path, ("task_id", "prompt", "entry_point", "canonical_solution", "test")):
        name, problem_id = str(row["entry_point"]), str(row["task_id"]).lower()
        try:
            tests = _check_function(str(row["test"]), where)
            examples, lost = _examples(str(row["prompt"]), name, tests)
            public, private = _share_out(examples, tests)
        except _Inexpressible as reason:
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
            if str(row["test_setup_code"]).strip():
                raise _Inexpressible("the tests need set-up code")
            asserts = _texts(row, "test_list", where) + _texts(row, "challenge_test_list", where)
            name, tests = _mbpp_tests(asserts)
            public, private = _share_out({}, tests)
        except _Inexpressible as reason:
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
                solutions=(Solution(code=str(row["code"]).replace("\r\n", "\n"), note="reference"),),
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
                raise _Inexpressible("the same id stands in an earlier row")
            problems[problem_id] = _apps_problem(problem_id, row, where)
        except _Inexpressible as reason:
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
        raise _Inexpressible("tested by function calls whose arguments are plain text")
    if _MANY_ANSWERS.search(str(row["description"])):
        raise _Inexpressible("the statement allows several answers, the tests know one")
    public = _apps_tests(row, "sample_io", where)
    private = {text: out for text, out in _apps_tests(row, "test_list", where).items() if text not in public}
    if not public or not private:
        raise _Inexpressible(f"no {'private' if public else 'public'} tests")
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


def _mbpp_tests(asserts: list[str]) -> tuple[str, dict[str, str]]:
    """Function name and tests; all asserts must call the same function."""
    names, tests = set(), {}
    for text in asserts:
        body = _parse(text).body
        if len(body) != 1 or not isinstance(body[0], ast.Assert):
            raise _Inexpressible(f"not a single assert: {_short(text)}")
        name, arguments, output = _pair(body[0].test)
        names.add(name)
        tests[arguments] = output
    if len(names) != 1:
        raise _Inexpressible("the asserts call no function, or several")
    return names.pop(), tests


def _check_function(source: str, where: str) -> dict[str, str]:
    """Tests in HumanEval's ``check(candidate)``: JSON arguments to JSON result."""
    functions = [n for n in _parse(source).body if isinstance(n, ast.FunctionDef) and n.name == "check"]
    if len(functions) != 1:
        raise DataError(f"{where}: test must define check(candidate)")
    tests = {}
    for node in functions[0].body:
        if isinstance(node, ast.Import | ast.ImportFrom) or _says_nothing(node):
            continue
        if not isinstance(node, ast.Assert):
            raise _Inexpressible(f"not an assert: {_short(ast.unparse(node))}")
        _, arguments, output = _pair(node.test)
        tests[arguments] = output
    return tests


def _says_nothing(node: ast.stmt) -> bool:
    """Docstrings and ``assert True``."""
    value = node.test if isinstance(node, ast.Assert) else node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and bool(value.value)


def _pair(test: ast.expr) -> tuple[str, str, str]:
    """Function name, JSON arguments and JSON result of ``name(arguments) == literal``."""
    match test:
        case ast.Compare(
            left=ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]),
            ops=[ast.Eq() | ast.Is()],
            comparators=[result],
        ):
            values = [_literal(argument) for argument in arguments]
            return name, _json(values, tuples=False), _json(_literal(result), tuples=True)
    raise _Inexpressible(f"not a call compared with a literal: {_short(ast.unparse(test))}")


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise _Inexpressible(f"not a literal: {_short(ast.unparse(node))}") from None


def _json(value: Any, *, tuples: bool) -> str:
    """JSON of a Python literal. ``tuples`` lets them become lists."""
    return json.dumps(_jsonable(value, tuples=tuples), ensure_ascii=False, allow_nan=False)


def _jsonable(value: Any, *, tuples: bool) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return value
    if isinstance(value, list) or (tuples and isinstance(value, tuple)):
        return [_jsonable(item, tuples=tuples) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _jsonable(item, tuples=tuples) for key, item in value.items()}
    raise _Inexpressible(f"JSON has no form for {_short(repr(value))}")


_ARROW = re.compile(r"\s*(?:==>|==|=>|=|➞|->|→|returns?:?|should return|should be)\s*(.+)")


def _examples(prompt: str, name: str, tests: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Docstring examples that can be read and do not contradict the asserts; the others' texts."""
    examples: dict[str, str] = {}
    lost = []
    for call, result in _calls(prompt, name):
        text = f"{call} gives {result}"
        try:
            _, arguments, output = _pair(_parse(f"{call} == ({result})", mode="eval").body)
        except _Inexpressible as reason:
            lost.append(f"example {_short(text)}: {reason}")
            continue
        if tests.get(arguments, output) != output:
            lost.append(f"example {_short(text)} contradicts the asserts")
        else:
            examples[arguments] = output
    return examples, lost


def _calls(prompt: str, name: str) -> Iterator[tuple[str, str]]:
    """``name(…)`` and the text of its result: doctest style, or after an arrow on the same line."""
    lines = prompt.split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        start = line.find(f"{name}(")
        if start < 0 or line.lstrip().startswith("def "):
            continue
        end = _call_end(line, start)
        if end is None:
            continue
        arrow = _ARROW.match(line, end)
        if arrow:
            yield line[start:end], arrow[1].split(" #")[0].rstrip(" .")
        elif line.lstrip().startswith(f">>> {name}(") and not line[end:].strip() and following.strip():
            yield line[start:end], following.strip()


def _call_end(line: str, start: int) -> int | None:
    """Where the call that begins at ``start`` ends: the first ``)`` that makes it parse."""
    for end in (i + 1 for i in range(start, len(line)) if line[i] == ")"):
        try:
            ast.parse(line[start:end], mode="eval")
        except (SyntaxError, ValueError):
            continue
        return end
    return None


def _share_out(
    examples: dict[str, str], tests: dict[str, str]
) -> tuple[tuple[TestCase, ...], tuple[TestCase, ...]]:
    """Public and private tests with disjoint inputs and at least one of each."""
    if len({**examples, **tests}) < 2:
        raise _Inexpressible("fewer than two different tests")
    public = dict(examples) or dict(list(tests.items())[:1])
    private = {text: output for text, output in tests.items() if text not in public}
    if not private:
        # All asserts stand in the docstring: the last one judges.
        text = list(public)[-1]
        private = {text: public.pop(text)}
    return _tests(public), _tests(private)


def _tests(pairs: dict[str, str]) -> tuple[TestCase, ...]:
    return tuple(TestCase(input=text, output=output) for text, output in pairs.items())


def _parse(source: str, mode: str = "exec") -> Any:
    try:
        return ast.parse(source, mode=mode)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _Inexpressible(f"not readable as Python: {_short(source)}") from None


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


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."
