"""The value of an expression that holds constants alone, worked out without executing anything.

Literals, arithmetic on them (``3 * 19``, ``'a' + 'b'``) and a few constructors
(``tuple([1])``, ``float('inf')``), as the data sets' tests use them. Sizes are limited.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

_BIGGEST = 100_000
"""Most items, characters and bits of what a repetition or a power makes."""
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
_CALLS: dict[str, Callable[..., Any]] = {
    "set": set,
    "frozenset": frozenset,
    "tuple": tuple,
    "list": list,
    "dict": dict,
    "sorted": sorted,
    "float": float,
    "int": int,
    "len": len,
}


def value_of(node: ast.expr) -> Any:
    """The value. Raises ``ValueError`` if there is more in ``node`` than constants."""
    try:
        return _value(node)
    except (TypeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ValueError(str(error)) from None


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value) if value is not Ellipsis:
            return value
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {_value(key): _value(item) for key, item in zip(keys, values, strict=True) if key}
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _binary(type(op), _value(left), _value(right))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _CALLS:
            return _CALLS[name](*(_value(argument) for argument in arguments))
    raise ValueError("not a constant")


def _binary(op: type[ast.operator], left: Any, right: Any) -> Any:
    if op is ast.Mod and isinstance(left, str | bytes):
        raise ValueError("formatting is not arithmetic")
    if op is ast.Mult:
        for one, other in ((left, right), (right, left)):
            times = other if isinstance(other, int) and not isinstance(one, int) else 1
            _limit(_size(one) * abs(times))
    if op is ast.Pow and isinstance(left, int) and isinstance(right, int):
        _limit(left.bit_length() * abs(right))
    return _BINARY[op](left, right)


def _size(value: Any) -> int:
    """How many items, characters and bits of whole numbers, inner ones too."""
    if isinstance(value, int):
        return value.bit_length()
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return 1 + sum(_size(key) + _size(item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return 1 + sum(map(_size, value))
    return 1


def _limit(size: int) -> None:
    if size > _BIGGEST:
        raise ValueError("too large")
