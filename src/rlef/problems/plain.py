r"""Plain data as text: JSON, and tags for what Python has and JSON has not.

| text                                   | value                                              |
|----------------------------------------|----------------------------------------------------|
| `{"$tuple": [1, 2]}`                   | `(1, 2)`                                           |
| `{"$set": [1, 2]}`, `{"$frozenset": []}` | `{1, 2}`, `frozenset()`                          |
| `{"$dict": [[1, "a"]]}`                | `{1: "a"}`; also `{"$a": 1}`, whose one key looks like a tag |
| `{"$float": "nan"}`, `"inf"`, `"-inf"` | floats that are no JSON numbers                    |
| `{"$complex": [0.0, 1.0]}`             | `1j`                                               |
| `{"$bytes": "00ff"}`                   | `b"\x00\xff"`                                        |
| `{"$int": "-ff..."}`                   | a whole number too long for decimal digits, in hex |

An object with exactly one key, which begins with `$`, is a tag; an unknown one is refused. All
other JSON means what it always did.

``parse`` reads what a hostile program wrote. It makes no set and no dictionary with keys other
than text: numbers with the same hash would make those take quadratic time. `Set` and `Pairs`
stand in their place.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NoReturn

DEPTH = 100
"""Most levels that tagged data may be nested."""


class NotPlain(ValueError):
    """A text that is no plain data, or a value that has no such text."""


@dataclass(frozen=True, slots=True)
class Set:
    """A set, as its items and as its sorted ``keys`` (`key_of`), which are equal if the sets are."""

    items: tuple[Any, ...]
    keys: tuple[str, ...]
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Pairs:
    """A dictionary with keys other than text: its items by the texts that stand for its keys."""

    by_key: dict[str, tuple[Any, Any]]


def parse(text: str | bytes) -> Any:
    """Read plain data from one strict text.

    Gives ``None``, ``bool``, ``int``, ``float``, ``complex``, ``str``, ``bytes``, ``list``, ``tuple``,
    ``dict`` with texts as keys, `Set` and `Pairs`. Raises ``NotPlain``, also for hostile nesting.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        tagged = "$" in text or "\\u0024" in text
        return (_TAGGED if tagged else _PLAIN).decode(text)
    except RecursionError:
        raise NotPlain("nested too deeply") from None
    except ValueError as error:
        raise NotPlain(str(error)) from None


def dumps(value: Any) -> str:
    """The text of a value made of Python's own plain types. Raises ``NotPlain`` for all others."""
    return json.dumps(_encoded(value, DEPTH), ensure_ascii=False, allow_nan=False)


def shown(value: Any) -> str:
    """A parsed value as Python writes it. Raises ``NotPlain`` if it is nested deeply."""
    return _shown(value, DEPTH)


def set_of(items: Iterable[Any]) -> Set:
    """The set of parsed values. Raises ``NotPlain`` for one that no set can hold."""
    found = {key_of(item): item for item in items}
    return Set(tuple(found.values()), tuple(sorted(found)))


def key_of(value: Any, depth: int = DEPTH) -> str:
    """A text for a parsed value that can be a key: the same for two that are equal, bools apart."""
    if depth < 0:
        raise NotPlain("nested too deeply")
    if isinstance(value, complex) and not value.imag:
        value = value.real
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or isinstance(value, bool | float | complex):
        return repr(value)
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, str | bytes):
        return ascii(value)
    if isinstance(value, tuple):
        return f"({','.join(key_of(item, depth - 1) for item in value)})"
    if isinstance(value, Set) and value.frozen:
        return f"{{{','.join(value.keys)}}}"
    raise NotPlain(f"neither a key nor in a set: {type(value).__name__}")


# -- reading


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> Any:
    if len(pairs) == 1 and pairs[0][0].startswith("$"):
        tag, content = pairs[0]
        if tag not in _READERS:
            raise NotPlain(f"unknown tag {tag[:20]!r}")
        return _READERS[tag](content)
    value = dict(pairs)
    if len(value) < len(pairs):
        raise NotPlain("an object holds a key twice")
    return value


_PLAIN = json.JSONDecoder(parse_constant=_refuse)
_TAGGED = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_object)
_HEX = re.compile(r"-?[0-9a-f]+")
_BYTES = re.compile(r"(?:[0-9a-f]{2})*")


def _list(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise NotPlain("a tag's content must be a list")
    return content


def _set(content: Any, frozen: bool) -> Set:
    items = tuple(_list(content))
    keys = sorted(key_of(item) for item in items)
    if any(left == right for left, right in pairwise(keys)):
        raise NotPlain("a set holds an item twice")
    return Set(items, tuple(keys), frozen)


def _dict(content: Any) -> dict[str, Any] | Pairs:
    rows = _list(content)
    if not all(isinstance(row, list) and len(row) == 2 for row in rows):
        raise NotPlain("$dict must hold pairs")
    texts = all(isinstance(key, str) for key, _ in rows)
    found: dict[str, Any] = dict(rows) if texts else {key_of(k): (k, value) for k, value in rows}
    if len(found) < len(rows):
        raise NotPlain("$dict holds a key twice")
    return found if texts else Pairs(found)


def _float(content: Any) -> float:
    if content not in ("nan", "inf", "-inf"):
        raise NotPlain("$float must be nan, inf or -inf")
    return float(content)


def _complex(content: Any) -> complex:
    parts = _list(content)
    if len(parts) != 2 or not all(isinstance(part, float) for part in parts):
        raise NotPlain("$complex must hold two floats")
    return complex(*parts)


def _text(content: Any, form: re.Pattern[str], tag: str) -> str:
    if not isinstance(content, str) or not form.fullmatch(content):
        raise NotPlain(f"{tag} must be hexadecimal digits")
    return content


_READERS: dict[str, Callable[[Any], Any]] = {
    "$tuple": lambda content: tuple(_list(content)),
    "$set": lambda content: _set(content, frozen=False),
    "$frozenset": lambda content: _set(content, frozen=True),
    "$dict": _dict,
    "$float": _float,
    "$complex": _complex,
    "$bytes": lambda content: bytes.fromhex(_text(content, _BYTES, "$bytes")),
    "$int": lambda content: int(_text(content, _HEX, "$int"), 16),
}


# -- writing


def _encoded(value: Any, depth: int) -> Any:
    """``value`` as data that ``json`` writes."""
    if depth < 0:
        raise NotPlain("nested too deeply")
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return _int(value)
    if kind is float:
        return value if math.isfinite(value) else {"$float": str(value)}
    if kind is complex:
        return {"$complex": [_encoded(part, depth - 1) for part in (value.real, value.imag)]}
    if kind is bytes:
        return {"$bytes": value.hex()}
    if kind is dict:
        rows = [[_encoded(key, depth - 1), _encoded(item, depth - 1)] for key, item in value.items()]
        alone = len(rows) == 1 and str(rows[0][0]).startswith("$")
        return {"$dict": rows} if alone or any(type(key) is not str for key in value) else dict(rows)
    if kind in (list, tuple, set, frozenset):
        items = [_encoded(item, depth - 1) for item in value]
        if kind in (set, frozenset):
            items = _sorted(items)
        return items if kind is list else {f"${kind.__name__}": items}
    raise NotPlain(f"not plain data: {kind.__name__}")


def _int(value: int) -> Any:
    try:
        str(value)
    except ValueError:
        return {"$int": f"{value:x}"}
    return value


def _sorted(items: list[Any]) -> list[Any]:
    """By value, or by text where values have no order."""
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=json.dumps)


def _shown(value: Any, depth: int) -> str:
    if depth < 0:
        raise NotPlain("nested too deeply")
    if isinstance(value, list):
        return f"[{_joined(value, depth)}]"
    if isinstance(value, tuple):
        return f"({_joined(value, depth)}{',' * (len(value) == 1)})"
    if isinstance(value, Set):
        inner = f"{{{_joined(value.items, depth)}}}" if value.items else ""
        return f"frozenset({inner})" if value.frozen else inner or "set()"
    if isinstance(value, dict | Pairs):
        rows = value.items() if isinstance(value, dict) else value.by_key.values()
        return f"{{{', '.join(f'{_shown(k, depth - 1)}: {_shown(v, depth - 1)}' for k, v in rows)}}}"
    try:
        return repr(value)
    except ValueError:  # too long for decimal digits
        return hex(value)


def _joined(items: Iterable[Any], depth: int) -> str:
    return ", ".join(_shown(item, depth - 1) for item in items)
