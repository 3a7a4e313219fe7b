"""Asserts and docstring examples read as pairs of JSON arguments and JSON result.

They are parsed as literals only, never executed. A tuple as a result becomes a JSON list; what
has no form in JSON raises ``Inexpressible`` with the reason.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from rlef.errors import DataError


class Inexpressible(Exception):
    """A test that is not a pair of JSON input and JSON output."""


def asserted_tests(asserts: list[str]) -> tuple[str, dict[str, str]]:
    """Function name and tests; all asserts must call the same function."""
    names, tests = set(), {}
    for text in asserts:
        body = _parse(text).body
        if len(body) != 1 or not isinstance(body[0], ast.Assert):
            raise Inexpressible(f"not a single assert: {_short(text)}")
        name, arguments, output = _pair(body[0].test)
        names.add(name)
        tests[arguments] = output
    if len(names) != 1:
        raise Inexpressible("the asserts call no function, or several")
    return names.pop(), tests


def checked_tests(source: str, where: str) -> dict[str, str]:
    """Tests in HumanEval's ``check(candidate)``: JSON arguments to JSON result."""
    functions = [n for n in _parse(source).body if isinstance(n, ast.FunctionDef) and n.name == "check"]
    if len(functions) != 1:
        raise DataError(f"{where}: test must define check(candidate)")
    tests = {}
    for node in functions[0].body:
        if isinstance(node, ast.Import | ast.ImportFrom) or _says_nothing(node):
            continue
        if not isinstance(node, ast.Assert):
            raise Inexpressible(f"not an assert: {_short(ast.unparse(node))}")
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
    raise Inexpressible(f"not a call compared with a literal: {_short(ast.unparse(test))}")


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise Inexpressible(f"not a literal: {_short(ast.unparse(node))}") from None


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
    raise Inexpressible(f"JSON has no form for {_short(repr(value))}")


_ARROW = re.compile(r"\s*(?:==>|==|=>|=|➞|->|→|returns?:?|should return|should be)\s*(.+)")


def docstring_examples(prompt: str, name: str, tests: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Docstring examples that can be read and do not contradict the asserts; the others' texts."""
    examples: dict[str, str] = {}
    lost = []
    for call, result in _calls(prompt, name):
        text = f"{call} gives {result}"
        try:
            _, arguments, output = _pair(_parse(f"{call} == ({result})", mode="eval").body)
        except Inexpressible as reason:
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


def _parse(source: str, mode: str = "exec") -> Any:
    try:
        return ast.parse(source, mode=mode)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Inexpressible(f"not readable as Python: {_short(source)}") from None


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."
