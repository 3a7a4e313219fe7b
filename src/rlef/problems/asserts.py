"""Asserts and docstring examples read as tests: arguments and results as plain data.

They are parsed and, where they are constant, worked out (`problems.literals`), never executed. An
assertion about one call becomes a test whose value the judge checks, if it is one of
`problems.checks`. Any other becomes a test of check ``code``: a program that runs beside the
candidate. What can't even be that raises ``Inexpressible`` with the reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from rlef.errors import DataError
from rlef.problems import plain
from rlef.problems.checks import CODE, CONVERSIONS
from rlef.problems.literals import value_of
from rlef.problems.types import TestCase


class Inexpressible(Exception):
    """A text that is no test."""


Tests = dict[tuple[str, str], TestCase]
"""Tests by their input and check; of two with the same the later counts."""


def asserted_tests(asserts: Sequence[str], setup: str, reference: str) -> tuple[str, Tests]:
    """Function name and tests; all asserts must call the same function.

    ``setup`` is code that stands before each assert. Where a call can't be told by its form, the
    function is the one that ``reference`` defines.
    """
    names: set[str] = set()
    tests: Tests = {}
    for text in asserts:
        body = _parse(text).body
        if len(body) != 1 or not isinstance(body[0], ast.Assert):
            raise Inexpressible(f"not a single assert: {_short(text)}")
        try:
            if setup.strip():
                raise Inexpressible("the test needs set-up code")
            name, test = _rewritten(body[0].test)
            names.add(name)
        except Inexpressible:
            names |= _called(body[0]) & _defined(reference)
            test = TestCase(input=f"{setup.rstrip()}\n{text.strip()}\n".lstrip("\n"), output="", check=CODE)
        tests[test.input, test.check] = test
    if len(names) != 1:
        raise Inexpressible("the asserts call no function, or several")
    return names.pop(), tests


def checked_tests(source: str, name: str, prompt: str, where: str) -> Tests:
    """Tests in HumanEval's ``check(candidate)``.

    All that is left of it when the tests that can be said as data are taken out is one more test, of
    check ``code``. It brings the helpers that stand in ``prompt`` beside the function ``name``.
    """
    body = _parse(source).body
    functions = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    if len(functions) != 1:
        raise DataError(f"{where}: test must define check(candidate)")
    tests: Tests = {}
    left: list[ast.stmt] = []
    for node in functions[0].body:
        if _says_nothing(node):
            continue
        try:
            if not isinstance(node, ast.Assert):
                raise Inexpressible("not an assert")
            called, test = _rewritten(node.test)
            if called not in ("candidate", name):
                raise Inexpressible("not about the candidate")
            tests[test.input, test.check] = test
        except Inexpressible:
            left.append(node)
    if any(isinstance(inner, ast.Assert) for node in left for inner in ast.walk(node)):
        functions[0].body = left
        helpers = [node for node in _parse(prompt).body if getattr(node, "name", "") != name]
        lines = [ast.unparse(node) for node in (*helpers, *body)]
        code = "\n".join([*lines, f"check({name})\n"])
        tests[code, CODE] = TestCase(input=code, output="", check=CODE)
    return tests


def _says_nothing(node: ast.stmt) -> bool:
    """Docstrings, bare names and ``assert True``."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant | ast.Name)
    return isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant) and bool(node.test.value)


def _called(node: ast.AST) -> set[str]:
    calls = (inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return {function.id for function in calls if isinstance(function, ast.Name)}


def _defined(source: str) -> set[str]:
    return {node.name for node in _parse(source).body if isinstance(node, ast.FunctionDef)}


# -- one assertion


def _rewritten(test: ast.expr) -> tuple[str, TestCase]:
    """Function name and test of an assertion about one call."""
    match test:
        case ast.Call(func=ast.Attribute(attr="isclose") | ast.Name(id="isclose")):
            return _isclose(test)
        case ast.Call():
            return _test(test, "bool", True)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Call() as call):
            return _test(call, "bool", False)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _compared(left, op, right)
    raise Inexpressible(f"not a call compared with a constant: {_short(ast.unparse(test))}")


def _compared(left: ast.expr, op: ast.cmpop, right: ast.expr) -> tuple[str, TestCase]:
    match op, left, right:
        case ((ast.Eq() | ast.Is()), _, _):
            swapped = isinstance(right, ast.Call) and not isinstance(left, ast.Call)
            return _viewed(right, _constant(left)) if swapped else _viewed(left, _constant(right))
        case ast.In(), _, ast.List(elts=[first, *rest]) | ast.Tuple(elts=[first, *rest]):
            name, test = _viewed(left, _constant(first))
            return name, replace(test, also=tuple(_text(_constant(item)) for item in rest))
        case (
            ast.Lt() | ast.LtE(),
            ast.Call(func=ast.Name(id="abs") | ast.Attribute(attr="fabs"), args=[ast.BinOp() as term]),
            _,
        ) if isinstance(term.op, ast.Sub):
            check = f"{'below' if isinstance(op, ast.Lt) else 'within'}:{_number(right)!r}"
            return _distance(term.left, term.right, check)
    raise Inexpressible("not a comparison with a constant")


def _viewed(node: ast.expr, value: Any) -> tuple[str, TestCase]:
    """The test that a view of a call, such as ``sorted(f(x))``, equals ``value``."""
    match node:
        case ast.Call(func=ast.Name(id=view), args=[ast.Call() as call], keywords=[]) if view in CONVERSIONS:
            return _test(call, view, value)
        case ast.Call(
            func=ast.Name(id="round"), args=[ast.Call() as call, ast.Constant(value=int(digits))], keywords=[]
        ):
            return _test(call, f"round:{digits}", value)
    return _test(node, "equal", value)


def _isclose(node: ast.Call) -> tuple[str, TestCase]:
    tolerances = {"rel_tol": 1e-09, "abs_tol": 0.0}
    for keyword in node.keywords:
        if keyword.arg not in tolerances:
            raise Inexpressible("isclose with an unknown tolerance")
        tolerances[keyword.arg] = _number(keyword.value)
    if len(node.args) != 2:
        raise Inexpressible("isclose without two values")
    check = f"isclose:{tolerances['rel_tol']!r}:{tolerances['abs_tol']!r}"
    left, right = node.args
    return _distance(left, right, check)


def _distance(left: ast.expr, right: ast.expr, check: str) -> tuple[str, TestCase]:
    swapped = isinstance(right, ast.Call)
    return _test(right, check, _number(left)) if swapped else _test(left, check, _number(right))


def _test(node: ast.expr, check: str, value: Any) -> tuple[str, TestCase]:
    match node:
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            given = [_constant(argument) for argument in arguments]
            return name, TestCase(input=_text(given), output=_text(value), check=check)
    raise Inexpressible(f"not a call: {_short(ast.unparse(node))}")


def _constant(node: ast.expr) -> Any:
    try:
        return value_of(node)
    except ValueError:
        raise Inexpressible(f"not a constant: {_short(ast.unparse(node))}") from None


def _number(node: ast.expr) -> float:
    value = _constant(node)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Inexpressible(f"not a number: {_short(ast.unparse(node))}")
    return value


def _text(value: Any) -> str:
    try:
        return plain.dumps(value)
    except plain.NotPlain as reason:
        raise Inexpressible(str(reason)) from None


# -- examples in docstrings

_ARROW = re.compile(r"\s*(?:==>|==|=>|=|➞|->|→|returns?:?|should return|should be)\s*(.+)")


def docstring_examples(prompt: str, name: str, tests: Tests) -> tuple[Tests, list[str]]:
    """Docstring examples that can be read and do not contradict the asserts; the others' texts."""
    examples: Tests = {}
    lost = []
    for call, result in _calls(prompt, name):
        text = f"{call} gives {result}"
        try:
            called, test = _rewritten(_parse(f"({call}\n) == ({result}\n)", mode="eval").body)
            if called != name:
                raise Inexpressible(f"it calls {called}")
        except Inexpressible as reason:
            lost.append(f"example {_short(text)}: {reason}")
            continue
        key = (test.input, test.check)
        if tests.get(key, test).output != test.output:
            lost.append(f"example {_short(text)} contradicts the asserts")
        else:
            examples[key] = test
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
        elif line.lstrip().startswith(">>> ") and following.strip() not in ("", '"""', "'''"):
            yield line.lstrip()[4:].strip(), following.strip()


_LONGEST_CALL = 1000
"""Most characters of a call in an example: each ``)`` of it may be tried."""


def _call_end(line: str, start: int) -> int | None:
    """Where the call that begins at ``start`` ends: the first ``)`` that makes it parse."""
    call = line[start : start + _LONGEST_CALL]
    for end in (at for at, character in enumerate(call, 1) if character == ")"):
        try:
            _parse(call[:end], mode="eval")
        except Inexpressible:
            continue
        return start + end
    return None


def _parse(source: str, mode: str = "exec") -> Any:
    try:
        return ast.parse(source, mode=mode)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Inexpressible(f"not readable as Python: {_short(source)}") from None


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."
