"""Many calls of one function in one test process, and their results on a private channel.

Inward comes a memory file: the name of the function (none if the texts are code to execute), then a
list of arguments for each call, as plain data (`problems.plain`); each text has its length before it.
Outward goes another one: a record for each call that returned, its length and the value as plain
data. All other endings of a call are endings of the process: an exception ends it as it ends a
program, with its stack on stderr and the records before it in place.

A program that may keep state between calls (``state.py``) gets the first call only, and its parent
is told so through the shared page, before a line of the program has run.

Whatever is used here once the program runs is held by this module: a program that puts its own
``len`` into ``builtins`` deceives itself alone.
"""

from __future__ import annotations

import builtins
import json
import mmap
import os
import struct
import time
from collections.abc import Iterable
from typing import Any, NoReturn

from . import program, state

# The functions below get builtins of their own: the program may change those that it finds.
globals()["__builtins__"] = dict(vars(builtins))
TEST_NAME = "test.py"
"""What code that tests is called in a stack."""
_DEPTH = 100
_LENGTH = struct.Struct("<I")
_SCALARS = frozenset((int, str, bool, float, type(None)))
_TEXT = frozenset((str,))
_get_list, _get_tuple = list.__getitem__, tuple.__getitem__
# In C, so without a builtin that the program may have changed.
_scan = vars(json.JSONDecoder())["scan_once"]
_encode = vars(json.encoder)["c_make_encoder"](
    None, None, json.encoder.encode_basestring_ascii, None, ": ", ", ", False, False, False
)  # fmt: skip
_write = os.write
_now = time.perf_counter
_HERE = (lambda: None).__code__.co_filename
_OUT, _IN = 3, 4
_SLICE_S = 0.05
"""Longest that a process goes on to another call. It bounds what is done in vain when nobody wants the
rest, and keeps calls out of each other's CPU limit."""


def run(limits: Any, fds: tuple[int, ...], source: bytes, code: Any, page: mmap.mmap) -> NoReturn:
    """Turn the process just forked into a test that calls a function of the program."""
    program.seal(limits, fds, fds[4], fds[3])
    if code is None:
        code = program.compile_or_refuse(source, page)
    stage = program.RUNNING
    function, at = _one(0)
    text, at = _one(at)
    texts, left = [text], os.fstat(_IN).st_size - at
    if left:
        if state.keeps_state(source, function):
            stage = program.ALONE  # and what the other calls are given stays unread
        else:
            texts += _all_of(os.pread(_IN, left, at))
    os.close(_IN)
    program.let_go(page, stage)
    status = 0
    try:
        exec(code, program.scope)
        if function:
            _call_all(_found(program.scope, function), texts)
        else:
            _test_all(program.scope, texts)
    except BaseException as error:
        status = program.failed(error, own=_own_frames(error))
    program.finish(status)


def _own_frames(error: BaseException) -> int:
    """How many frames at the bottom of the stack are ours."""
    count, frame = 0, error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename == _HERE:
        count, frame = count + 1, frame.tb_next
    return count


def _one(at: int) -> tuple[str, int]:
    """The text at a place of what came inward, and the place after it."""
    (size,) = _LENGTH.unpack(os.pread(_IN, _LENGTH.size, at))
    at += _LENGTH.size
    return os.pread(_IN, size, at).decode("utf-8", "surrogatepass"), at + size


def _all_of(data: bytes) -> list[str]:
    texts = []
    at = 0
    while at < len(data):
        (size,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        texts.append(data[at : at + size].decode("utf-8", "surrogatepass"))
        at += size
    return texts


def _found(scope: dict[str, Any], name: str) -> Any:
    """The function, or a maker of bound methods: each call gets a ``Solution`` of its own."""
    if name in scope:
        return scope[name]
    if "Solution" in scope:
        solution = scope["Solution"]
        return lambda *arguments: getattr(solution(), name)(*arguments)
    raise NameError(f"the program defines no function {name!r}")


def _call_all(function: Any, texts: list[str]) -> None:
    """Call until the time is up; who reads the records goes on with another process."""
    end = _now() + _SLICE_S
    for text in texts:
        _record(encode(function(*decode(text))))
        if _now() > end:
            break


def _test_all(scope: dict[str, Any], texts: list[str]) -> None:
    """Execute code that tests; an assertion of its own that fails is the answer "false"."""
    for text in texts:
        code = compile(text, TEST_NAME, "exec", dont_inherit=True)
        try:
            exec(code, scope)
        except AssertionError as error:
            frames = error.__traceback__
            while frames is not None and frames.tb_next is not None:
                frames = frames.tb_next
            if frames is None or frames.tb_frame.f_code.co_filename != TEST_NAME:
                raise
            _record(b"false")
        else:
            _record(b"true")


def _record(data: bytes) -> None:
    whole = _LENGTH.pack(len(data)) + data
    if _write(_OUT, whole) != len(whole):
        os._exit(1)  # the file is full, and so its size says what happened


# -- plain data


def decode(text: str) -> Any:
    """The value that a text of plain data stands for. The text is the judge's, so not hostile."""
    tagged = "$" in text or "\\u0024" in text
    value, _ = _scan(text.strip(), 0)
    return _untagged(value) if tagged else value


def _untagged(value: Any) -> Any:
    if type(value) is list:
        return [_untagged(item) for item in value]
    if type(value) is not dict:
        return value
    if len(value) == 1:
        tag, content = next(iter(value.items()))
        if tag[:1] == "$":
            return _MAKERS[tag](content)
    return {key: _untagged(item) for key, item in value.items()}


_MAKERS: dict[str, Any] = {
    "$tuple": lambda content: tuple(map(_untagged, content)),
    "$set": lambda content: set(map(_untagged, content)),
    "$frozenset": lambda content: frozenset(map(_untagged, content)),
    "$dict": lambda content: {_untagged(key): _untagged(item) for key, item in content},
    "$float": float,
    "$complex": lambda content: complex(*map(_untagged, content)),
    "$bytes": bytes.fromhex,
    "$int": lambda content: int(content, 16),
}


def encode(value: Any) -> bytes:
    """The text of a result. Raises ``TypeError`` if it is not plain data.

    Objects of subclasses are taken for what they hold; none of their own methods is called.
    """
    try:
        if _is_json(value, _DEPTH):
            return _write_json(value).encode("ascii")
    except ValueError:
        pass  # a number that JSON has no form for
    return _write_json(_tagged(value, _DEPTH)).encode("ascii")


def _write_json(value: Any) -> str:
    """JSON of values of Python's own types. Raises ``ValueError`` for numbers that have no form there."""
    return "".join(_encode(value, 0))


def _is_json(value: Any, depth: int) -> bool:
    """True if ``value`` is JSON as it stands. Scalars are looked at many at a time."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is list:
        items = value
    elif kind is dict:
        if not set(map(type, value)) <= _TEXT or (len(value) == 1 and next(iter(value))[:1] == "$"):
            return False
        items = value.values()
    else:
        return False
    if set(map(type, items)) <= _SCALARS:
        return True
    return depth > 0 and all(_is_json(item, depth - 1) for item in items)


def _tagged(value: Any, depth: int) -> Any:
    if value is None:
        return None
    if depth < 0:
        raise _refused("a value that is nested too deeply or contains itself, so it")
    kinds = type.__dict__["__mro__"].__get__(type(value))
    for kind, write in _WRITERS:
        if kind in kinds:
            return write(value, depth - 1)
    raise _refused(f"an object of type {type.__dict__['__name__'].__get__(type(value))}, which")


def _tagged_all(values: Iterable[Any], depth: int) -> list[Any]:
    return [_tagged(item, depth) for item in values]


def _int(value: int) -> Any:
    value = int.__pos__(value)
    try:
        repr(value)
    except ValueError:
        return {"$int": f"{value:x}"}
    return value


def _float(value: float) -> Any:
    number = float.__pos__(value)
    return number if number - number == 0 else {"$float": repr(number)}


def _dict(value: Any, depth: int) -> Any:
    rows = [[_tagged(key, depth), _tagged(item, depth)] for key, item in dict.items(value)]
    texts = all(type(key) is str for key, _ in rows)
    alone = len(rows) == 1 and texts and rows[0][0][:1] == "$"
    return dict(rows) if texts and not alone else {"$dict": rows}


def _complex(value: complex, depth: int) -> Any:
    parts = [complex.__getattribute__(value, part) for part in ("real", "imag")]
    return {"$complex": _tagged_all(parts, depth)}


def _sorted(items: list[Any]) -> list[Any]:
    """In an order that does not hang on the memory's: by value, or by text where values have no order."""
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=_write_json)


_WRITERS: tuple[tuple[type, Any], ...] = (
    (bool, lambda value, depth: value),
    (int, lambda value, depth: _int(value)),
    (float, lambda value, depth: _float(value)),
    (str, lambda value, depth: str.__str__(value)),
    (list, lambda value, depth: _tagged_all(_get_list(value, slice(None)), depth)),
    (dict, _dict),
    (tuple, lambda value, depth: {"$tuple": _tagged_all(_get_tuple(value, slice(None)), depth)}),
    (set, lambda value, depth: {"$set": _sorted(_tagged_all(set.__iter__(value), depth))}),
    (frozenset, lambda value, depth: {"$frozenset": _sorted(_tagged_all(frozenset.__iter__(value), depth))}),
    (complex, _complex),
    (bytes, lambda value, depth: {"$bytes": bytes.hex(value)}),
    (bytearray, lambda value, depth: {"$bytes": bytearray.hex(value)}),
)


def _refused(what: str) -> TypeError:
    return TypeError(f"the function returned {what} is not plain data")
