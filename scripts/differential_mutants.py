"""Mutants: known programs with one to three small mistakes put in.

Each mistake changes operators, constants or the order of statements, or takes something away; none
adds a name that was not there. So a mutant can compute something else, crash or loop, and no
more than that; `differential_plain.refusal` is asked about each all the same.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

_BINARY = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.Div, ast.BitXor, ast.BitAnd, ast.BitOr)
"""No power and no shift: a mistake of these makes numbers of megabytes."""
_COMPARE = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is)

Site = Callable[[Random], None]
"""Puts one mistake into a tree."""


def mutate(source: str, random: Random) -> str | None:
    """A mutant of ``source``; None if there is nothing to change or nothing came of it."""
    if random.random() < 0.1:
        return _scratch(source, random)
    try:
        original = ast.parse(source)
    except SyntaxError:
        return None
    tree = copy.deepcopy(original)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        sites = list(_sites(tree))
        if not sites:
            return None
        random.choice(sites)(random)
    mutant = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    return None if mutant == ast.unparse(original) + "\n" else mutant


def _scratch(source: str, random: Random) -> str:
    """A slip of the keyboard: a character or a line lost or doubled. Most don't compile."""
    if random.random() < 0.5:
        at = random.randrange(len(source))
        return source[:at] + source[at] * random.choice((0, 2)) + source[at + 1 :]
    lines = source.splitlines(keepends=True)
    at = random.randrange(len(lines))
    return "".join([*lines[:at], *lines[at : at + 1] * random.choice((0, 2)), *lines[at + 1 :]])


def _sites(tree: ast.AST) -> Iterator[Site]:
    for node in ast.walk(tree):
        for kind, mistake in _MISTAKES.items():
            if isinstance(node, kind):
                yield lambda random, node=node, mistake=mistake: mistake(node, random)
        for body in _bodies(node):
            yield lambda random, body=body: _disturb(body, random)


def _bodies(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, None)
        if isinstance(body, list) and body:
            yield body


def _disturb(body: list[ast.stmt], random: Random) -> None:
    """Lose a statement, or swap two neighbours, or do one twice."""
    at = random.randrange(len(body))
    way = random.randrange(3)
    if way == 0:
        body[at] = ast.Pass()
    elif way == 1 and at + 1 < len(body):
        body[at], body[at + 1] = body[at + 1], body[at]
    else:
        body.insert(at, copy.deepcopy(body[at]))


def _other(value: object, random: Random) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((value + 1, value - 1, -value, 0, float(value) if abs(value) < 2**53 else 0))
    if isinstance(value, float):
        return random.choice((value + 1, -value, 0.0, value / 3))
    if isinstance(value, str):
        return random.choice(
            (value + " ", value[1:], value.upper(), value + value, "", value + "\u00e9\u20ac")
        )
    return value


def _operator(node: ast.BinOp | ast.AugAssign, random: Random) -> None:
    if isinstance(node.op, _BINARY):
        node.op = random.choice(_BINARY)()


def _junction(node: ast.BoolOp, random: Random) -> None:
    node.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()


def _comparison(node: ast.Compare, random: Random) -> None:
    node.ops[0] = random.choice(_COMPARE)()


def _constant(node: ast.Constant, random: Random) -> None:
    node.value = _other(node.value, random)


def _condition(node: ast.If | ast.While | ast.IfExp, random: Random) -> None:
    node.test = ast.UnaryOp(ast.Not(), node.test)


def _arguments(node: ast.Call, random: Random) -> None:
    random.shuffle(node.args)


def _result(node: ast.Return, random: Random) -> None:
    node.value = None


def _slice(node: ast.Slice, random: Random) -> None:
    setattr(node, random.choice(("lower", "upper", "step")), None)


_MISTAKES: dict[Any, Callable[[Any, Random], None]] = {
    ast.BinOp: _operator,
    ast.AugAssign: _operator,
    ast.BoolOp: _junction,
    ast.Compare: _comparison,
    ast.Constant: _constant,
    ast.If: _condition,
    ast.While: _condition,
    ast.IfExp: _condition,
    ast.Call: _arguments,
    ast.Return: _result,
    ast.Slice: _slice,
}
