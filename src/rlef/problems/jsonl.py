"""The JSONL form of problems: one ``Problem`` a line, nothing lost, nothing guessed.

Reading is strict. The reader follows the type hints of the records in
``problems.types``, so a new field there is a new key here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gzip
import json
import os
import re
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from rlef.errors import DataError
from rlef.problems import plain, tables
from rlef.problems.checks import CODE, split_check
from rlef.problems.near import near
from rlef.problems.types import CHECKER_ARGUMENTS, Problem

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def problem_to_row(problem: Problem) -> dict[str, Any]:
    """The problem as plain JSON values. Fields that hold their default are left out.

    Raises ``DataError`` if a provenance parameter is not a JSON value.
    """
    row = cast(dict[str, Any], _plain(problem))
    try:
        same = json.loads(json.dumps(row, allow_nan=False)) == row
    except (TypeError, ValueError):
        same = False
    if not same:
        raise DataError(f"problem {problem.id!r} can't be written as JSON: provenance must hold JSON values")
    return row


def row_to_problem(row: object, where: str = "row") -> Problem:
    """The problem in a row. Raises ``DataError`` naming ``where`` and the field."""
    problem = cast(Problem, _record(Problem, row, where, ""))
    check_problem(problem, where)
    return problem


def check_problem(problem: Problem, where: str) -> None:
    """Raise ``DataError`` naming ``where`` and the field if the problem's fields do not go together."""
    if not problem.id:
        raise DataError(f"{where}: id is empty")
    if not problem.public_tests and not problem.hidden_tests:
        raise DataError(f"{where}: the problem has no tests; give public_tests or private_tests")
    sizes = problem.limits.memory_bytes, problem.limits.output_bytes
    if not 0 < problem.limits.cpu_s <= 1e8 or not all(0 < size < 2**60 for size in sizes):
        raise DataError(f"{where}: limits must be positive, at most 1e8 s and below 2**60 bytes")
    if problem.form == "call":
        _check_call(problem, where)
    _check_files(problem, where)
    if problem.checker or problem.comparison == "checker":
        _check_checker(problem, where)


def read_problems(path: Path | str) -> list[Problem]:
    """All problems of a ``.jsonl`` or ``.jsonl.gz`` file. Blank lines are skipped.

    Raises ``DataError`` if the file is missing, empty, torn, or holds a bad row or the
    same id twice; the message names file, line and field.
    """
    path = Path(path)
    problems: dict[str, Problem] = {}
    for where, row in json_lines(path):
        problem = row_to_problem(row, where)
        if problem.id in problems:
            raise DataError(f"{where}: id {problem.id!r} is there twice; ids must be unique")
        problems[problem.id] = problem
    if not problems:
        raise DataError(f"{path} holds no problems; give a JSONL file with one problem a line")
    return list(problems.values())


def write_problems(path: Path | str, problems: Iterable[Problem]) -> Path:
    """Write a ``.jsonl`` or ``.jsonl.gz`` file, whole or not at all; same problems, same bytes.

    Raises ``DataError`` if the place can't be written.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as raw, _packed(raw, path) as file:
            for problem in problems:
                file.write(json.dumps(problem_to_row(problem)).encode("ascii") + b"\n")
        draft.replace(path)
    except OSError as error:
        raise DataError(f"can't write {path}: {error.strerror}; choose another place") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return path


def _packed(raw: BinaryIO, path: Path) -> contextlib.AbstractContextManager[gzip.GzipFile | BinaryIO]:
    """What compresses into ``raw`` if the file's name says so."""
    if path.suffix != ".gz":
        return contextlib.nullcontext(raw)
    return gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0)


def json_lines(path: Path) -> Iterator[tuple[str, object]]:
    """Pairs of ``file:line`` and the JSON value there. Raises ``DataError`` for bad files and lines."""
    with tables.readable(path), tables.opened(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"{path}:{number}", _strict(line, f"{path}:{number}")


def _strict(line: bytes, where: str) -> object:
    try:
        return json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not valid JSON ({error})") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_call(problem: Problem, where: str) -> None:
    """A ``call`` problem names its function; its tests are plain data, or code."""
    if not problem.entry_point:
        raise DataError(f"{where}: entry_point is missing; a 'call' problem names its function there")
    for group in ("public_tests", "private_tests", "generated_tests"):
        for index, test in enumerate(getattr(problem, group)):
            place = f"{where}: {group}[{index}]"
            _check_check(test.check, place)
            if test.check == CODE:
                continue
            texts = {"input": test.input, "output": test.output}
            texts |= {f"also[{i}]": text for i, text in enumerate(test.also)}
            for name, text in texts.items():
                _check_call_text(text, name, f"{place}.{name}")


def _check_files(problem: Problem, where: str) -> None:
    """Files of input and output have plain names, and a program that is started to read them."""
    for name in ("input_file", "output_file"):
        value = getattr(problem, name)
        if value and problem.form != "stdin":
            raise DataError(f"{where}: {name} is given, so form must be 'stdin'")
        if value and not _FILE_NAME.fullmatch(value):
            raise DataError(
                f"{where}: {name} {value!r} is no plain name; use letters, digits, '_', '-' and '.'"
            )


def _check_check(check: str, where: str) -> None:
    try:
        split_check(check)
    except ValueError as error:
        raise DataError(f"{where}.check: {error}; problems/checks.py lists them") from None


def _check_checker(problem: Problem, where: str) -> None:
    """A checker and the comparison of that name come together, for printed outputs."""
    checker = problem.checker
    if checker is None:
        raise DataError(
            f"{where}: checker is missing; the comparison 'checker' needs the program that compares"
        )
    if problem.comparison != "checker":
        raise DataError(
            f"{where}: a checker is given, but comparison is {problem.comparison!r}; make it 'checker'"
        )
    if problem.form != "stdin":
        raise DataError(f"{where}: a checker reads what is printed, so form must be 'stdin'")
    if not checker.source.strip():
        raise DataError(f"{where}: checker.source is empty")
    for group in ("public_tests", "private_tests", "generated_tests"):
        if any(test.also for test in getattr(problem, group)):
            raise DataError(f"{where}: {group} list further outputs in 'also', but the checker decides alone")
    taken = set(CHECKER_ARGUMENTS)
    for index, file in enumerate(checker.files):
        if not _FILE_NAME.fullmatch(file.name) or file.name in taken:
            raise DataError(
                f"{where}: checker.files[{index}].name {file.name!r} is no plain name of its own; "
                "use letters, digits, '_', '-' and '.'"
            )
        taken.add(file.name)


def _check_call_text(text: str, name: str, where: str) -> None:
    try:
        value = plain.parse(text)
    except plain.NotPlain as reason:
        raise DataError(f"{where} must be JSON in a 'call' problem ({reason})") from None
    if name == "input" and not isinstance(value, list):
        raise DataError(f"{where} must be a JSON list of arguments in a 'call' problem")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if getattr(value, field.name) != _default(field)
        }
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


@functools.cache
def _hints(record: type) -> dict[str, Any]:
    return typing.get_type_hints(record)


def _record(record: type, value: object, where: str, path: str) -> Any:
    if not isinstance(value, dict):
        raise DataError(f"{where}: {path or 'the row'} must be an object, not {_name(value)}")
    hints = _hints(record)
    inner = {key: f"{path}.{key}" if path else str(key) for key in value}
    for key in value:
        if key not in hints:
            raise DataError(f"{where}: unknown field {inner[key]!r}{near(key, hints)}")
    for field in dataclasses.fields(record):
        needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if needed and field.name not in value:
            raise DataError(f"{where}: field {(path + '.' if path else '') + field.name!r} is missing")
    return record(**{key: _value(hints[key], item, where, inner[key]) for key, item in value.items()})


def _value(hint: Any, value: object, where: str, path: str) -> Any:
    """``value`` checked against a type hint of the records; lists become tuples."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType and value is not None:
        hint = next(filter(dataclasses.is_dataclass, args), hint)
    if dataclasses.is_dataclass(hint):
        return _record(cast(type, hint), value, where, path)
    if origin is tuple:
        if not isinstance(value, list):
            raise DataError(f"{where}: {path} must be a list, not {_name(value)}")
        return tuple(_value(args[0], item, where, f"{path}[{i}]") for i, item in enumerate(value))
    if origin is typing.Literal:
        if value not in args:
            raise DataError(f"{where}: {path} must be one of {', '.join(args)}{near(str(value), args)}")
        return value
    return _scalar(hint, value, where, path)


def _scalar(hint: Any, value: object, where: str, path: str) -> Any:
    if typing.get_origin(hint) is types.UnionType:
        kinds = typing.get_args(hint)
    elif hint is float:
        kinds = (float, int)
    else:
        kinds = (typing.get_origin(hint) or hint,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join(_NAMES[kind] for kind in kinds)
        raise DataError(f"{where}: {path} must be {names}, not {_name(value)}")
    return value


_NAMES: dict[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    type(None): "null",
}


def _name(value: object) -> str:
    return _NAMES.get(type(value), type(value).__name__)
